"""All candidates of a problem, and what turned every other offering down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import NamedTuple

from milp_planner.candidates.builder import (
    Rates,
    excluded_by,
    model_warnings,
    rate_point,
    stated_point,
    why_unpayable,
)
from milp_planner.candidates.doubts import doubts
from milp_planner.candidates.filters import Sold, is_ruled_out, notes_on_sellers
from milp_planner.candidates.own_terms import under_terms
from milp_planner.candidates.places import notes_on_regions
from milp_planner.candidates.quotes import quoted
from milp_planner.candidates.records import Candidate, CandidateList, RatePoint, TurnedDown
from milp_planner.candidates.shapes import ReplicaShape
from milp_planner.deadline import OutOfTime, checked
from milp_planner.inputs.catalog.records import Catalog, Gpu, Offering, TokenPrice
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.policies import is_sharing_open, shares_gpus, utilization_limit
from milp_planner.inputs.problem.records import Limits, Problem, Workload
from milp_planner.serving.derate import planning_quantile
from milp_planner.serving.memory import fit
from milp_planner.serving.rates.throughput import Rejection, ServingModel
from milp_planner.serving.shared_gpu import (
    MOST_MEMBERS,
    GpuMember,
    GpuSet,
    MemoryNeed,
    memory_percents,
    time_splits,
)
from milp_planner.traffic.month import RequestClass, Schedule

Lister = Callable[[Problem, Schedule, Catalog], CandidateList]
"""What lists candidates: all of them, or some."""


def lister_of(catalog: Catalog) -> Lister:
    """Lists all candidates of several problems over one catalog, and reckons each rate once."""
    return partial(list_candidates, model=ServingModel(catalog))


def list_candidates(
    problem: Problem,
    schedule: Schedule,
    catalog: Catalog,
    model: ServingModel | None = None,
    *,
    in_time: bool = False,
) -> CandidateList:
    """Every way to serve every workload of `problem`, in a fixed order.

    model: of the catalog, with what it knows already. in_time: where time is up before, all that
    serves the workloads listed until then; without it OutOfTime is raised.
    """
    candidates: list[Candidate] = []
    turned_down: list[TurnedDown] = []
    parts: list[Candidate] = []
    late: list[str] = []
    shy: tuple[str, ...] = ()
    model = ServingModel(catalog) if model is None else model
    sold: list[_Sold] = []
    for w in problem.workloads:
        try:
            if not sold:
                sold = [*_sold(problem, catalog)]  # the same for every workload
            found = _listed_for(w, problem, schedule, model, sold)
        except OutOfTime:
            if not in_time:
                raise
            late.append(w.name)
        else:
            candidates += found.candidates
            turned_down += found.turned_down
            parts += found.parts
    if shares_gpus(problem):
        rates = [
            Rates(catalog, model, problem, one, schedule.demands[w.name])
            for w in problem.workloads
            if w.name not in late
            for _, one in with_each_llm(w)
        ]
        if not in_time:  # who asks for what is listed in time plans nothing with it
            parts += on_shared_gpus(rates, (one.offering for one in sold if not one.reason))
        shy = tuple(
            f"{r.workload.name} shares no GPU: {why}" for r in rates if (why := why_alone(r))
        )
    looked_at = (*(k.offering for k in candidates), *(one.offering for one in turned_down))
    payable = (o for o in looked_at if not why_unpayable(problem.limits, o))
    return CandidateList(
        tuple(candidates),
        tuple(turned_down),
        model_warnings(candidates),
        notes=(*notes_on_filters(problem.limits, payable), *shy),
        doubts=tuple(doubts(problem, catalog, model, schedule)),
        not_reached=tuple(late),
        parts=tuple(parts),
    )


class _Sold(NamedTuple):
    """What is sold, under the problem's own terms, and why its limits turn it down; '' if not."""

    offering: Offering | TokenPrice
    reason: str


def _sold(problem: Problem, catalog: Catalog) -> Iterator[_Sold]:
    quotes = quoted(problem, catalog)
    every: list[Offering | TokenPrice] = [*catalog.offerings, *quotes, *catalog.token_prices]
    for listed in checked(every):
        offering = under_terms(problem.prices, listed, catalog.read_on)
        yield _Sold(offering, excluded_by(problem.limits, offering) or "")


