"""What queues before replicas depend on, told to the candidates whose workloads wish for waits.

The formulas are about replicas whose requests in flight are known and many, and which serve every
class. What they cannot judge is turned down, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.candidates.queues import idle_from_s, of_mix, pool_of, wishes_asked
from milp_planner.candidates.records import (
    Candidate,
    CandidateList,
    HeldInFlight,
    PlanningInput,
    TurnedDown,
)
from milp_planner.deadline import checked
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.policies import most_replicas_asked
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.lazily import dataclass, field, replace
from milp_planner.plans.losses import sent_after_losses
from milp_planner.plans.reasons import WaitKept
from milp_planner.plans.records import Plan
from milp_planner.serving.queues.places import places_by_tokens
from milp_planner.serving.queues.pools import QueueWish, alone_share, least_s, rounded_up
from milp_planner.serving.queues.sizes import USUAL_CV, lognormal_size
from milp_planner.serving.queues.wait import LEAST_PLACES
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.solving.assembly.queues import (
    Queue,
    apart_kept,
    queue_before_all,
    queue_of_its_own,
    surely_keeps,
)
from milp_planner.solving.checks.bounds import without_specks
from milp_planner.traffic.month import Schedule
from milp_planner.traffic.schedule import RequestClass

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from milp_planner.replaying.speeds import Served

    Asked = tuple[Queue | None, TimeWish, QueueWish]

LITTLE = 1e-9
"""Share of a load that is a solver's noise."""

SAMPLED = 500
"""Requests by which the tokens in a full KV cache are told."""

REACHED = 0.97
"""Share of the planned rate that full replicas are taken to complete where prompts and outputs of
unlike sizes come one by one. Replays of eleven kinds, always full, came to 0.96 to 1.01, and one of
a small KV cache to 0.87."""


def with_idle_wishes_marked(
    problem: Problem, schedule: Schedule, candidates: CandidateList
) -> Problem:
    """The problem in which wishes are marked that no replica could miss: they change no plan."""
    if not any(w.latency.asks_queues for w in problem.workloads):
        return problem
    listed: dict[str, list[Candidate]] = {w.name: [] for w in problem.workloads}
    for k in candidates.candidates:
        listed[k.workload].append(k)
    workloads = tuple(
        w.model_copy(
            update={"latency": w.latency.marked(idle=_is_idle(problem, schedule, listed, w))}
        )
        if w.latency.asks_queues
        else w
        for w in problem.workloads
    )
    return problem.model_copy(update={"workloads": workloads})


def _is_idle(
    problem: Problem, schedule: Schedule, listed: Mapping[str, Sequence[Candidate]], w: Workload
) -> bool:
    """True where every wish for a time in queues is longer than any replica makes it."""
    demand = schedule.demands[w.name]
    found = (
        (wish, idle_from_s(problem, w, demand, listed[w.name], asked))
        for wish, asked in wishes_asked(w, demand)
    )
    return all(least is not None and least <= wish.wished_s for wish, least in found)


def with_queues(
    problem: Problem,
    schedule: Schedule,
    candidates: CandidateList,
    catalog: Catalog,
    model: ServingModel | None = None,
) -> CandidateList:
    """The candidates with what queues depend on, without those that cannot be judged; `model` is of
    the catalog, with what it knows already."""
    asked = {w.name for w in problem.workloads if w.latency.judges_queues}
    if not asked:
        return candidates
    told = _Told(problem, schedule, catalog, ServingModel(catalog) if model is None else model)
    worth, gone = _told_of(told, asked, candidates.candidates)
    parts, _ = _told_of(told, asked, candidates.parts)
    return replace(
        candidates,
        candidates=tuple(one.told for one in worth),
        before_queues=tuple(_before_queues(problem, schedule, candidates.candidates, worth)),
        parts=tuple(one.told for one in parts),
        parts_before_queues=tuple(_before_queues(problem, schedule, candidates.parts, parts)),
        turned_down=(*candidates.turned_down, *gone),
    )


def _told_of(
    told: _Told, asked: Collection[str], candidates: Iterable[Candidate]
) -> tuple[list[_Judged], list[TurnedDown]]:
    """What is worth having, with what queues depend on, and what serves nobody for them."""
    kept: list[_Judged] = []
    dropped: dict[tuple[str, Hashable], TurnedDown] = {}
    for k in checked(candidates):
        kind = told.kind(k) if k.workload in asked else ()
        found = told.held(k, kind) if kind else None
        if isinstance(found, str):
            dropped[k.workload, k.offering.key] = TurnedDown(k.workload, k.offering, found)
        else:
            kept.append(_Judged(k, found, kind))
    worth = list(_worth_having(told.problem, kept))
    left = {(one.candidate.workload, one.candidate.offering.key) for one in worth}
    return worth, [row for key, row in dropped.items() if key not in left]


