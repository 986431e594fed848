"""What the records of `reasons.py` and a diagnosis say in words, and as lines.

The document and every report take their words from here, so that they say the same. What a record
says names no style: whoever shows it escapes it. To word a new record, add it to `SENTENCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from milp_planner.plans.diagnosis import Change, Diagnosis, Misfit
from milp_planner.plans.reasons import (
    AboveBudget,
    AlternativesEnded,
    AlternativesNote,
    BatchesDone,
    CatalogTooSmall,
    ClassUnserved,
    EndReason,
    FewestGpusFirst,
    LatencyNotAssessed,
    LimitInTheWay,
    LlmsChosen,
    NearOptimal,
    NoFleet,
    NoFullLoad,
    NothingIsStrict,
    NothingServes,
    OverloadCannotOccur,
    PerfectForesight,
    Reason,
    Remark,
    RoutingWithoutEffect,
    Said,
    SameAs,
    ServedInPart,
    ShortBudget,
    StrictNeverHot,
    TargetWithoutEffect,
    TimeNotJudged,
    TimeReplayed,
    UnitsKeptApart,
    UnservedAtAPrice,
    WaitIdle,
    WaitKept,
)
from milp_planner.plans.records import MEDIUM_BAND, Plan

MOST_FITS_SHOWN = 12
MOST_TWINS_SAID = 3

BUDGET = "limits.budget.usd_per_month"


def sentence(record: Reason | Remark | AlternativesNote) -> str:
    """What a record says, on one line, without a full stop."""
    return SENTENCES[type(record)](record)


def warning_lines(plan: Plan) -> tuple[str, ...]:
    """What a reader of a plan would otherwise miss, in words.

    plan: what `solve` gives, or read from its document.

    Returns one line for each of `plan.warnings`. Raises AttributeError for anything but a Plan.

    >>> from milp_planner import load_problem, solve, warning_lines
    >>> plan = solve(load_problem("problems/inference-atlas/llama-8b-steady.yaml"))
    >>> [line for line in warning_lines(plan) if "priced" in line]
    []
    """
    return tuple(map(sentence, plan.warnings))


def alternatives_text(plan: Plan) -> str:
    """What is to be known of the next-best plans, a line each; '' when there is nothing."""
    return "\n".join(map(sentence, plan.alternatives_notes))


# ---- why there is no plan


def reason_lines(plan: Plan) -> tuple[str, ...]:
    """Why there is no plan and what would give one, in words.

    plan: what `solve` gives, or read from its document.

    Returns lines, none when there is a fleet. Raises AttributeError for anything but a Plan.

    >>> from milp_planner import load_problem, reason_lines, solve
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> plan = solve(problem.changed({"limits.budget": {"usd_per_month": 1000}}))
    >>> reason_lines(plan)[0]
    'the cheapest plan costs $1,260.00 per month, $260.00 above the budget of $1,000.00'
    """
    if plan.diagnosis is None or any(isinstance(r, Said) for r in plan.reasons):
        return tuple(line for reason in plan.reasons for line in _told(reason))
    return tuple(_diagnosis_lines(plan.diagnosis, plan.reasons))


def first_reason(plan: Plan) -> str:
    """Why there is no plan, on one line; '' where that is not known."""
    return next(iter(reason_lines(plan)), "")


def _told(reason: Reason) -> Iterator[str]:
    yield sentence(reason)
    yield from _details(reason)


def _details(reason: Reason) -> Iterator[str]:
    """What is below the reason's own line."""
    if isinstance(reason, NothingServes):
        for found in reason.refusals:
            several = "s" if found.offerings > 1 else ""
            yield f"  {found.reason} ({found.offerings} offering{several})"
    if isinstance(reason, ClassUnserved):
        yield from (f"  {obstacle}" for obstacle in reason.obstacles)


def _diagnosis_lines(diagnosis: Diagnosis, brief: Sequence[Reason]) -> Iterator[str]:
    """The diagnosis, beginning with the `brief` reasons known before it."""
    if diagnosis.fits:
        yield from map(sentence, brief[:1])
        yield from _fit_lines(diagnosis.fits)
        yield from map(sentence, brief[1:])
    else:
        yield sentence(diagnosis.headline)
        yield from _details(brief[0])
        yield from (line for reason in brief[1:] for line in _told(reason))
    if len(diagnosis.conflict) > 1 and not diagnosis.fits:
        yield f"These {len(diagnosis.conflict)} limits cannot be kept together:"
        yield from _columns([["", path, value] for path, value in diagnosis.conflict])
    yield from _remedy_lines(diagnosis)
    if diagnosis.not_reached:
        yield f"Left open by the time limit or the solvers: {'; '.join(diagnosis.not_reached)}"


