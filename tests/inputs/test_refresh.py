"""`catalog refresh` against a server on the loopback that has lists in the published formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError, load_catalog
from milp_planner.inputs.imports.refresh import addresses, lists
from milp_planner.inputs.imports.refresh.addresses import Addresses
from milp_planner.inputs.imports.refresh.download import NotThere, Patience, fetch
from milp_planner.inputs.imports.refresh.refresh import refresh_catalog
from tests.support.catalog_files import SOURCED, TODAY, WHOLE, write
from tests.support.price_server import PriceServer, price_server, zipped

HASTY = Patience(silence_s=0.2, whole_s=2.0, tries=2, pause_s=0.0)
OWN = "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
LOWEST = f"""\
{OWN}aws,l4-box,eu-1,dedicated,l4-24gb,1,0.60,{SOURCED}
aws,old-l4,eu-1,dedicated,l4-24gb,1,0.50,{SOURCED}
gcp,l4-box,eu-1,dedicated,l4-24gb,1,0.80,{SOURCED}
oci,l4-box,eu-1,dedicated,l4-24gb,1,0.90,{SOURCED}
"""
SKY = "InstanceType,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region\n"
AWS = f"{SKY}l4-box,L4,1,,0.70,0.30,eu-1\nl4-node,L4,1,,99,,eu-1\nodd,K80,1,,9,,eu-1\n"
HUNT = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
ENTRY = {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 3e-7}
TOKENS = {"acme/small-8b": ENTRY | {"output_cost_per_token": 4e-7}}


@pytest.fixture(autouse=True)
def few_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(lists, "SKYPILOT_CLOUDS", ("aws", "gcp"))
    monkeypatch.setattr(lists, "GPUHUNT_PROVIDERS", ("aws", "oci"))


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with price_server() as known:
        known.answers |= {
            "/sky/aws/vms.csv": AWS.encode(),
            "/sky/gcp/vms.csv": 404,
            "/hunt/aws/version": b"20260830-7\n",
            "/hunt/aws/20260830-7/catalog.zip": zipped(aws=f"{HUNT}l4,eu-1,0.1,1,L4,24,False\n"),
            "/hunt/oci/version": b"20260829-6\n",
            "/hunt/oci/20260829-6/catalog.zip": zipped(oci=f"{HUNT}l4,eu-2,0.85,1,L4,24,False\n"),
            "/lite.json": json.dumps(TOKENS).encode(),
        }
        yield known


@pytest.fixture
def base(tmp_path: Path) -> Path:
    manifest = "field,value\nname,low\nextends,none\n"
    return write(tmp_path / "base", WHOLE | {"catalog.csv": manifest, "offerings.csv": LOWEST})


def refreshed(server: PriceServer, base: Path, **given: Any) -> Any:
    where = Addresses(f"{server.url}/sky", f"{server.url}/hunt", f"{server.url}/lite.json")
    return refresh_catalog(
        given.pop("out", base.parent / "new"),
        base=base,
        addresses=where,
        as_of=TODAY,
        fetching=lambda url, most: fetch(url, most, given.pop("patience", HASTY)),
        **given,
    )


def prices(folder: Path) -> dict[str, float]:
    loaded = load_catalog(folder, as_of=TODAY)
    return {f"{o.id} {o.billing}": o.usd_per_hour for o in loaded.offerings}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


# --- What comes in -----------------------------------------------------------------------------


def test_three_tools_lists_become_one_folder(server: PriceServer, base: Path) -> None:
    refreshed(server, base)
    loaded = load_catalog(base.parent / "new", as_of=TODAY)
    assert prices(base.parent / "new") == {
        "aws/l4-box/eu-1 dedicated": 0.70,  # old-l4 is not in the list, l4-node was refused
        "aws/l4-box/eu-1 spot": 0.30,
        "gcp/l4-box/eu-1 dedicated": 0.80,  # no list: as it was
        "oci/l4/eu-2 dedicated": 0.85,  # gpuhunt's, SkyPilot has none
    }
    days = {o.provider: (o.as_of, o.source) for o in loaded.offerings if o.override}
    assert days == {
        "aws": (TODAY, "SkyPilot catalog, aws/vms.csv"),
        "oci": (date(2026, 8, 29), "gpuhunt catalog, oci.csv of 20260829-6"),
    }
    (price,) = [p for p in loaded.token_prices if p.override]
    assert (price.id, price.usd_per_m_input_tokens) == ("acme/small-8b/global", 0.3)


def test_the_report_says_what_is_new_other_gone_and_refused(
    server: PriceServer, base: Path
) -> None:
    done = refreshed(server, base)
    new = base.parent / "new"
    assert done.lines() == [
        f"{new}: 3 offerings and 1 token price",
        "  SkyPilot aws: 3 rows of 2026-09-01, 1 left out",
        "  SkyPilot gcp: not published, its prices stay as they were "
        "(there is no file: HTTP 404 Not Found)",
        "  gpuhunt aws: 0 rows of 2026-08-30, 1 left out",
        "  gpuhunt oci: 1 row of 2026-08-29, 0 left out",
        "  LiteLLM: 1 row of 2026-09-01, 0 left out",
        "  acme: 1 changed",
        "    ~ acme/small-8b/global: usd_per_m_input_tokens 0.1 -> 0.3 (+200.0 %), "
        "usd_per_m_output_tokens 0.2 -> 0.4 (+100.0 %), usd_per_m_cached_tokens 0.05 -> unknown",
        "  aws: 1 new, 1 changed, 1 gone, 1 refused",
        "    ~ aws/l4-box/eu-1 dedicated: usd_per_hour 0.6 -> 0.7 (+16.7 %), "
        "instance_type unknown -> l4-box",
        "  oci: 1 new, 1 gone",
    ]
    told = done.lines(verbose=True)
    assert "    1  another list of that provider was taken (for example" in "\n".join(told)
    assert "    - aws/old-l4/eu-1 dedicated: $0.5 per unit and hour" in "\n".join(told)
    assert "    + oci/l4/eu-2 dedicated: $0.85 per unit and hour" in told
    (aws,) = [p for p in done.to_dict()["providers"] if p["provider"] == "aws"]
    assert [len(aws[k]) for k in ("new", "changed", "gone")] == [1, 1, 1]
    assert aws["changed"][0]["changes"]["usd_per_hour"] == {"before": "0.6", "after": "0.7"}


def test_a_second_refresh_is_compared_with_the_first_and_replaces_it(
    server: PriceServer, base: Path
) -> None:
    refreshed(server, base)
    (aws,) = refreshed(server, base).changes  # nothing is other, one row is refused again
    assert (aws.new, aws.changed, aws.gone, aws.refused) == ([], [], [], 1)
    server.answers["/sky/aws/vms.csv"] = f"{SKY}l4-box,L4,1,,0.75,,eu-1\n".encode()
    (aws,) = refreshed(server, base).changes
    assert (len(aws.new), len(aws.changed)) == (0, 1)
    assert [row.key for row in aws.gone] == ["aws/l4-box/eu-1 spot"]
    assert prices(base.parent / "new")["aws/l4-box/eu-1 dedicated"] == 0.75
    assert sorted(f.name for f in base.parent.iterdir()) == ["base", "new"]


def test_only_some_tools_or_providers_may_be_asked_for(server: PriceServer, base: Path) -> None:
    refreshed(server, base, tools=("gpuhunt",), providers=["oci"])
    assert server.asked == ["/hunt/oci/version", "/hunt/oci/20260829-6/catalog.zip"]
    server.asked.clear()
    refreshed(server, base, out=base.parent / "x", providers=["acme"])
    assert server.asked == ["/lite.json"]
    with pytest.raises(InputError, match="no list has prices of 'acmee'; did you mean 'acme'"):
        refreshed(server, base, out=base.parent / "y", providers=["acmee"])


# --- What goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/sky/aws/vms.csv", "hang", "cannot be fetched: nothing came for 0.2 s (tried 2 times)"),
        ("/sky/aws/vms.csv", "drop", "cannot be fetched: Remote end closed connection"),
        ("/sky/aws/vms.csv", "short", "cannot be fetched: "),
        ("/sky/aws/vms.csv", 503, "cannot be fetched: HTTP 503 Service Unavailable (tried 2"),
        ("/sky/aws/vms.csv", 403, "cannot be fetched: HTTP 403 Forbidden"),
        ("/sky/aws/vms.csv", "file", "cannot be fetched: "),
        ("/sky/aws/vms.csv", b"<html>no</html>\n", "has no column 'InstanceType'"),
        ("/sky/aws/vms.csv", AWS.encode()[:-9], "is no whole table: its last line is cut off"),
        ("/sky/aws/vms.csv", b"\xff\xfe\n", "not UTF-8 text"),
        ("/hunt/oci/version", b"<html>", "names no version such as 20260801-123"),
        ("/hunt/oci/version", b"20260230-1", "names no version such as 20260801-123"),
        ("/hunt/oci/version", b"../../x", "names no version such as 20260801-123"),
        ("/hunt/oci/version", b"2" * 300, "is larger than 0.0002 MB"),
        ("/hunt/oci/20260829-6/catalog.zip", b"PK\x03\x04 half", "is no whole zip file"),
        ("/hunt/oci/20260829-6/catalog.zip", zipped(aws=HUNT), "holds no oci.csv"),
        ("/hunt/oci/20260829-6/catalog.zip", zipped(oci="a,b\n"), "has no column"),
        ("/lite.json", b'{"a": {"mode": "chat"', "not valid JSON"),
        ("/lite.json", b"[]", "expected one entry per LLM"),
        ("/lite.json", 404, "there is no file: HTTP 404 Not Found"),
    ],
)
def test_a_list_that_cannot_be_had_leaves_the_folder_as_it_was(
    server: PriceServer, base: Path, path: str, answer: Any, message: str
) -> None:
    refreshed(server, base)
    before = tree(base.parent)
    server.answers[path] = answer
    with pytest.raises(InputError) as error:
        refreshed(server, base)
    assert message in str(error.value)
    assert f"{server.url}{path.rpartition('/')[0]}" in str(error.value)
    assert tree(base.parent) == before


def test_where_there_was_no_folder_none_is_left(server: PriceServer, base: Path) -> None:
    server.answers["/lite.json"] = 500
    with pytest.raises(InputError):
        refreshed(server, base)
    assert [f.name for f in base.parent.iterdir()] == ["base"]


def test_what_passes_by_itself_is_tried_again(server: PriceServer, base: Path) -> None:
    server.answers["/sky/aws/vms.csv"] = [503, AWS.encode()]
    server.answers["/lite.json"] = ["drop", json.dumps(TOKENS).encode()]
    refreshed(server, base)
    assert server.asked.count("/sky/aws/vms.csv") == 2
    assert server.asked.count("/lite.json") == 2
    assert prices(base.parent / "new")["aws/l4-box/eu-1 dedicated"] == 0.70


def test_what_does_not_is_asked_for_once(server: PriceServer, base: Path) -> None:
    server.answers["/lite.json"] = 403
    with pytest.raises(InputError):
        refreshed(server, base)
    assert server.asked.count("/lite.json") == 1


def test_no_network_is_said(base: Path) -> None:
    with price_server() as known:
        gone = known.url
    with pytest.raises(InputError) as error:
        fetch(f"{gone}/x", 100, HASTY)
    assert "Connection refused" in str(error.value)
    assert "is there a network" in str(error.value)


def test_lists_that_have_moved_are_an_error(server: PriceServer, base: Path) -> None:
    server.answers["/sky/aws/vms.csv"] = 404
    with pytest.raises(InputError, match="has none of SkyPilot's lists: there is no file"):
        refreshed(server, base)


def test_a_folder_of_anothers_is_never_replaced(server: PriceServer, base: Path) -> None:
    mine = write(base.parent / "mine", {"offerings.csv": LOWEST})
    before = tree(mine)
    for out in (mine, base):
        with pytest.raises(InputError, match="exists, and no refresh wrote it"):
            refreshed(server, base, out=out)
    assert tree(mine) == before
    assert server.asked == []


def test_too_many_offerings_are_told_by_provider(
    server: PriceServer, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milp_planner.inputs.imports.refresh.refresh.MAX_OFFERINGS", 3)
    with pytest.raises(InputError) as error:
        refreshed(server, base)
    # Three of aws, one of oci, and gcp's own.
    assert "5 offerings, more than the 3 that are read: 3 of aws, 1 of oci" in str(error.value)
    assert not (base.parent / "new").exists()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "x", ""])
def test_only_web_addresses_are_read(url: str) -> None:
    with pytest.raises(InputError, match="is not an address that begins with http"):
        fetch(url, 100, HASTY)


def test_no_more_is_read_than_is_wanted(server: PriceServer) -> None:
    server.answers["/big"] = b"x" * 1000
    assert fetch(f"{server.url}/big", 1000, HASTY) == b"x" * 1000
    with pytest.raises(InputError, match=r"is larger than 0.0009 MB"):
        fetch(f"{server.url}/big", 900, HASTY)
    assert fetch(f"{server.url}/none", 900, HASTY) == NotThere(
        f"{server.url}/none", "HTTP 404 Not Found"
    )


def test_every_address_is_a_secure_one() -> None:
    for url in vars(Addresses()).values():
        assert url.startswith("https://")
    assert sorted(set(addresses.SKYPILOT_CLOUDS)) == sorted(addresses.SKYPILOT_CLOUDS)