def _before_queues(
    problem: Problem,
    schedule: Schedule,
    candidates: Iterable[Candidate],
    worth: Iterable[_Judged],
) -> Iterator[Candidate]:
    """What serves workloads for which a plan without their wishes is looked at: of several classes
    all that may be sent some, of one what is worth having behind one router.

    Not where queues replace the target: there wishes always count.
    """
    policy = problem.policy
    if policy.routing is not None or policy.utilization.by == "queues":
        return
    judged = {w.name for w in problem.workloads if w.latency.judges_queues}
    alike = {name for name in judged if has_one_class(schedule, name)}
    for k in candidates:
        is_known = all(point.concurrency is not None for point in k.serving_points)
        if k.workload in judged - alike and is_known and not k.mode.per_token:
            yield k
    yield from (one.candidate for one in worth if one.candidate.workload in alike)


def has_one_class(schedule: Schedule, workload: str) -> bool:
    """True where requests are all of one size, so that no router could tell them apart."""
    return len(schedule.demands[workload].classes) == 1


class _Judged(NamedTuple):
    """A candidate, and what queues before its replicas depend on, where they matter."""

    candidate: Candidate
    held: HeldInFlight | None
    kind: tuple[Hashable, ...]
    """What replicas of equal speed and room have in common; nothing where no queue matters."""

    @property
    def told(self) -> Candidate:
        """The candidate with it."""
        return self.candidate if self.held is None else self.candidate.holding(self.held)


def _worth_having(problem: Problem, judged: list[_Judged]) -> Iterator[_Judged]:
    """Those that no other shape of the same units beats in rates, places and replicas; on units
    that are shared it has to do so on no more GPUs."""
    least = {w.name: most_replicas_asked(problem, w) for w in problem.workloads}
    shapes: dict[Hashable, list[_Judged]] = {}
    for one in judged:
        if one.held is not None:
            k = one.candidate
            shapes.setdefault((k.workload, k.offering.key, k.units_joined), []).append(one)
    beaten_of: dict[Hashable, frozenset[int]] = {}  # many offerings are the same units
    beaten = set()
    for mine in checked(shapes.values()):
        units = tuple((one.kind, one.candidate.replicas_per_unit) for one in mine)
        if units not in beaten_of:
            beaten_of[units] = frozenset(_beaten(mine, least[mine[0].candidate.workload]))
        beaten |= {mine[i].candidate for i in beaten_of[units]}
    yield from (one for one in judged if one.candidate not in beaten)


def _beaten(shapes: Sequence[_Judged], least_replicas: int) -> Iterator[int]:
    """Which shapes of a unit another one beats, by their place in the list."""
    fastest_first = sorted(
        enumerate(shapes),
        key=lambda one: (-one[1].candidate.part_requests_per_second, one[1].candidate.id),
    )
    kept: list[tuple[float, ...]] = []
    for i, (k, held, _) in fastest_first:
        assert held is not None, "queues before it matter"
        mine = (
            *(*k.requests_per_second, float(held.places * k.replicas_per_unit), -held.alone),
            float(min(k.replicas_per_unit, least_replicas)),
            *((-float(k.gpus_per_unit),) if k.part_of_unit else ()),
        )
        if any(all(a >= b for a, b in zip(one, mine, strict=True)) for one in kept):
            yield i
        else:
            kept.append(mine)