def _remedy_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """What would give a plan."""
    if diagnosis.changes and not _is_said(diagnosis):
        several = len(diagnosis.changes) > 1
        yield "Any one of these gives a plan:" if several else "This gives a plan:"
        yield from _change_lines(diagnosis.changes)
    if diagnosis.combination:
        usd = _usd(diagnosis.combination_usd_per_month or 0.0, 0)
        yield f"No single change gives a plan. These together do, for {usd} per month:"
        yield from _columns([["", c.path, c.text] for c in diagnosis.combination])


def _is_said(diagnosis: Diagnosis) -> bool:
    """True where the headline about the budget has said the only change already."""
    only = diagnosis.changes[0].path if len(diagnosis.changes) == 1 else ""
    return only == BUDGET and len(diagnosis.conflict) == 1


def _change_lines(changes: Sequence[Change]) -> Iterator[str]:
    yield from _columns(
        [["", c.path, c.text, f"{_usd(c.cash_usd_per_month, 0)} per month"] for c in changes]
    )


def _fit_lines(fits: Sequence[Misfit]) -> Iterator[str]:
    nearest = next((i for i, fit in enumerate(fits) if fit.fastest_tpot_s is not None), None)
    rows = [
        [
            "",
            f"{fit.gpu} tp {fit.tensor_parallel}",
            fit.precision,
            fit.reason + ("    <- nearest" if i == nearest else ""),
        ]
        for i, fit in enumerate(fits[:MOST_FITS_SHOWN])
    ]
    yield from _columns(rows)
    if len(fits) > MOST_FITS_SHOWN:
        yield f"  and {len(fits) - MOST_FITS_SHOWN} more replica sizes"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


# ---- one sentence each


def _above_budget(r: AboveBudget) -> str:
    above, budget = r.cheapest_usd - r.budget_usd, r.budget_usd
    return (
        f"the cheapest plan{'' if r.proven else ' found'} costs {_usd(r.cheapest_usd)} per month, "
        f"{_usd(above)} above the budget of {_usd(budget)}"
    )


def _class_unserved(r: ClassUnserved) -> str:
    size = f"requests of {r.request_class} tokens"
    return f"workload {r.workload!r}: no allowed offering can serve {size}"


def _latency_not_assessed(r: LatencyNotAssessed) -> str:
    return (
        f"workload {r.workload!r} has a strict latency requirement; the latency of "
        f"{', '.join(r.offerings)} is not assessed"
    )


def _wait_kept(r: WaitKept) -> str:
    allowed = f"{_percent(round(r.allowed, 2))} with {r.replicas} replica{'s' * (r.replicas != 1)}"
    if r.replicas > 1:
        alone = _percent(round(r.allowed_alone, 2))
        own = " of its own" if r.offering else ""
        allowed += f", {alone} with 1, behind {'a' if own else 'one'} least-in-flight router{own}"
    gaps = f", gaps with a cv of {r.burstiness:.3g}" * (r.burstiness > 1)
    doubt = "" if r.judged else "; not judged: bursts leave too little of the pool for the formulas"
    at = ""
    if r.offering:
        at = f" before {r.offering}"
        sent = ", ".join(f"{name} {_percent(round(share, 3))}" for name, share in r.sent)
        doubt += f"; of the requests are sent: {sent}" * (len(r.sent) > 1)
    ways = ", ".join(f"{q} {_percent(round(x, 3))} to {to}" for q, to, x in r.sent_by_class)
    doubt += f"; kept where the router knows the sizes, tokens: {ways}" * bool(ways)
    return (
        f"{r.workload!r}: the {r.what} is {_duration(r.reached_s)}{at} in block {r.block}, "
        f"{_duration(r.wished_s)} is wished; queues allow {allowed}{gaps}{doubt}"
    )