class _Listed(NamedTuple):
    """What is listed for a workload."""

    candidates: list[Candidate]
    turned_down: list[TurnedDown]
    parts: list[Candidate]
    """One of each kind of unit: see `CandidateList`."""


def _listed_for(
    w: Workload,
    problem: Problem,
    schedule: Schedule,
    model: ServingModel,
    sold: Iterable[_Sold],
) -> _Listed:
    candidates: list[Candidate] = []
    turned_down: list[TurnedDown] = []
    units: dict[tuple[str, int], Offering] = {}
    catalog = model.catalog
    by_llm = {
        name: Rates(catalog, model, problem, one, schedule.demands[w.name])
        for name, one in with_each_llm(w)
    }
    for offering, reason in checked(sold):
        able = {
            name: rates
            for name, rates in by_llm.items()
            if not isinstance(offering, TokenPrice) or offering.llm == rates.llm_id
        }
        if not able:
            continue
        found = [] if reason else [(name, one.candidates(offering)) for name, one in able.items()]
        reasons = [reason] if reason else [why for _, why in found if isinstance(why, str)]
        if len(reasons) == max(1, len(found)):
            turned_down.append(TurnedDown(w.name, offering, "; ".join(dict.fromkeys(reasons))))
        for name, mine in found:
            if not isinstance(mine, str):
                candidates += [replace(k, llm=name) for k in mine] if name else mine
                if isinstance(offering, Offering):
                    units.setdefault((offering.gpu, offering.gpus_per_unit), offering)
    parts = [*_parts(by_llm, units.values())] if is_sharing_open(problem) else []
    return _Listed(candidates, turned_down, parts)


def _parts(by_llm: Mapping[str, Rates], units: Iterable[Offering]) -> Iterator[Candidate]:
    """What may stand on each kind of unit of several GPUs beside others."""
    for offering in units:
        for name, rates in by_llm.items() if offering.gpus_per_unit > 1 else ():
            yield from (replace(k, llm=name) if name else k for k in rates.parts(offering))


def with_each_llm(w: Workload) -> Iterator[tuple[str, Workload]]:
    """The workload as if it had but one LLM, for each that may serve it; '' of its only one."""
    if not isinstance(w.llm, AnyLlm):
        yield "", w
        return
    for name in w.llms:
        yield name, w.model_copy(update={"llm": name})


def notes_on_filters(limits: Limits, rows: Iterable[Sold]) -> Iterator[str]:
    """What filters of providers and regions do, to what could be paid, that nobody may expect."""
    payable = list(rows)
    yield from notes_on_sellers(limits.providers, payable)
    of_sellers = (row for row in payable if not is_ruled_out("providers", limits.providers, row))
    yield from notes_on_regions(limits.regions, of_sellers)


# ---- LLMs that share a GPU


def on_shared_gpus(
    every: Sequence[Rates], sold: Iterable[Offering | TokenPrice]
) -> Iterator[Candidate]:
    """Every LLM in every set that may share a GPU, on one offering of each type of GPU.

    Of the ways to split a GPU between the same LLMs those are left out in which each of them serves
    no more than in another. Each has the weight format that takes the least memory.
    """
    first: dict[str, Offering] = {}
    for offering in sold:
        if isinstance(offering, Offering) and offering.gpus_per_unit == 1:
            first.setdefault(offering.gpu, offering)
    able = [rates for rates in every if not why_alone(rates)]
    for offering in checked(first.values()):
        gpu = every[0].catalog.gpus[offering.gpu]
        fits = [one for rates in able if (one := _smallest(rates, gpu)) is not None]
        for size in range(2, MOST_MEMBERS + 1):
            for members in checked(combinations(fits, size)):
                for split in _worth_splitting(gpu, members):
                    yield from _members(offering, members, split)


