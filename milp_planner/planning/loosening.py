"""Every limit of a problem, and how it is loosened: dropped, or by as little as gives a plan.

To make a limit known to `explain --limits` and to the diagnosis, add its record to `limits_of`.
All changes are patches, dotted keys of the problem, that a user can write into the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from milp_planner.inputs.billing import BILLING_MODES
from milp_planner.inputs.catalog import Catalog
from milp_planner.inputs.patching import Patch
from milp_planner.inputs.problem import Filter, Problem, Workload
from milp_planner.milp.limits import Weight, unit_change_of, user_quotas
from milp_planner.milp.rows import most_at_once
from milp_planner.planning.plan import Plan
from milp_planner.planning.prepare import precisions_of
from milp_planner.planning.scenarios import allowed_billings
from milp_planner.serving.candidates import Candidate, PlanningInput

BANDS = ("low", "medium", "high")

Values = Sequence[Any]
"""Values of a limit from the nearest to today's to the loosest that can matter."""


@dataclass(frozen=True)
class Limit:
    """One limit in force."""

    path: str
    """The key, as the user would find it: `limits.max_gpus.total`."""

    said: str
    """Its value, with the unit: `8 GPUs`."""

    free: Patch
    """Drops it."""

    by_default: bool = False
    """True for what holds without being written, such as the utilization target."""


@dataclass(frozen=True)
class Cash(Limit):
    """The budget: what it must be is known exactly once money does not count."""

    usd: float = 0.0


@dataclass(frozen=True)
class Rungs(Limit):
    """A limit with values in order."""

    looser: Callable[[Plan], Values] = lambda plan: ()
    """Looser values, up to what a plan without the limit uses; of None, to the very loosest."""

    tighter: Values = ()
    """Tighter values, the nearest first; empty where tightening is of no interest."""

    patch: Callable[[Any], Patch] = lambda value: {}
    text: Callable[[Any], str] = str
    """What to do, in words, for a looser value."""

    shown: Callable[[Any], str] = str
    is_quota: bool = False


@dataclass(frozen=True)
class Names(Limit):
    """A limit on what may be used, by name."""

    uses: Callable[[Plan], set[str]] = lambda plan: set()
    """The names a plan uses that the limit rules out."""

    ruled_out: tuple[str, ...] = ()
    """All names that the limit rules out."""

    allowing: Callable[[Sequence[str]], Patch] = lambda names: {}
    text: Callable[[Sequence[str]], str] = lambda names: f"allow {', '.join(names)}"


def limits_of(given: PlanningInput) -> tuple[Limit, ...]:
    """Every limit in force: those nearest to a user's wishes first, money last."""
    problem = given.problem
    found: list[Limit] = []
    for w in problem.workloads:
        found += _workload_limits(given, w)
    found += [_target(problem), _billing(given)]
    found += _filters(given)
    found += [*_fractions(problem), *_survival(problem), *_counts(given), *_quotas(given)]
    found += _budget(problem)
    return tuple(found)


# ---- one workload


def _workload_limits(given: PlanningInput, w: Workload) -> Iterator[Limit]:
    at = f"workloads.{w.name}"
    yield from _precisions(given, w, at)
    if w.tensor_parallel is not None:
        yield _tensor_parallel(w, at)
    if w.min_replicas > 1:
        yield Rungs(
            f"{at}.min_replicas",
            f"{w.min_replicas}",
            {f"{at}.min_replicas": 1},
            looser=lambda plan: range(w.min_replicas - 1, 0, -1),
            patch=lambda n: {f"{at}.min_replicas": n},
            text=lambda n: f"ask for {n} replica{'s' * (n > 1)} of {w.name}",
        )
    for key, wish in (("ttft", w.latency.ttft_s), ("tpot", w.latency.tpot_s)):
        if wish is not None:
            yield _latency(w, f"{at}.latency.{key}", key, wish)
    if w.latency.max_band in ("low", "medium"):
        yield _band(w, f"{at}.latency.max_band")


