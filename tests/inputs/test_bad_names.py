"""What a user reads of names that no catalog knows, and of catalogs that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from milp_planner.cli.parts import exit_codes
from milp_planner.inputs.catalog.files import MAX_OFFERINGS
from milp_planner.inputs.reading.field_types import MOST_UNITS
from tests.support.toy import CATALOG, PROBLEM, write

pytest_plugins = ["tests.support.spoilt.refusing"]

RATE = "requests_per_second: 13"
LLM = "llm: tiny"


# ---- names that the catalog does not know, each at its own line


@pytest.mark.parametrize(
    ("llm", "hint"),
    [
        ("tinny", "; did you mean 'tiny'?"),
        ("Tinny", "; did you mean 'tiny'?"),
        ("gpt", ""),
        ('"[red]x"', ""),
    ],
)
def test_an_unknown_llm_is_told_with_the_nearest(changed, llm, hint):
    shown = llm.strip('"')
    assert changed(LLM, f"llm: {llm}") == (
        f"x.yaml:6:10: workloads[0].llm: '{shown}' is not in the catalog 'toy'{hint}\n"
    )


LIMITS_BY_LINE = """\
limits:
  regions:
    allow:
      - eu-*
      - eu-wst-*
  gpus:
    deny:
      - bigg
  max_units:
    acme/big/eu-1: 4
    acme/big/eu-2: 4
  max_gpus:
    per_provider:
      acme: 4
      bolted: 4