def _wait_idle(r: WaitIdle) -> str:
    said = (
        f"{r.workload!r}: the {r.what} of {_duration(r.wished_s)} binds nothing: no replica that "
        f"may be planned takes longer than {_duration(r.least_s)}"
    )
    return said + f"; not judged: {', '.join(r.unknown)}" * bool(r.unknown)


def _llms_chosen(r: LlmsChosen) -> str:
    served = ", ".join(f"{_figure(share)} by {llm}" for llm, share in r.shares)
    said = f"{r.workload!r} is served {served or 'by nobody'}"
    if r.quality is None:
        return said
    asked = "" if r.asked is None else f", at least {r.asked:g} is asked"
    source = f" in {r.source}" if r.source else ""
    return f"{said}: a mean quality of {r.quality:.4g} as stated{source}{asked}"


def _batches_done(r: BatchesDone) -> str:
    idle = "in the time that their own load leaves"
    done = [f"{_figure(share)} by units of {name!r} {idle}" for name, share in r.by_idle]
    done += [f"{_figure(r.by_own)} by units of its own"] * (r.by_own > 0)
    done += [f"{_figure(r.per_token)} per token"] * (r.per_token > 0)
    return f"the batches of {r.workload!r} are done {', '.join(done) or 'by nobody'}"


def _time_not_judged(r: TimeNotJudged) -> str:
    held = "it is held as a mean at full load" if r.held else "no rate in the plan says its mean"
    return (
        f"{r.workload!r}: the {r.what}, wished {_duration(r.wished_s)}, is not judged: {held}; a "
        "replay, as slow as planned on, tells what it comes to"
    )


def _time_replayed(r: TimeReplayed) -> str:
    came = "never" if r.reached_s is None else _duration(r.reached_s)
    verdict = "kept" if r.kept else f"missed by {_figure(r.missed_share, 2)} of the requests"
    said = (
        f"{r.workload!r}: the {r.what}, wished {_duration(r.wished_s)}, is {came} in a replay: "
        f"{verdict}"
    )
    return said + f"; not replayed: {', '.join(r.unknown)}" * bool(r.unknown)


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if 0 < seconds < 0.9995 else f"{seconds:.3g} s"


def _overload_cannot_occur(r: OverloadCannotOccur) -> str:
    return (
        f"the overload penalty cannot occur: it starts above {_percent(r.above)} utilization, "
        f"and no workload may run above {_percent(r.highest)}"
    )


def _nothing_is_strict(r: NothingIsStrict) -> str:
    return (
        "the strict latency penalty cannot occur: no workload has a latency requirement "
        f"below {r.below_s * 1000:g} ms"
    )


def _strict_never_hot(r: StrictNeverHot) -> str:
    return (
        "the strict latency penalty cannot occur: it needs the high band, above "
        f"{_percent(MEDIUM_BAND)} utilization, and no strict workload may run above "
        f"{_percent(r.highest)}"
    )


def _target_without_effect(r: TargetWithoutEffect) -> str:
    return (
        f"the utilization ceiling of {_percent(r.ceiling)} is above the target of "
        f"{_percent(r.target)} and no penalty is set on it: the target has no effect"
    )


def _routing_without_effect(_: RoutingWithoutEffect) -> str:
    return (
        "policy.routing: per_offering changes a replay's router only: no wish for a wait or for "
        "whole requests has queues judged"
    )


def _units_kept_apart(r: UnitsKeptApart) -> str:
    return (
        "units of several GPUs have room for other workloads, and belong to one each: beside "
        f"{r.key} they are not shared unless policy.share says so"
    )


def _unserved_at_a_price(r: UnservedAtAPrice) -> str:
    return (
        f"up to {_figure(r.share, 2)} of {r.workload!r} is left unserved: at "
        f"{_usd(r.penalty_usd)} per month that is cheaper than to serve it"
    )


def _short_budget(r: ShortBudget) -> str:
    served = ", ".join(f"{_figure(share)} of {workload}" for workload, share in r.served)
    said = f"the budget of {_usd(r.budget_usd)} is short: at the peak it serves {served}"
    if r.everything_usd is None:
        return said
    return f"{said}; to serve everything costs {_usd(r.everything_usd)}"


def _fewest_gpus_first(r: FewestGpusFirst) -> str:
    gpus = "1 GPU" if r.gpus == 1 else f"{r.gpus} GPUs"
    if r.proven:
        return f"objective gpus: no fleet has fewer than {gpus}, and none with {gpus} is cheaper"
    return f"objective gpus: that {gpus} are the fewest, and this fleet the cheapest, is not proven"