def why_alone(rates: Rates) -> str:
    """Why no other LLM may stand beside that of a workload, whatever the GPU; '' where one may."""
    w = rates.workload
    if rates.demand.unit == "users":
        return "the speed of a user beside others is not known"
    if w.tensor_parallel is not None and 1 not in w.tensor_parallel:
        return "its replicas have several GPUs"
    if w.deployment.engine != "vllm" or w.deployment.units_joined > 1:
        return "only vLLM on one GPU is known to take a part of its memory"
    if rates.kind == "modelled":
        return ""
    if w.latency.tpot_limit_s is not None or w.latency.ttft_limit_s is not None:
        return "its rates do not say how fast it is, so that no wish for that is kept"
    if rates.stated is not None:
        knows = any(rate.memory_gib_per_gpu is not None for rate in rates.stated.values())
    else:
        knows = rates.llm.recommended_memory_gib is not None
    return "" if knows else "how much memory it takes is not known (rates: memory_gib_per_gpu)"


class _Member(NamedTuple):
    """The LLM of a workload on a GPU of some type."""

    rates: Rates
    precision: str
    need: MemoryNeed
    busy: tuple[float, ...]
    """GPUs that the workload's load takes in each time block where it has them to itself."""


class _Split(NamedTuple):
    """One way to share a GPU, and what each member serves in it."""

    gpu_set: GpuSet
    points: tuple[tuple[RatePoint, ...], ...]

    def worth(self, members: Sequence[_Member]) -> tuple[float, ...]:
        """What each member serves of each class; all the same where it is all there is to do."""
        return tuple(
            rate
            for member, points in zip(members, self.points, strict=True)
            for rate in _worth(member.rates, points)
        )


def _worth(rates: Rates, points: Sequence[RatePoint]) -> Iterator[float]:
    asked = rates.demand.highest_peak / utilization_limit(rates.problem, rates.workload)
    is_enough = _mix(rates, points) >= asked
    yield from (math.inf if is_enough else point.requests_per_second for point in points)


def _mix(rates: Rates, points: Sequence[RatePoint]) -> float:
    """Requests/s of the workload's mix."""
    classes = zip(rates.demand.classes, points, strict=True)
    return 1 / sum(q.share / point.requests_per_second for q, point in classes)


def _smallest(rates: Rates, gpu: Gpu) -> _Member | None:
    """The LLM in the format that takes the least of the GPU's memory; None where none fits."""
    precisions = ("as-measured",) if rates.stated is not None else rates.precisions(gpu)
    needs = [
        (need, precision) for precision in precisions if (need := _need(rates, gpu, precision))
    ]
    if not needs:
        return None
    need, precision = min(needs, key=lambda one: one[0].gib)
    points = _points(rates, gpu, precision, 1.0, rates.workload.deployment.memory_share)
    if points is None:
        return None
    mix = _mix(rates, points)
    return _Member(rates, precision, need, tuple(peak / mix for peak in rates.demand.peak))


def _need(rates: Rates, gpu: Gpu, precision: str) -> MemoryNeed | None:
    """What a replica takes of a GPU before it holds a request, or all of it; None: not known."""
    if gpu.memory_gib is None:
        return None
    if rates.stated is not None:
        rate = rates.stated.get((gpu.id, 1))
        gib = None if rate is None else rate.memory_gib_per_gpu
        return None if gib is None else MemoryNeed(gib, grows=False)
    if rates.raw:
        gib = rates.llm.recommended_memory_gib
        return None if gib is None else MemoryNeed(gib, grows=False)
    longest = max(q.tokens for q in rates.demand.classes)
    memory = fit(rates.llm, gpu, precision, 1, longest, rates.workload.deployment)
    least = memory.needed_gib(1)
    return MemoryNeed(least, grows=True) if memory.fits else None


def _worth_splitting(gpu: Gpu, members: Sequence[_Member]) -> Iterator[_Split]:
    """The ways to share a GPU's time of which none gives each member as much as another."""
    splits = [*time_splits([*zip(*(member.busy for member in members), strict=True)])]
    memory = memory_percents(
        [member.need for member in members],
        splits[0],
        gpu.memory_gib or 0.0,
        min(member.rates.workload.deployment.memory_share for member in members),
    )
    if memory is None:
        return
    alone = [
        _points(member.rates, gpu, member.precision, 1 / len(members), part / 100)
        for member, part in zip(members, memory, strict=True)
    ]
    points = [one for one in alone if one is not None]
    if len(points) < len(alone):
        return
    found = [_split(members, points, times, memory) for times in splits]
    kept: list[tuple[float, ...]] = []
    worths = [(split.worth(members), split) for split in found]
    for mine, split in sorted(worths, key=lambda one: one[0], reverse=True):
        if not any(all(a >= b for a, b in zip(other, mine, strict=True)) for other in kept):
            kept.append(mine)
            yield split