"""


def test_every_name_in_limits_is_blamed_at_its_own_line(refused):
    assert refused(PROBLEM + LIMITS_BY_LINE) == (
        "x.yaml:15:9: limits.regions.allow: 'eu-wst-*' matches none of the 2 regions\n"
        "x.yaml:18:9: limits.gpus.deny: no GPU 'bigg'; closest: big\n"
        "x.yaml:21:5: limits.max_units: no offering 'acme/big/eu-2'; closest: acme/big/eu-1\n"
        "x.yaml:25:7: limits.max_gpus.per_provider: no provider 'bolted'; closest: bolt\n"
    )


def test_a_pattern_that_matches_nothing_says_what_begins_alike(refused):
    assert refused(PROBLEM + "limits: {max_units: {'acmee/*': 1}, regions: {deny: [eu_*]}}\n") == (
        "x.yaml:11:22: limits.max_units: 'acmee/*' matches none of the 2 offerings; closest: "
        "acme/big/eu-1\n"
        "x.yaml:11:54: limits.regions.deny: 'eu_*' matches none of the 2 regions; closest: eu-1\n"
    )


def test_what_is_both_allowed_and_denied_is_a_contradiction(refused):
    assert refused(PROBLEM + "limits: {providers: {allow: [acme, bolt], deny: [bolt]}}\n") == (
        "x.yaml:11:50: limits.providers.deny: 'bolt' is both allowed and denied\n"
    )


@pytest.fixture
def market(run, folder):
    """What `check` says of a problem of the shipped market."""

    def refuse(rest: str) -> str:
        (folder / "m.yaml").write_text(
            "schema_version: 1\nworkloads:\n  - name: chat\n    llm: llama-3.3-70b\n"
            "    traffic: {kind: tokens_per_day, tokens_per_day: 5M}\n"
            f"    requests: {{input_tokens: 1500, output_tokens: 300}}\n{rest}\n"
        )
        code, _, err = run("check", "m.yaml")
        assert code == exit_codes.INPUT
        return err

    return refuse


def test_a_short_gpu_name_is_ambiguous_only_where_it_stands_for_several(market):
    assert market("limits: {gpus: {deny: [mi300x]}}") == (
        "m.yaml:7:24: limits.gpus.deny: no GPU 'mi300x'; closest: mi300x-192gb\n"
    )
    err = market("limits: {gpus: {deny: [h100]}}")
    assert err.startswith("m.yaml:7:24: limits.gpus.deny: 'h100' is ambiguous; write one of h100-")
    assert err.endswith("  hint: or a pattern, such as h100-*\n")


def test_an_unknown_offering_is_told_with_the_one_that_begins_so(market):
    err = market("limits: {max_units: {runpod/h200-141gb-sxm/us: 4}}")
    assert "limits.max_units: no offering 'runpod/h200-141gb-sxm/us'; closest: runpod/h200-" in err
    err = market("current_fleet: [{offering: aws/p5.48xlarge, units: 1, workload: chat}]")
    assert err.startswith(
        "m.yaml:7:28: current_fleet[0].offering: no offering 'aws/p5.48xlarge'; "
        "closest: aws/p5.48xlarge/"
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("units: 0, workload: chat", "50: current_fleet[0].units: must be at least 1 (is 0)"),
        (
            "units: 1, workload: cht",
            "63: current_fleet[0].workload: no workload 'cht'; did you mean 'chat'?",
        ),
        (
            "units: 1, workload: chat, billing: spot",
            "78: current_fleet[0].billing: acme/big/eu-1 is not sold as spot, only as dedicated",
        ),
        (
            "units: 1, workload: chat}, {offering: acme/big/eu-1, units: 2, workload: chat",
            "70: current_fleet[1]: acme/big/eu-1 billed dedicated for 'chat' is given twice "
            "(first as current_fleet[0]); add the units up",
        ),
    ],
)
def test_a_row_of_the_running_fleet_is_refused(refused, row, expected):
    fleet = f"current_fleet: [{{offering: acme/big/eu-1, {row}}}]\n"
    assert refused(PROBLEM + fleet) == f"x.yaml:11:{expected}\n"


@pytest.mark.parametrize(
    ("catalog", "expected"),
    [
        (
            "mrket",
            "no catalog 'mrket'; did you mean 'market'?\n  hint: the shipped ones are "
            "inference-atlas, market; anything else is the path of a folder",
        ),
        ("toy.yaml", "toy.yaml is not a folder; a catalog is a folder of CSV files"),
        (
            '"~nobody-of-that-name"',
            "no catalog '~nobody-of-that-name': Could not determine home directory.",
        ),
        ("x" * 5000, f"no catalog '{'x' * 57}...': File name too long"),
    ],
    ids=lambda value: value[:12],
)
def test_a_catalog_that_is_not_there_is_told_where_it_is_named(changed, catalog, expected):
    assert changed("catalog: toy", f"catalog: {catalog}") == f"x.yaml:3:10: catalog: {expected}\n"


# ---- sizes beyond what can be planned


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("1e-10", "the peak of 1e-10 requests/s is below 1e-09, the least that is planned"),
        ("1e13", "the peak of 1e+13 requests/s is above 1e+12, the most that is planned"),
        (
            "1e8",  # 10 a second are one big: 1e7 units
            "the peak of 1e+08 requests/s takes 1e+07 units of the largest candidate, "
            "more than the 1,000,000 that can be planned",
        ),
    ],
)
def test_a_rate_beyond_what_a_solver_can_tell_apart_is_refused(changed, rate, expected):
    message = changed(RATE, f"requests_per_second: {rate}")
    assert message == f"x.yaml:7:14: workloads[0].traffic: {expected}\n"


def test_the_largest_and_the_smallest_rate_are_planned(run, folder):
    # 1,000,000 big at 10 requests/s each; the small ones carry 3/10 of that, which is near enough.
    for rate, units in ((10 * MOST_UNITS, MOST_UNITS), (1e-9, 1)):
        file = write(folder, "x.yaml", RATE, f"requests_per_second: {rate}")
        code, out, err = run("solve", file, "--json", "--alternatives", "0")
        assert (code, err) == (0, "")
        assert sum(p["units"] for p in json.loads(out)["purchases"]) == units


def test_a_candidate_that_carries_next_to_nothing_is_turned_down(run, folder):
    # Tiny on small: 1e-9 requests/s, 1.3e10 of them for 13 requests/s.
    table = CATALOG["measurements.csv"].replace(
        "tiny,small,bf16,1,1,1,6,", "tiny,small,bf16,1,1,1,2e-9,"
    )
    (folder / "toy" / "measurements.csv").write_text(table)
    code, out, err = run("solve", "toy.yaml", "--json")
    assert (code, err) == (0, "")
    assert [p["offering"] for p in json.loads(out)["purchases"]] == ["acme/big/eu-1"]
    out = run("candidates", "toy.yaml", "--all")[1]
    assert "it would take 1.3e+10 units to serve the peak; that is out of reach" in out


def test_a_price_beyond_what_can_be_planned_is_told(run, folder):
    table = CATALOG["offerings.csv"].replace("small,1,1.5,", "small,1,1e-300,")
    (folder / "toy" / "offerings.csv").write_text(table)
    code, _, err = run("solve", "toy.yaml")
    assert code == exit_codes.INPUT
    assert err == (
        "bolt/small/us-1 billed dedicated: usd_per_hour: must be from 0.0001 to 100000 "
        "(is 1e-300)\n"
    )


def test_200000_offerings_are_the_most(run, folder, monkeypatch):
    assert MAX_OFFERINGS == 200_000
    monkeypatch.setattr("milp_planner.inputs.catalog.files.MAX_OFFERINGS", 20)
    row = "acme,n{0},eu-1,dedicated,big,1,4,2026-01-15,test\n"
    head = CATALOG["offerings.csv"].splitlines(keepends=True)[0]
    (folder / "toy" / "offerings.csv").write_text(head + "".join(row.format(i) for i in range(21)))
    assert run("check", "toy.yaml") == (
        exit_codes.INPUT,
        "",
        "toy/offerings.csv: the catalog has more than 20 offerings, the most that is read\n",
    )


# ---- catalogs and overlays

HEADER = "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
ROW = "acme,big,eu-1,dedicated,big,1,4,2026-01-15,test\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ": file is empty; its first line names the columns"),
        (HEADER.replace(",", ";"), ":1: the columns are separated by ';'; separate them by commas"),
        (
            HEADER.replace(",", "\t"),
            ":1: the columns are separated by tabs; separate them by commas",
        ),
        (
            HEADER.replace("usd", "USD") + ROW,
            ":1: USD_per_hour: unknown column; did you mean 'usd_per_hour'?",
        ),
        (HEADER + ROW.replace("test", "te\x1b[31mst"), ":2: control characters are not allowed"),
        (HEADER + ROW.replace("test", "te\0st"), ":2: control characters are not allowed"),
        (
            HEADER + "acme,big\n",
            ":2: has 2 columns, the header has 9; quote a text that holds a comma",
        ),
        (
            HEADER + ROW + '"acme,big\n' + ROW,
            ":4: not valid CSV: unexpected end of data\n  hint: in the row that starts on line 3",
        ),
        (HEADER + ROW.replace("4,2", "-4,2"), ":2: usd_per_hour: must be at least 0 (is -4)"),
        (
            HEADER + ROW.replace("4,2", "nan,2"),
            ":2: usd_per_hour: must be a finite number (is nan)",
        ),
        (
            HEADER + ROW.replace("4,2", '"4,00",2'),
            ":2: usd_per_hour: '4,00' is not a number; write 1000 or 0.35",
        ),
        (
            HEADER + ROW.replace("big,1,", f"big,{'9' * 5000},"),
            f":2: gpus_per_unit: '{'9' * 57}...' is too large",
        ),
        (
            HEADER + ROW.replace("acme", "=cmd"),
            ":2: provider: use lower-case letters, digits and '.', '_', '+', '-' (found '=cmd')",
        ),
        (
            HEADER + ROW.replace("big,1", "bigg,1"),
            ":2: gpu: 'bigg' is not in the catalog; did you mean 'big'?",
        ),
        (
            HEADER + ROW.replace("2026", "2099"),
            ":2: as_of: 2099-01-15 is in the future (today is 2026-11-01)",
        ),
    ],
)
def test_an_overlay_is_refused_with_file_and_line(run, folder, content, expected):
    (folder / "mine").mkdir()
    (folder / "mine" / "offerings.csv").write_bytes(content.encode())
    options = ("--overlay", "mine", "--as-of", "2026-11-01")
    code, out, err = run("check", "toy.yaml", *options)
    assert (code, out) == (exit_codes.INPUT, "")
    assert f"mine/offerings.csv{expected}\n" in err
    assert run("solve", "toy.yaml", *options) == (code, out, err)
    code, out, _ = run("solve", "toy.yaml", *options, "--json")
    assert code == exit_codes.INPUT
    assert json.loads(out)["error"]["faults"][0]["file"] == "mine/offerings.csv"


def test_a_missing_price_is_unavailable_and_never_free(run, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "offerings.csv").write_text(HEADER + ROW.replace("4,2", ",2"))
    found = json.loads(run("solve", "toy.yaml", "--json", "--overlay", "mine")[1])
    # Without big five small ones serve 13 requests/s, at $1.50 each.
    assert found["cash_usd_per_month"] == 5 * 1.5 * 720


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--overlay", "toi"), "--overlay toi: there is no such folder; did you mean 'toy'?"),
        (
            ("--overlay", "toy.yaml"),
            "--overlay toy.yaml: is a file; an overlay is a folder of CSV files",
        ),
        (
            ("--overlay", "~nobody-of-that-name"),
            "--overlay ~nobody-of-that-name: there is no such folder",
        ),
        (("--catalog", ""), "--catalog: must not be empty"),
        (
            ("--catalog", "nope"),
            "--catalog: no catalog 'nope'\n  hint: the shipped ones are inference-atlas, market; "
            "anything else is the path of a folder",
        ),
    ],
)
def test_a_folder_on_the_command_line_is_told_with_its_option(run, arguments, expected):
    for command in ("check", "solve", "candidates"):
        assert run(command, "toy.yaml", *arguments) == (exit_codes.INPUT, "", f"{expected}\n")


def test_a_shipped_catalog_checked_by_its_folder_does_not_lie_on_itself(run):
    market = Path(__file__).resolve().parents[2] / "catalogs" / "inference-atlas"
    by_folder = run("catalog", "check", str(market), "--json")
    assert by_folder[0] == 0
    assert by_folder == run("catalog", "check", "inference-atlas", "--json")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("'': 1", "s.yaml:2:17: scenarios.a['']: a dotted key must not be empty"),
        (
            "catalog: mine",
            "s.yaml:2:17: scenarios.a.catalog: a scenario cannot change it\n"
            "  hint: give --catalog, or --overlay for rows of your own",
        ),
    ],
)
def test_a_key_that_no_scenario_can_have_is_told_at_its_place(run, folder, key, expected):
    (folder / "s.yaml").write_text(f"schema_version: 1\nscenarios: {{a: {{{key}}}}}\n")
    code, out, err = run("what-if", "toy.yaml", "--scenario", "s.yaml")
    assert (code, out, err) == (exit_codes.INPUT, "", f"{expected}\n")


def test_a_catalog_that_extends_one_that_is_not_there_is_told_in_its_own_file(run, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "catalog.csv").write_text("field,value\nname,mine\nextends,mrket\n")
    code, out, err = run("check", "toy.yaml", "--catalog", "mine")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.startswith(
        "mine/catalog.csv: extends: no catalog 'mrket'; did you mean 'market'?\n  hint: "
    )