def _perfect_foresight(r: PerfectForesight) -> str:
    said = (
        f"{r.workload!r} costs {_usd(r.plan_usd_per_month, 0)} per month because its hours are "
        f"known beforehand: an autoscaler on {r.offering} that follows the load would pay "
        f"{_usd(r.reactive_usd_per_month, 0)}"
    )
    if r.late_share >= LEAST_LATE:
        said += f", and be late for {_figure(r.late_share)} of the requests"
    return said


LEAST_LATE = 0.0005
"""Share of the requests below which nothing is said of it."""


def _too_few_units(r: CatalogTooSmall) -> str:
    said = "the catalog has too few units (max_units)"
    lacking = (
        f"{one.enough - one.units} more of {one.offering} {one.billing} ({one.enough} in all)"
        for one in r.too_few
    )
    return f"{said}: with {' and '.join(lacking)} there is a plan" if r.too_few else said


def _served_in_part(r: ServedInPart) -> str:
    served = ", ".join(
        f"{_figure(rate / peak if peak else 1)} of {workload} ({rate:.4g} of {peak:.4g})"
        for workload, rate, peak in r.served
    )
    said = f"not everything can be served: at the peak {served}"
    return f"{said}; used up: {', '.join(r.used_up)}" if r.used_up else said


def _alternatives_ended(r: AlternativesEnded) -> str:
    near = "" if r.within is None else f" within {_percent(r.within)}"
    return {
        EndReason.NONE_LEFT: f"no further plan{near} differs by {r.differ_by}",
        EndReason.STOPPED: "stopped early, as asked: there may be more",
        EndReason.INTERRUPTED: "interrupted: there may be more",
        EndReason.TIME_LIMIT: "the time limit ended the search for further plans",
    }[r.reason]


def _near_optimal(r: NearOptimal) -> str:
    first = r.prefer.replace("_", " ").replace("gpu", "GPU") if r.prefer else "cheapest"
    return f"plans that score at most {_percent(r.within)} more than the best, {first} first"


def _same_as(r: SameAs) -> str:
    said = [
        f"the same {word} {_first_of(names)}"
        for word, names in (("in", r.regions), ("as", r.others))
        if names
    ]
    return f"{r.offering}: {', '.join(said)}"


def _first_of(names: Sequence[str]) -> str:
    more = len(names) - MOST_TWINS_SAID
    return ", ".join(names[:MOST_TWINS_SAID]) + (f" and {more} more" if more > 0 else "")


def _usd(amount: float, decimals: int = 2) -> str:
    return f"${amount:,.{decimals}f}"


def _figure(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


SENTENCES: Mapping[type, Callable[[Any], str]] = {
    NothingServes: lambda r: f"workload {r.workload!r} cannot be served by any allowed offering",
    ClassUnserved: _class_unserved,
    AboveBudget: _above_budget,
    NoFleet: lambda r: "no fleet keeps all limits together",
    LimitInTheWay: lambda r: f"no fleet keeps {r.path}: {r.value}",
    CatalogTooSmall: _too_few_units,
    Said: lambda r: r.text,
    LatencyNotAssessed: _latency_not_assessed,
    WaitIdle: _wait_idle,
    WaitKept: _wait_kept,
    TimeNotJudged: _time_not_judged,
    TimeReplayed: _time_replayed,
    BatchesDone: _batches_done,
    LlmsChosen: _llms_chosen,
    NoFullLoad: lambda r: (
        "the overload penalty cannot occur: a ramp above 100 % has no full load to end at"
    ),
    OverloadCannotOccur: _overload_cannot_occur,
    NothingIsStrict: _nothing_is_strict,
    StrictNeverHot: _strict_never_hot,
    RoutingWithoutEffect: _routing_without_effect,
    TargetWithoutEffect: _target_without_effect,
    UnitsKeptApart: _units_kept_apart,
    UnservedAtAPrice: _unserved_at_a_price,
    ShortBudget: _short_budget,
    FewestGpusFirst: _fewest_gpus_first,
    PerfectForesight: _perfect_foresight,
    ServedInPart: _served_in_part,
    AlternativesEnded: _alternatives_ended,
    NearOptimal: _near_optimal,
    SameAs: _same_as,
}
"""What each record says."""