@dataclass
class _Told:
    """Replicas of one problem, each asked about once."""

    problem: Problem
    schedule: Schedule
    catalog: Catalog
    model: ServingModel
    _known: dict[Hashable, HeldInFlight | str] = field(default_factory=dict)
    _sizes: dict[tuple[RequestClass, ...], tuple[NDArray[float64], NDArray[float64]]] = field(
        default_factory=dict
    )

    def kind(self, k: Candidate) -> tuple[Hashable, ...]:
        """What replicas that serve alike have in common."""
        rate = k.part_requests_per_second / (k.replicas_per_unit or 1)
        replica = k.gpu, k.precision, k.tensor_parallel, k.pipeline_parallel, k.units_joined
        return k.workload, k.llm, *replica, k.part_of_unit, rate

    def held(self, k: Candidate, kind: Hashable) -> HeldInFlight | str:
        """What the wait before a replica of a kind depends on, or why it cannot be judged."""
        if k.mode.per_token:
            return "how long requests wait there is not known, so that no wish for it is kept"
        if not k.serves_all:
            return "it serves some classes only; behind one router every class comes everywhere"
        if kind not in self._known:
            found = self._behind_one_router(k)
            known = None if isinstance(found, str) else self._too_slow(k.holding(found))
            self._known[kind] = known or found
        return self._known[kind]

    def _too_slow(self, k: Candidate) -> str | None:
        """Why its own time in service does not keep a wish, however many there are."""
        w = self.problem.workload(k.workload)
        for wish, asked in wishes_asked(w, self.schedule.demands[k.workload]):
            pool = pool_of([(k, 1)], asked)
            assert pool is not None, "it has a replica"
            least = least_s(pool, asked)
            if least > wish.wished_s:
                return (
                    f"the {wish.words} is {least:.3g} s without any wait, longer than "
                    f"{wish.wished_s:.3g} s"
                )
        return None

    def _behind_one_router(self, k: Candidate) -> HeldInFlight | str:
        """What the wait before one of several replicas depends on, which are sent all classes."""
        found = self.of_mix(k, self.schedule.demands[k.workload].classes)
        if isinstance(found, str) or found.places >= LEAST_PLACES:
            return found
        return (
            f"{found.places} requests in flight in a replica, and queues are judged from "
            f"{LEAST_PLACES} on"
        )

    def of_mix(self, k: Candidate, classes: Sequence[RequestClass]) -> HeldInFlight | str:
        """What the wait before a replica depends on that is sent these classes, its own ones."""
        if any(point.concurrency is None for point in k.points):
            return (
                "how many requests are in flight at its rate is not known, so that their wait "
                "is not either"
            )
        w = self.problem.workload(k.workload)
        if w.rates is not None:
            places, alone, reached = int(k.points[0].concurrency or 0), 1.0, 1.0
        else:
            # the replay, which only wishes for waits need
            from milp_planner.replaying.speeds import served_by

            served = served_by(k, self.problem, classes, self.catalog, self.model)
            places = self._places(classes, served)
            service_s = served.taking_turns_s[:places]
            alone, fuller = alone_share(service_s), places / service_s[-1] / served.full_rate
            reached = REACHED * min(1.0, fuller)
        return HeldInFlight(places, rounded_up(alone, whole=bool(w.latency.request_s)), reached)

    def _places(self, classes: Sequence[RequestClass], served: Served) -> int:
        """Requests in flight of a full replica: by its slots, or by the tokens of its KV cache."""
        speed, slots = served.speed, served.speed.places
        if math.isinf(speed.kv_tokens):
            return slots
        inputs, outputs = self._sampled(tuple(classes))
        service_s = slots * speed.prefill_s_per_token * inputs + outputs * speed.decode_step_s[-1]
        return places_by_tokens(speed.kv_tokens, inputs + outputs, service_s, slots)

    def _sampled(
        self, classes: tuple[RequestClass, ...]
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        """Input and output tokens of requests of every class, as many as its share."""
        import numpy as np

        if classes not in self._sizes:
            sizes = [
                (q.input_tokens, q.output_tokens * lognormal_size((i + 0.5) / count, USUAL_CV))
                for q in classes
                for count in (max(1, round(q.share * SAMPLED)),)
                for i in range(count)
            ]
            inputs, outputs = np.array(sizes, dtype=float).T
            self._sizes[classes] = inputs, outputs
        return self._sizes[classes]


# ---- classes routed apart


def judged_after(instance: PlanningInput, names: Collection[str]) -> PlanningInput:
    """`instance` without the wishes of these workloads for times in queues, a relaxation of it.

    What serves them is all whose queues can be judged, whichever classes it is sent.
    """
    workloads = tuple(
        w.model_copy(update={"latency": w.latency.judged_after()}) if w.name in names else w
        for w in instance.problem.workloads
    )
    listed = instance.candidates
    freed = [k for k in listed.before_queues if k.workload in names]
    kept = [k for k in listed.candidates if k.workload not in names]
    order = {w.name: i for i, w in enumerate(workloads)}
    candidates = tuple(sorted((*kept, *freed), key=lambda k: order[k.workload]))
    serving = {(k.workload, k.offering.key) for k in freed}
    turned_down = tuple(
        row for row in listed.turned_down if (row.workload, row.offering.key) not in serving
    )
    problem = instance.problem.model_copy(update={"workloads": workloads})
    parts = [k for k in listed.parts if k.workload not in names]
    parts += [k for k in listed.parts_before_queues if k.workload in names]
    found = replace(listed, candidates=candidates, turned_down=turned_down, parts=tuple(parts))
    found = replace(found, before_queues=(), parts_before_queues=())
    found = without_specks(problem, instance.schedule, found)
    return replace(instance, problem=problem, candidates=found)


def may_be_judged_after(instance: PlanningInput, *, of_one_class: bool) -> frozenset[str]:
    """The workloads whose wishes a plan without them may keep: by routing classes apart, and of one
    class, if asked for, as it would with them."""
    listed = (k.workload for k in instance.candidates.before_queues)
    return frozenset(n for n in listed if of_one_class or not has_one_class(instance.schedule, n))


@dataclass(frozen=True)
class OwnMixes:
    """Holds a plan's waits against wishes that its program was without.

    Each offering, in each shape, has an endpoint and a queue of its own, which is sent what the
    plan routes to it, of each class as much: its replicas are reckoned with those classes.
    """

    instance: PlanningInput
    _told: _Told

    @classmethod
    def of(cls, instance: PlanningInput) -> OwnMixes:
        """For plans of such an instance."""
        given = instance.problem, instance.schedule, instance.catalog
        return cls(instance, _Told(*given, ServingModel(instance.catalog)))

    def missed(self, plan: Plan) -> frozenset[str]:
        """The workloads of which some offering misses a wish, or cannot be judged."""
        return frozenset(name for name, _ in self.missed_in(plan))

    def missed_in(self, plan: Plan) -> frozenset[tuple[str, int]]:
        """(workload, block) in which that is so."""
        judged = (w for w in self.instance.problem.workloads if w.latency.is_judged_after)
        return frozenset((w.name, t) for w in judged for t in self._missed_in(plan, w))

    def said(self, plan: Plan) -> Iterator[WaitKept]:
        """A remark for each of the wishes, about the offering before which most would miss it."""
        for w in self.instance.problem.workloads:
            if w.latency.is_judged_after:
                asked = (one for _, one in self._queues(plan, w))
                yield from apart_kept(self.instance, plan, w, asked)

    def _missed_in(self, plan: Plan, w: Workload) -> Iterator[int]:
        for t, (queue, _, asked) in chain(self._queues(plan, w), self._after_losses(plan, w)):
            if queue is None or not surely_keeps(queue, asked):
                yield t

    def _after_losses(self, plan: Plan, w: Workload) -> Iterator[tuple[int, Asked]]:
        """The same of what is left after each loss that must be survived, routed anew."""
        demand = self.instance.schedule.demands[w.name]
        for t, left in sent_after_losses(self.instance, plan, w.name):
            for p, rates in left or ():
                sent = dict(zip(demand.classes, rates, strict=True))
                if (load := sum(rates)) > 0:
                    k = self._of_mix(p.candidate, demand.classes, sent)
                    mine = demand if k is None else replace(demand, classes=k.classes)
                    for wish, asked in wishes_asked(w, mine):
                        queue = None if k is None else queue_of_its_own(t, p, k, load, asked)
                        yield t, (queue, wish, asked)
            if left is None:
                yield from ((t, (None, *both)) for both in wishes_asked(w, demand))

    def _queues(self, plan: Plan, w: Workload) -> Iterator[tuple[int, Asked]]:
        """Every queue in every block, with each wish; None where it is not judged."""
        from milp_planner.replaying.endpoints import routes_apart, sent_by_class

        demand = self.instance.schedule.demands[w.name]
        alike = not routes_apart(plan, w.name)
        for t, block in enumerate(plan.blocks):
            sent_to = sent_by_class(plan.routes_of(w.name, block.name))
            whole = sum(sum(sent.values()) for sent in sent_to.values())
            on = [
                (p, sent_to[p.candidate])
                for p in plan.purchases_of(w.name)
                if sum(sent_to.get(p.candidate, {}).values()) > LITTLE * whole
            ]
            if alike and on:
                mixes = [(p, self._of_mix(p.candidate, demand.classes, sent)) for p, sent in on]
                for wish, asked in wishes_asked(w, demand):
                    yield t, (queue_before_all(t, mixes, whole, asked), wish, asked)
            for p, sent in () if alike else on:
                k = self._of_mix(p.candidate, demand.classes, sent)
                mine = demand if k is None else replace(demand, classes=k.classes)
                for wish, asked in wishes_asked(w, mine):
                    load = sum(sent.values())
                    own = None if k is None else queue_of_its_own(t, p, k, load, asked)
                    yield t, (own, wish, asked)

    def _of_mix(
        self, k: Candidate, classes: Sequence[RequestClass], sent: Mapping[RequestClass, float]
    ) -> Candidate | None:
        """The candidate as one for these requests/s of each class alone; None if not judged."""
        if k.mode.per_token:
            return None
        alone = of_mix(k, classes, sent)
        held = self._told.of_mix(alone, alone.classes)
        return None if isinstance(held, str) else alone.holding(held)