def _split(
    members: Sequence[_Member],
    alone: Sequence[tuple[RatePoint, ...]],
    times: Sequence[int],
    memory: Sequence[int],
) -> _Split:
    """alone: what each serves with its part of the memory and all of the time."""
    parts = zip(members, times, memory, strict=True)
    stand = tuple(GpuMember(m.rates.workload.name, m.precision, t, part) for m, t, part in parts)
    points = (
        tuple(replace(one, requests_per_second=one.requests_per_second * t / 100) for one in mine)
        for mine, t in zip(alone, times, strict=True)
    )
    return _Split(GpuSet(stand), tuple(points))


def _points(
    rates: Rates, gpu: Gpu, precision: str, pace: float, memory: float
) -> tuple[RatePoint, ...] | None:
    """What a replica serves of each class with a part of a GPU's memory, and how fast.

    pace: of its speed alone, by which wishes are judged. memory: of the GPU's, which holds all that
    is in flight. None where some class cannot be served.
    """
    if rates.stated is not None:
        stated = stated_point(rates.stated[gpu.id, 1])
        found: list[RatePoint | Rejection] = [stated for _ in rates.demand.classes]
    elif rates.raw:
        found = rates.answers(gpu, precision, ReplicaShape(1, rates.workload.deployment))
    else:
        found = [_modelled(rates, gpu, precision, pace, memory, q) for q in rates.demand.classes]
    if any(isinstance(one, Rejection) for one in found):
        return None
    return tuple(_slowed(one, pace) for one in found if not isinstance(one, Rejection))


def _modelled(
    rates: Rates, gpu: Gpu, precision: str, pace: float, memory: float, q: RequestClass
) -> RatePoint | Rejection:
    w, latency = rates.workload, rates.workload.latency
    settings = w.deployment.model_copy(update={"memory_share": memory})
    point = rates.model.operating_point(
        *(rates.llm, gpu, precision, 1, q.input_tokens, q.output_tokens),
        tpot_limit_s=None if latency.tpot_limit_s is None else latency.tpot_limit_s * pace,
        ttft_limit_s=None if latency.ttft_limit_s is None else latency.ttft_limit_s * pace,
        quantile=planning_quantile(rates.problem.policy.confidence_share),
        settings=settings,
    )
    if isinstance(point, Rejection):
        return point
    held = fit(rates.llm, gpu, precision, 1, q.tokens, settings)
    if point.concurrency is None or not held.fits or point.concurrency > held.sequences:
        return Rejection(f"{gpu.id}: what is in flight there does not surely fit")
    return rate_point(point)


def _slowed(point: RatePoint, pace: float) -> RatePoint:
    return replace(
        point,
        tpot_s=None if point.tpot_s is None else point.tpot_s / pace,
        ttft_s=None if point.ttft_s is None else point.ttft_s / pace,
        ttft_measured=point.ttft_measured and pace == 1,
    )


def _members(offering: Offering, members: Sequence[_Member], split: _Split) -> Iterator[Candidate]:
    for member, points in zip(members, split.points, strict=True):
        rates, name = member.rates, member.rates.workload.name
        part = {"memory_share": split.gpu_set.memory_share(name)}
        deployed = rates.workload.deployment.model_copy(update=part)
        yield Candidate(
            workload=name,
            offering=offering,
            precision=member.precision,
            tensor_parallel=1,
            replicas_per_unit=1,
            points=points,
            shares=tuple(q.share for q in rates.demand.classes),
            classes=rates.demand.classes,
            deployment=deployed.label if rates.follows_deployment else "",
            part_of_unit=True,
            gpu_set=split.gpu_set,
        )