def _latency(w: Workload, path: str, key: str, wish_s: float) -> Limit:
    step_ms = time_step_ms(wish_s)
    first = math.floor(wish_s * 1000 / step_ms + 1e-9) + 1

    def looser(plan: Plan) -> Values:
        mine = next(p for p in plan.workloads if p.name == w.name)
        needed_s = mine.tpot_s if key == "tpot" else mine.ttft_s
        last = 0 if needed_s is None else math.ceil(needed_s * 1000 / step_ms - 1e-9)
        return range(first, last + 1)

    def shown(steps: int) -> str:
        return _time(steps * step_ms)

    return Rungs(
        path,
        _time(wish_s * 1000),
        {path: None},
        looser=looser,
        tighter=range(math.ceil(wish_s * 1000 / step_ms - 1e-9) - 1, 0, -1),
        patch=lambda steps: {path: f"{steps * step_ms:.10g}ms"},
        text=lambda steps: f"accept a {key} of {shown(steps)} for {w.name}",
        shown=shown,
    )


def _time(ms: float) -> str:
    return f"{ms:.4g} ms" if ms < 1000 else f"{ms / 1000:.4g} s"


def time_step_ms(seconds: float) -> float:
    """The step in which a time is searched, in ms: 0.1 below 10 ms, 1 below a second, else 10."""
    return 0.1 if seconds < 0.01 else 1.0 if seconds < 1 else 10.0


def _band(w: Workload, path: str) -> Limit:
    now = w.latency.max_band
    assert now is not None
    return Rungs(
        path,
        now,
        {path: None},
        looser=lambda plan: BANDS[BANDS.index(now) + 1 :],
        patch=lambda band: {path: band},
        text=lambda band: f"accept {band} for {w.name}",
    )


def _precisions(given: PlanningInput, w: Workload, at: str) -> Iterator[Limit]:
    llm = given.catalog.llm(w.llm)
    if w.precision is None or llm is None:
        return
    now = w.precision
    offered = precisions_of(llm.native_precision)
    others = tuple(p for p in offered if p not in now)
    if others:
        yield Names(
            f"{at}.precision",
            ", ".join(now),
            {f"{at}.precision": [*now, *others]},
            uses=lambda plan: {p.candidate.precision for p in plan.purchases_of(w.name)} - {*now},
            ruled_out=others,
            allowing=lambda names: {f"{at}.precision": [*now, *names]},
            text=lambda names: f"allow {', '.join(names)} for {w.name}",
        )


def _tensor_parallel(w: Workload, at: str) -> Limit:
    now = w.tensor_parallel
    assert now is not None
    path = f"{at}.tensor_parallel"

    def used(plan: Plan) -> set[str]:
        sizes = {p.candidate.tensor_parallel for p in plan.purchases_of(w.name)}
        return {str(size) for size in sizes - {0, *now}}

    return Names(
        path,
        ", ".join(map(str, now)),
        {path: None},
        uses=used,
        ruled_out=tuple(str(n) for n in (1, 2, 4, 8) if n not in now),
        allowing=lambda names: {path: [*now, *map(int, names)]},
        text=lambda names: f"allow {', '.join(names)} GPUs per replica for {w.name}",
    )


# ---- policy, and what may be used


def _target(problem: Problem) -> Limit:
    utilization = problem.policy.utilization
    path = "policy.utilization.target"

    def patch(percent: int) -> Patch:
        ceiling = None if utilization.ceiling is None else max(utilization.ceiling, percent / 100)
        return {"policy.utilization": {"target": percent / 100, "ceiling": ceiling}}

    now = utilization.highest
    return Rungs(
        path,
        f"{now:.0%}".replace("%", " %"),
        patch(100),
        by_default=True,
        looser=lambda plan: range(math.floor(now * 100 + 1e-9) + 1, 101),
        patch=patch,
        text=lambda percent: f"plan for a utilization of {percent} %",
        shown=lambda percent: f"{percent} %",
    )


