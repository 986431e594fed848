"""What queues before replicas depend on, told to the candidates whose workloads wish for waits.

The formulas are about replicas whose requests in flight are known and many, and which serve every
class. What they cannot judge is turned down, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from milp_planner.candidates.queues import pool_of, wishes_asked
from milp_planner.candidates.records import Candidate, CandidateList, HeldInFlight, TurnedDown
from milp_planner.deadline import checked
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import most_replicas_asked
from milp_planner.inputs.problem.records import Problem
from milp_planner.replaying.allowed import LEAST_PLACES
from milp_planner.replaying.speeds import Served, served_by
from milp_planner.serving.queues.places import places_by_tokens
from milp_planner.serving.queues.pools import alone_share, least_s, rounded_up
from milp_planner.serving.queues.sizes import USUAL_CV, lognormal_size
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import Schedule

SAMPLED = 500
"""Requests by which the tokens in a full KV cache are told."""

REACHED = 0.97
"""Share of the planned rate that full replicas are taken to complete where prompts and outputs of
unlike sizes come one by one. Replays of eleven kinds, always full, came to 0.96 to 1.01, and one of
a small KV cache to 0.87."""


def with_queues(
    problem: Problem, schedule: Schedule, candidates: CandidateList, catalog: Catalog
) -> CandidateList:
    """The candidates with what queues depend on, without those that cannot be judged."""
    asked = {w.name for w in problem.workloads if w.latency.judges_queues}
    if not asked:
        return candidates
    told = _Told(problem, schedule, catalog, ServingModel(catalog))
    kept: list[Candidate] = []
    dropped: dict[tuple[str, Hashable], TurnedDown] = {}
    for k in checked(candidates.candidates):
        found = told.held(k) if k.workload in asked else None
        if isinstance(found, str):
            dropped[k.workload, k.offering.key] = TurnedDown(k.workload, k.offering, found)
        else:
            kept.append(k if found is None else replace(k, held=found))
    kept = list(_worth_having(problem, kept))
    left = {(k.workload, k.offering.key) for k in kept}
    gone = [row for key, row in dropped.items() if key not in left]
    return replace(
        candidates,
        candidates=tuple(kept),
        turned_down=(*candidates.turned_down, *gone),
    )


def _worth_having(problem: Problem, candidates: list[Candidate]) -> Iterator[Candidate]:
    """Those that no other shape of the same units beats in rates, places and replicas.

    On units that are shared it has to do so on no more GPUs.
    """
    fastest_first = sorted(candidates, key=lambda k: (-k.part_requests_per_second, k.id))
    kept: dict[Hashable, list[tuple[float, ...]]] = {}
    beaten = set()
    for k in checked(fastest_first):
        if k.held is None:
            continue
        least = most_replicas_asked(problem, problem.workload(k.workload))
        mine = (
            *(*k.requests_per_second, float(k.places_per_unit), -k.held.alone),
            float(min(k.replicas_per_unit, least)),
            *((-float(k.gpus_per_unit),) if k.part_of_unit else ()),
        )
        others = kept.setdefault((k.workload, k.offering.key, k.units_joined), [])
        if any(all(a >= b for a, b in zip(one, mine, strict=True)) for one in others):
            beaten.add(k)
        else:
            others.append(mine)
    yield from (k for k in candidates if k not in beaten)


@dataclass
class _Told:
    """Replicas of one problem, each asked about once."""

    problem: Problem
    schedule: Schedule
    catalog: Catalog
    model: ServingModel
    _known: dict[Hashable, HeldInFlight | str] = field(default_factory=dict)

    def held(self, k: Candidate) -> HeldInFlight | str:
        """What the wait before a replica depends on, or why it cannot be judged."""
        if k.mode.per_token:
            return "how long requests wait there is not known, so that no wish for it is kept"
        if not k.serves_all:
            return "it serves some classes only; behind one router every class comes everywhere"
        key = (
            *(k.workload, k.gpu, k.precision, k.tensor_parallel, k.pipeline_parallel),
            *(k.units_joined, k.part_requests_per_second / k.replicas_per_unit),
        )
        if key not in self._known:
            found = self._of_replica(k)
            known = None if isinstance(found, str) else self._too_slow(replace(k, held=found))
            self._known[key] = known or found
        return self._known[key]

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
        tokens, times = [], []
        for q in self.schedule.demands[workload].classes:
            count = max(1, round(q.share * SAMPLED))
            for i in range(count):
                output = q.output_tokens * lognormal_size((i + 0.5) / count, USUAL_CV)
                tokens.append(q.input_tokens + output)
                prefill_s = slots * speed.prefill_s_per_token * q.input_tokens
                times.append(prefill_s + output * speed.decode_step_s[-1])
        return places_by_tokens(speed.kv_tokens, tokens, times, slots)
