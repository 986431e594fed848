"""One name a seller, whatever a source calls it; a service counts as the provider behind it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from milp_planner import Catalog, Problem, explain, load_catalog, solve
from milp_planner.inputs.catalog.identity.sellers import SellerAlias, Sellers, sellers_of
from milp_planner.plans.sentences import warning_lines
from milp_planner.solving.prepare import prepare
from tests.support.builders import catalog, offering, problem, raw, token_price
from tests.support.catalog_files import TODAY, WHOLE, write

ROOT = Path(__file__).resolve().parents[3]
HEAD = "alias,provider,relation,source"
PRICES = "provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,as_of,source"
DAY = "2026-08-01,list"


def table(*rows: str) -> Sellers:
    cells = (dict(zip(HEAD.split(","), (*row.split(), "test"), strict=True)) for row in rows)
    return sellers_of(SellerAlias(**row) for row in cells)


def sold(folder: Path, aliases: Iterable[str], *files: dict[str, str]) -> Catalog:
    """The small catalog with rows of seller_aliases.csv, and overlays."""
    names = {"seller_aliases.csv": "\n".join([HEAD, *aliases, ""])}
    write(folder / "own", WHOLE | names)
    tops = [
        write(folder / f"top{i}", {"catalog.csv": "field,value\nextends,none\n", **file})
        for i, file in enumerate(files)
    ]
    return load_catalog("own", base=folder, overlays=tops, as_of=TODAY)


# --- The table --------------------------------------------------------------------------------


def test_a_spelling_of_a_spelling_is_followed_and_a_service_is_of_its_owner() -> None:
    sellers = table("shop-ai shop same", "shop acme-shop same", "acme-shop acme inside")
    assert sellers.name("shop-ai") == sellers.name("shop") == "acme-shop"
    assert sellers.name("bolt") == "bolt"
    assert sellers.owner("acme-shop") == "acme"
    assert sellers.owner("acme") == ""
    assert sellers.id("shop/h100*") == "acme-shop/h100*"
    assert sellers.id("shop") == "shop"  # no id: what stands before the first slash is the seller


def test_rows_that_go_in_a_circle_end() -> None:
    assert table("a b same", "b a same").name("a") in ("a", "b")
    assert table("a b inside", "b a inside").owner("a") in ("a", "b")


def test_names_of_the_shipped_table_lead_to_sellers_of_the_shipped_catalog() -> None:
    market = load_catalog()
    with (ROOT / "catalogs" / "market" / "seller_aliases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["provider"] for row in rows} <= set(market.providers)
    spelled = {row["alias"] for row in rows if row["relation"] == "same"}
    assert not spelled & set(market.providers)
    assert market.sellers.name("moonshot") == "moonshotai"
    assert {s: market.sellers.owner(s) for s in ("bedrock", "vertex", "azure-ai", "aws")} == {
        **{"bedrock": "aws", "vertex": "gcp", "azure-ai": "", "aws": ""}
    }
    assert market.sellers.name("azure-ai") == "azure"


# --- Reading ----------------------------------------------------------------------------------


def test_a_row_is_read_under_the_catalogs_name_and_replaces_the_row_of_that_name(
    tmp_path: Path,
) -> None:
    dearer = {"token_prices.csv": f"{PRICES}\nacme-ai,small-8b,0.3,0.6,{DAY}\n"}
    read = sold(tmp_path, ["acme-ai,acme,same,test"], dearer)
    assert [(p.id, p.usd_per_m_output_tokens) for p in read.token_prices] == [
        ("acme/small-8b/global", 0.6)
    ]


def test_a_line_of_retired_csv_takes_the_same_names(tmp_path: Path) -> None:
    line = "provider,billing,as_of,source\nbeta-cloud,spot,2026-08-20,list\n"
    read = sold(tmp_path, ["beta-cloud,beta,same,test"], {"retired.csv": line})
    assert [f"{row.id} {row.billing}" for row, _ in read.retired] == ["beta/big/us-1 spot"]


def test_an_overlay_may_name_sellers_of_the_catalog_below_it(tmp_path: Path) -> None:
    lines = f"{HEAD}\nbeta,acme,inside,test\n"
    read = sold(tmp_path, [], {"seller_aliases.csv": lines})
    assert {o.provider: o.owner for o in read.offerings} == {"acme": "acme", "beta": "acme"}


def test_a_catalog_that_stands_alone_knows_the_shipped_names(tmp_path: Path) -> None:
    write(tmp_path / "own", WHOLE)
    alone = load_catalog("own", base=tmp_path, as_of=TODAY)
    assert alone.sellers.name("lambdalabs") == "lambda"


# --- Limits and losses ------------------------------------------------------------------------


def with_a_service() -> Catalog:
    """Acme's big GPU (10 req/s, $4/h), its service `rock` at $1 per million tokens, and bolt's GPU
    of the same kind at $5/h."""
    known = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 5.0, name="b")],
        [raw("big", 10)],
        [token_price("rock", 1.0, behind="acme")],
    )
    return replace(known, sellers=table("rock acme inside", "bolt-cloud bolt same"))


def asked(rate: float = 10, **limits: object) -> Problem:
    return problem(rate, limits={"billing": {"allow": ["dedicated", "per_token"]}, **limits})


def bought(asked_for: Problem) -> set[str]:
    plan = solve(asked_for, with_a_service())
    return {p.candidate.provider for p in plan.purchases}


# 10 requests/s of 2 tokens, a month of 2,592,000 s: 51.84 M tokens for $51.84; GPUs $2,880, $3,600.


def test_a_provider_that_is_allowed_or_denied_takes_its_service_along_and_says_so() -> None:
    plan = solve(asked(providers={"allow": ["acme"]}), with_a_service())
    assert {p.candidate.provider for p in plan.purchases} == {"rock"}
    assert warning_lines(plan) == (
        "limits.providers.allow: acme takes in rock, a service of acme; deny rock to leave it out",
    )
    plan = solve(asked(providers={"deny": ["acme"]}), with_a_service())
    assert {p.candidate.provider for p in plan.purchases} == {"bolt"}
    assert warning_lines(plan) == (
        "limits.providers.deny: acme leaves out rock too, a service of acme",
    )


def test_a_service_that_is_named_is_meant_alone_and_nothing_is_said() -> None:
    for kept, seller in (
        ({"allow": ["rock"]}, "rock"),
        ({"allow": ["acme"], "deny": ["rock"]}, "acme"),
        ({"allow": ["acme", "rock"]}, "rock"),
    ):
        plan = solve(asked(providers=kept), with_a_service())
        assert {p.candidate.provider for p in plan.purchases} == {seller}
        assert warning_lines(plan) == ()


def test_nothing_is_said_of_a_service_that_the_billing_leaves_out_anyway() -> None:
    plain = problem(limits={"providers": {"allow": ["acme"]}})
    assert prepare(plain, with_a_service()).candidates.notes == ()


def test_another_spelling_in_limits_is_the_seller() -> None:
    assert bought(asked(providers={"allow": ["bolt-cloud"]})) == {"bolt"}
    assert bought(asked(offerings={"allow": ["bolt-cloud/*"]})) == {"bolt"}
    assert bought(asked(offerings={"deny": ["rock/*", "acme/*"]})) == {"bolt"}
    quotas = {"per_provider": {"bolt-cloud": 3, "bolt": 2}}
    tighter = prepare(asked(max_gpus=quotas), with_a_service()).problem.limits.max_gpus
    assert tighter.per_provider == {"bolt": 2}


def test_a_service_is_lost_with_its_owner() -> None:
    # The service alone, with acme's GPU as the spare, would survive the loss of a seller; once
    # acme is lost both are. So bolt's GPU carries what must be left.
    plan = solve(asked(survive_loss_of="provider"), with_a_service())
    assert "bolt" in {p.candidate.provider for p in plan.purchases}
    assert {loss.lost for loss in plan.worst_losses} <= {"acme", "bolt"}
    alone = asked(survive_loss_of="provider", providers={"deny": ["bolt"]})
    assert not solve(alone, with_a_service()).status.has_plan


def test_a_maximum_and_a_share_count_owners() -> None:
    two = asked(20, providers={"deny": ["bolt"], "max_count": 1}, max_gpus={"total": 1})
    assert solve(two, with_a_service()).status.has_plan
    half = asked(providers={"deny": ["bolt"], "max_share": "50%"})
    assert not solve(half, with_a_service()).status.has_plan


def test_a_diagnosis_that_allows_a_service_keeps_no_word_that_denies_it() -> None:
    none = asked(providers={"deny": ["acme", "bolt"]})
    plan = solve(none, with_a_service())
    assert not plan.status.has_plan
    assert plan.diagnosis is not None
    for change in plan.diagnosis.changes:
        eased = none.changed(change.patch)
        assert solve(eased, with_a_service()).status.has_plan


def test_explain_knows_the_spelling_and_the_owner() -> None:
    known = with_a_service()
    assert explain(asked(), provider="bolt-cloud", catalog=known).subject == "provider bolt"
    assert explain(asked(), provider="acme", catalog=known).verdict == "used"


@pytest.mark.parametrize("spelled", ["moonshot", "moonshotai"])
def test_a_denied_seller_is_denied_under_every_name_of_a_list(spelled: str, tmp_path: Path) -> None:
    rows = f"{PRICES}\n{spelled},small-8b,0.1,0.1,{DAY}\n"
    write(tmp_path / "own", WHOLE | {"token_prices.csv": rows})
    known = load_catalog("own", base=tmp_path, as_of=TODAY)
    wish = {
        "billing": {"allow": ["per_token"]},
        "providers": {"deny": ["moonshotai"]},
        "offerings": {"allow": ["moonshot*/*"]},
    }
    plan = solve(problem(1, chat={"llm": "small-8b"}, limits=wish), known)
    assert not plan.status.has_plan