def _billing(given: PlanningInput) -> Limit:
    problem = given.problem
    allowed = allowed_billings(problem)
    sold = {row.billing for row in given.catalog.offerings}
    sold |= {row.billing for row in given.catalog.token_prices}
    others = tuple(b for b in BILLING_MODES if b in sold and b not in allowed)
    path = "limits.billing.allow"
    return Names(
        path,
        ", ".join(allowed),
        {path: [*allowed, *others]},
        by_default=not problem.limits.billing.allow,
        uses=lambda plan: {p.candidate.mode.name for p in plan.purchases} - {*allowed},
        ruled_out=others,
        allowing=lambda names: {path: [*allowed, *names]},
        text=lambda names: f"allow {', '.join(names)} billing",
    )


NAME_OF: dict[str, Callable[[Candidate], str]] = {
    "providers": lambda k: k.provider,
    "regions": lambda k: k.region,
    "gpus": lambda k: k.gpu,
    "offerings": lambda k: k.offering.id,
}


def _filters(given: PlanningInput) -> Iterator[Limit]:
    for kind, name_of in NAME_OF.items():
        kept: Filter = getattr(given.problem.limits, kind)
        if kept.allow or kept.deny:
            yield _filter(given.catalog, kind, kept, name_of)


def _filter(
    catalog: Catalog, kind: str, kept: Filter, name_of: Callable[[Candidate], str]
) -> Limit:
    path = f"limits.{kind}"
    names = names_in(catalog, kind)
    said = [f"allow {', '.join(kept.allow)}"] * bool(kept.allow)
    said += [f"deny {', '.join(kept.deny)}"] * bool(kept.deny)

    def used(plan: Plan) -> set[str]:
        mine = {name_of(p.candidate) for p in plan.purchases} - {""}
        return {name for name in mine if is_ruled_out(kept, name)}

    return Names(
        path,
        "; ".join(said),
        {f"{path}.allow": [], f"{path}.deny": []},
        uses=used,
        ruled_out=tuple(name for name in names if is_ruled_out(kept, name)),
        allowing=lambda extra: _filter_allowing(path, kept, extra, names),
    )


def names_in(catalog: Catalog, kind: str) -> list[str]:
    """Every provider, region, GPU type or offering of a catalog, in order."""
    if kind == "gpus":
        return sorted(catalog.gpus)
    rows = (*catalog.offerings, *catalog.token_prices)
    attribute = {"providers": "provider", "regions": "region", "offerings": "id"}[kind]
    return sorted({getattr(row, attribute) for row in rows})


def is_ruled_out(kept: Filter, name: str) -> bool:
    """True where a filter leaves the name out."""
    if any(fnmatchcase(name, pattern) for pattern in kept.deny):
        return True
    return bool(kept.allow) and not any(fnmatchcase(name, p) for p in kept.allow)


def _filter_allowing(path: str, kept: Filter, extra: Iterable[str], names: Sequence[str]) -> Patch:
    """The filter with more names let through; a pattern that denies one is written out."""
    extra = list(extra)
    hit = [p for p in kept.deny if any(fnmatchcase(name, p) for name in extra)]
    others = [
        name
        for name in names
        if name not in extra and any(fnmatchcase(name, pattern) for pattern in hit)
    ]
    deny = [*(p for p in kept.deny if p not in hit), *others]
    missing = [name for name in extra if not any(fnmatchcase(name, p) for p in kept.allow)]
    allow = [*kept.allow, *missing] if kept.allow else []
    return {f"{path}.allow": allow, f"{path}.deny": deny}


# ---- shares, counts, quotas, money


def _fractions(problem: Problem) -> Iterator[Limit]:
    limits = problem.limits
    for path, what, share in (
        ("limits.providers.max_share", "one provider hold", limits.providers.max_share),
        ("limits.spot_share", "spot hold", limits.spot_share),
    ):
        if share is not None and share < 1:
            yield _fraction(path, what, share)


