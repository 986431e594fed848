"""How a next-best plan differs from another, in words: what changed, and what is traded for what.

Things are called by what people rent, `2 x h100-80gb-sxm at runpod`; by the offering's full name
only where that would not tell two of them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from milp_planner.candidates.records import Candidate
from milp_planner.plans.held import changes
from milp_planner.plans.reasons import SameAs
from milp_planner.plans.records import Plan, Purchase
from milp_planner.units import usd_shown

MOST_CHANGES_SAID = 4
SAME_USD = 0.005
PLAIN_BILLINGS = ("dedicated", "per_token")
"""Ways to pay that go without saying."""

Row = dict[str, Any]


def what_changed(plan: Plan, other: Plan) -> str:
    """`2 x h100-80gb-sxm at runpod instead of 1 x b200-180gb-sxm at verda`, by workload.

    What is said of one alternative of `plan` cannot be taken for what is said of another.
    """
    rows = changes(plan, other)
    names = _names((plan, other, *plan.alternatives))
    said = []
    for w in plan.workloads:
        mine = [row for row in rows if row["workload"] == w.name]
        if mine:
            prefix = f"{w.name}: " if len(plan.workloads) > 1 else ""
            said.append(prefix + _said_of(mine, names))
    return "; ".join(said) or "same units"


def combines(plan: Plan, other: Plan, earlier: Sequence[Plan]) -> tuple[int, ...]:
    """Indices of two `earlier` plans whose changes together are those of `other`; () if none."""
    wanted = _changes(plan, other)
    known = [_changes(plan, one) for one in earlier]
    for j, second in enumerate(known):
        for i, first in enumerate(known[:j]):
            apart = not {key[:3] for key in first} & {key[:3] for key in second}
            if apart and first | second == wanted:
                return i, j
    return ()


def trade(plan: Plan, other: Plan, decimals: int = 2) -> str:
    """`$66 dearer, 1 provider fewer`: what the other plan costs more, and what else is different.

    Amounts are differences of what is shown: of both sides rounded to `decimals`.
    """
    said = [*_money(plan, other, decimals)]
    said += (words for aspect in TRADES for words in aspect(plan, other))
    return ", ".join(said)


def twin_notes(plans: Iterable[Plan], twins: Mapping[str, Sequence[str]]) -> Iterator[SameAs]:
    """A note for every offering bought that stands for others, too: ids by the id of the one."""
    bought = {p.candidate.offering.id for plan in plans for p in plan.purchases}
    for name in sorted(bought & twins.keys()):
        place, _, _ = name.rpartition("/")
        yield SameAs(
            name,
            regions=tuple(id_.rpartition("/")[2] for id_ in twins[name] if _is_at(id_, place)),
            others=tuple(id_ for id_ in twins[name] if not _is_at(id_, place)),
        )


def _is_at(offering: str, place: str) -> bool:
    """True for `provider/name/region` at the same provider under the same name."""
    return offering.rpartition("/")[0] == place


# --- what changed -------------------------------------------------------------------------------


def _changes(plan: Plan, other: Plan) -> dict[tuple[Any, ...], tuple[float, ...]]:
    """How much changes, in thousandths, by workload, offering, billing and configuration."""
    return {
        tuple(row[name] for name in KEYS): tuple(round(1000 * row[name]) for name in AMOUNTS)
        for row in changes(plan, other)
    }


KEYS = ("workload", "offering", "billing", "precision", "tensor_parallel")
AMOUNTS = ("units", "unit_hours_per_month", "requests_share")


def _said_of(rows: Sequence[Row], names: Mapping[object, str]) -> str:
    """The changes of one workload."""
    configured = Counter((row["offering"], row["billing"]) for row in rows)

    def listed(side: Sequence[Row]) -> str:
        said = []
        for row in side[:MOST_CHANGES_SAID]:
            offering = row["offering"], row["billing"]
            ambiguous = configured[offering] > 1
            configuration = f" {row['precision']} tp {row['tensor_parallel']}" if ambiguous else ""
            said.append(f"{_how_much(row)} {names[offering]}{configuration}")
        left_out = len(side) - len(said)
        return " + ".join([*said, f"{left_out} more"] if left_out else said)

    added = listed([row for row in rows if _amount(row) > 0])
    removed = listed([row for row in rows if _amount(row) < 0])
    if added and removed:
        return f"{added} instead of {removed}"
    return f"adds {added}" if added else f"leaves out {removed}"


def _amount(row: Row) -> float:
    return float(next((row[name] for name in AMOUNTS if row[name]), 0.0))


def _how_much(row: Row) -> str:
    if row["units"]:
        return f"{abs(row['units'])} x"
    if row["unit_hours_per_month"]:
        return f"{abs(row['unit_hours_per_month']):,.0f} unit-h of"
    return f"{abs(row['requests_share']) * 100:.3g} % of requests"


def _names(plans: Iterable[Plan]) -> dict[object, str]:
    """What each offering is called: the shortest name that is its alone in these plans."""
    left = {p.candidate.offering.key: p.candidate for plan in plans for p in plan.purchases}
    names: dict[object, str] = {}
    for naming in NAMINGS:
        shared = Counter(naming(k) for k in left.values())
        names |= {key: naming(k) for key, k in left.items() if shared[naming(k)] == 1}
        left = {key: k for key, k in left.items() if key not in names}
    return names


def _by_gpu(k: Candidate) -> str:
    if k.mode.per_token:
        return f"per token at {k.provider}"
    gpus = f"{k.gpus_per_unit} x {k.gpu}" if k.gpus_per_unit > 1 else k.gpu
    return f"{gpus} at {k.provider}{_billing(k)}"


def _by_region(k: Candidate) -> str:
    return f"{_by_gpu(k)} in {k.region}"


def _by_offering(k: Candidate) -> str:
    return f"{k.offering.id}{_billing(k)}"


def _billing(k: Candidate) -> str:
    return "" if k.offering.billing in PLAIN_BILLINGS else f" {k.offering.billing}"


NAMINGS: tuple[Callable[[Candidate], str], ...] = (
    _by_gpu,
    _by_region,
    _by_offering,
)
"""Names from short to long; the last is unique."""


# --- what is traded -----------------------------------------------------------------------------


def _money(plan: Plan, other: Plan, decimals: int) -> Iterator[str]:
    """Dearer or cheaper in score; and in cash, where that is another amount."""
    extra = _minus(other.score_usd_per_month, plan.score_usd_per_month, decimals)
    paid = _minus(other.cash_usd_per_month, plan.cash_usd_per_month, decimals)
    if abs(extra) <= SAME_USD:
        yield "same cost" if abs(paid) <= SAME_USD else "same score"
    else:
        yield f"{_usd(extra, decimals)} {'dearer' if extra > 0 else 'cheaper'}"
    if abs(paid - extra) > SAME_USD:
        much = f"{_usd(paid, decimals)} {'more' if paid > 0 else 'less'}"
        yield f"{much} cash" if abs(paid) > SAME_USD else "same cash"


def _counts(plan: Plan, other: Plan) -> Iterator[str]:
    for thing, count in COUNTS.items():
        extra = count(other) - count(plan)
        if extra:
            plural = "" if abs(extra) == 1 else "s"
            yield f"{abs(extra)} {thing}{plural} {'more' if extra > 0 else 'fewer'}"


COUNTS: dict[str, Callable[[Plan], int]] = {
    "provider": lambda plan: len(plan.providers),
    "GPU": lambda plan: plan.gpus,
}


def _bands(plan: Plan, other: Plan) -> Iterator[str]:
    several = len(plan.workloads) > 1
    for before, after in zip(plan.workloads, other.workloads, strict=True):
        if before.band != after.band:
            of = f" for {after.name}" if several else ""
            yield f"{after.band} band instead of {before.band}{of}"


def _served(plan: Plan, other: Plan) -> Iterator[str]:
    several = len(plan.workloads) > 1
    for before, after in zip(plan.workloads, other.workloads, strict=True):
        extra = after.shortfall_share - before.shortfall_share
        if abs(extra) > 0.0005:
            of = f" of {after.name}" if several else ""
            more = "more" if extra > 0 else "less"
            yield f"{100 * abs(extra):.1f} % {more}{of} unserved at the peak"


def _commitment(plan: Plan, other: Plan) -> Iterator[str]:
    before, after = (sum(p.commitment_usd for p in x.purchases) for x in (plan, other))
    if before > SAME_USD >= after:
        yield "no commitment"
    elif abs(after - before) > SAME_USD:
        yield f"commits {_usd(after)}"


def _spot(plan: Plan, other: Plan) -> Iterator[str]:
    before, after = (_interruptible(x.purchases) for x in (plan, other))
    if before != after:
        yield f"{after} interruptible GPU{'' if after == 1 else 's'}" if after else "no spot"


def _interruptible(purchases: Iterable[Purchase]) -> int:
    return sum(p.gpus for p in purchases if p.candidate.mode.interruptible)


def _minus(one: float | None, other: float | None, decimals: int) -> float:
    assert one is not None, "an alternative is a plan, and is compared with a plan"
    assert other is not None, "an alternative is a plan, and is compared with a plan"
    return round(one, decimals) - round(other, decimals)


def _usd(amount: float, decimals: int = 0) -> str:
    return usd_shown(abs(amount), decimals)


TRADES: tuple[Callable[[Plan, Plan], Iterator[str]], ...] = (
    _counts,
    _bands,
    _served,
    _commitment,
    _spot,
)
"""What is compared beside the money, in order. To add an aspect, write it and name it here."""
