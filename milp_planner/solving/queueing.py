"""What queues before replicas depend on, told to the candidates whose workloads wish for waits.

The formulas are about replicas whose requests in flight are known and many, and which serve every
class. What they cannot judge is turned down, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.candidates.queues import idle_from_s, pool_of, wishes_asked
from milp_planner.candidates.records import Candidate, CandidateList, HeldInFlight, TurnedDown
from milp_planner.deadline import checked
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import most_replicas_asked
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.serving.queues.places import places_by_tokens
from milp_planner.serving.queues.pools import alone_share, least_s, rounded_up
from milp_planner.serving.queues.sizes import USUAL_CV, lognormal_size
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import Schedule

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from milp_planner.replaying.speeds import Served

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
    """The candidates with what queues depend on, without those that cannot be judged.

    model: of the catalog, with what it knows already.
    """
    asked = {w.name for w in problem.workloads if w.latency.judges_queues}
    if not asked:
        return candidates
    told = _Told(problem, schedule, catalog, ServingModel(catalog) if model is None else model)
    kept: list[_Judged] = []
    dropped: dict[tuple[str, Hashable], TurnedDown] = {}
    for k in checked(candidates.candidates):
        kind = told.kind(k) if k.workload in asked else ()
        found = told.held(k, kind) if kind else None
        if isinstance(found, str):
            dropped[k.workload, k.offering.key] = TurnedDown(k.workload, k.offering, found)
        else:
            kept.append(_Judged(k, found, kind))
    worth = [one.told for one in _worth_having(problem, kept)]
    left = {(k.workload, k.offering.key) for k in worth}
    gone = [row for key, row in dropped.items() if key not in left]
    return replace(
        candidates,
        candidates=tuple(worth),
        turned_down=(*candidates.turned_down, *gone),
    )


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
    """Those that no other shape of the same units beats in rates, places and replicas.

    On units that are shared it has to do so on no more GPUs.
    """
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
    _sizes: dict[str, tuple[NDArray[float64], NDArray[float64]]] = field(default_factory=dict)

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
            found = self._of_replica(k)
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

    def _of_replica(self, k: Candidate) -> HeldInFlight | str:
        # the replay, which only wishes for waits need
        from milp_planner.replaying.allowed import LEAST_PLACES
        from milp_planner.replaying.speeds import served_by

        if any(point.concurrency is None for point in k.points):
            return (
                "how many requests are in flight at its rate is not known, so that their wait "
                "is not either"
            )
        if self.problem.workload(k.workload).rates is not None:
            places, alone, reached = int(k.points[0].concurrency or 0), 1.0, 1.0
        else:
            classes = self.schedule.demands[k.workload].classes
            served = served_by(k, self.problem, classes, self.catalog, self.model)
            places = self._places(k.workload, served)
            alone = alone_share(served.service_s[:places])
            fuller = places / served.service_s[places - 1] / served.full_rate
            reached = REACHED * min(1.0, fuller)
        if places < LEAST_PLACES:
            return (
                f"{places} requests in flight in a replica, and queues are judged from "
                f"{LEAST_PLACES} on"
            )
        return HeldInFlight(places, rounded_up(alone), reached)

    def _places(self, workload: str, served: Served) -> int:
        """Requests in flight of a full replica: by its slots, or by the tokens of its KV cache."""
        speed, slots = served.speed, served.speed.places
        if math.isinf(speed.kv_tokens):
            return slots
        inputs, outputs = self._sampled(workload)
        service_s = slots * speed.prefill_s_per_token * inputs + outputs * speed.decode_step_s[-1]
        return places_by_tokens(speed.kv_tokens, inputs + outputs, service_s, slots)

    def _sampled(self, workload: str) -> tuple[NDArray[float64], NDArray[float64]]:
        """Input and output tokens of requests of every class, as many as its share."""
        import numpy as np

        if workload not in self._sizes:
            classes = self.schedule.demands[workload].classes
            sizes = [
                (q.input_tokens, q.output_tokens * lognormal_size((i + 0.5) / count, USUAL_CV))
                for q in classes
                for count in (max(1, round(q.share * SAMPLED)),)
                for i in range(count)
            ]
            inputs, outputs = np.array(sizes, dtype=float).T
            self._sizes[workload] = inputs, outputs
        return self._sizes[workload]