def _fraction(path: str, what: str, share: float) -> Limit:
    return Rungs(
        path,
        _percent(share),
        {path: None},
        looser=lambda plan: range(math.floor(share * 100 + 1e-9) + 1, 101),
        tighter=range(math.ceil(share * 100 - 1e-9) - 1, 0, -1),
        patch=lambda percent: {path: percent / 100},
        text=lambda percent: f"let {what} {percent} %",
        shown=lambda percent: f"{percent} %",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _survival(problem: Problem) -> Iterator[Limit]:
    survival = problem.limits.survival
    if survival is None:
        return
    path, kind = "limits.survive_loss_of", survival.kind
    one = f"an {kind}" if kind == "offering" else f"a {kind}"
    share = "" if survival.share == 1 else f", {_percent(survival.share)} left"
    lower = range(math.ceil(survival.share * 100 - 1e-9) - 1, 0, -1)

    def patch(percent: int) -> Patch:
        if not percent:
            return {path: "none"}
        return {path: {"kind": kind, "share": percent / 100}}

    def text(percent: int) -> str:
        if not percent:
            return f"do without surviving the loss of {one}"
        return f"let {percent} % of the peak be left after the loss of {one}"

    yield Rungs(
        path,
        f"{kind}{share}",
        {path: "none"},
        looser=lambda plan: (*lower, 0),
        patch=patch,
        text=text,
        shown=lambda percent: f"{percent} % left",
    )


def _counts(given: PlanningInput) -> Iterator[Limit]:
    problem = given.problem
    most = problem.limits.providers.at_most
    if most is not None:
        yield _count(
            "limits.providers.at_most",
            most,
            "provider",
            lambda plan: len(plan.providers),
            lambda n: f"allow {n} provider{'' if n == 1 else 's'}",
        )
    changed = problem.switching.max_units_changed
    if changed is not None:
        yield _count(
            "switching.max_units_changed",
            changed,
            "unit",
            lambda plan: sum(map(abs, unit_change_of(given, plan.purchases).values())),
            lambda n: f"let {n} unit{'' if n == 1 else 's'} change",
        )


def _quotas(given: PlanningInput) -> Iterator[Limit]:
    for name, weight, limit in user_quotas(given.problem):
        yield _quota(name, weight, int(limit))


def _quota(name: str, weight: Weight, limit: int) -> Limit:
    key, _, pattern = name.partition(" ")

    def used(plan: Plan) -> int:
        pairs = [(p, weight(p.candidate)) for p in plan.purchases]
        return int(most_at_once(pairs, len(plan.blocks)))

    return _count(
        f"limits.{key}" + (f".{pattern}" if pattern else ""),
        limit,
        "unit" if key == "max_units" else "GPU",
        used,
        lambda n: f"allow {_more(key, pattern, n - limit)} ({n} in all)",
        is_quota=True,
    )


def _more(key: str, pattern: str, n: int) -> str:
    """`2 more h100-80gb-sxm`, `2 more GPUs at aws`, `1 more unit of runpod/...`."""
    gpus = f"{n} more GPU{'s' * (n > 1)}"
    return {
        "max_gpus.per_gpu": f"{n} more {pattern}",
        "max_gpus.per_provider": f"{gpus} at {pattern}",
        "max_units": f"{n} more unit{'s' * (n > 1)} of {pattern}",
    }.get(key, gpus)


def _count(
    path: str,
    now: int,
    thing: str,
    used: Callable[[Plan], int],
    text: Callable[[int], str],
    *,
    is_quota: bool = False,
) -> Limit:
    return Rungs(
        path,
        f"{now} {thing}{'s' * (now != 1)}",
        {path: None},
        looser=lambda plan: range(now + 1, used(plan) + 1),
        tighter=range(now - 1, 0 if path.endswith("at_most") else -1, -1),
        patch=lambda n: {path: n},
        text=text,
        shown=lambda n: f"{n} {thing}{'s' * (n != 1)}",
        is_quota=is_quota,
    )


def _budget(problem: Problem) -> Iterator[Limit]:
    budget = problem.limits.budget
    if budget is not None and budget.when_short == "fail":
        path = "limits.budget.usd_per_month"
        said = f"${budget.usd_per_month:,.2f}".removesuffix(".00")
        yield Cash(path, said, {"limits.budget": None}, usd=budget.usd_per_month)


def merged_patch(*patches: Mapping[str, Any]) -> dict[str, Any]:
    """Several patches as one."""
    return {key: value for patch in patches for key, value in patch.items()}
