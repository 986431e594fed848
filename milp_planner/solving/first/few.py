"""Some of what can be rented, listed in a fraction of the time: enough for a first plan.

Listing a large problem can take longer than its time limit. A unit of each GPU is ranked by what
its memory bandwidth costs, which decode is bound by; the best few that can serve a workload are
listed for it, as every provider sells them, in one weight format and shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from milp_planner.candidates.builder import Rates, excluded_by
from milp_planner.candidates.configurations import Configuration
from milp_planner.candidates.listing import with_each_llm
from milp_planner.candidates.records import Candidate, CandidateList
from milp_planner.deadline import check, checked
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.records import Problem
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.solving.first.fleets import equal_parts
from milp_planner.traffic.month import Schedule

LARGE_LISTING = 25_000
"""Offerings × workloads × classes above which listing all takes most of a second."""

MOST_POINTS = 600
"""Rates that are worked out for a first plan, over all workloads and classes."""

MOST_UNITS = 6
"""Kinds of units, at most, that are listed for a workload."""

MOST_MISSES = 12
"""Kinds of units in a row that cannot serve a workload, after which it is left."""

NOT_ALL = "not every class can be served on it"

Unit = tuple[str, int]
"""A GPU and how many of it a unit has."""


def is_large(problem: Problem, schedule: Schedule, catalog: Catalog) -> bool:
    """True where listing everything that can be rented takes long."""
    classes = sum(len(schedule.demands[w.name].classes) for w in problem.workloads)
    return classes * (len(catalog.offerings) + len(catalog.token_prices)) > LARGE_LISTING


def list_few(
    problem: Problem, schedule: Schedule, catalog: Catalog, model: ServingModel | None = None
) -> CandidateList:
    """The candidates of a few kinds of units for every workload; raises OutOfTime.

    model: of the catalog; what it is asked here it need not be asked again.
    """
    allowed = [o for o in checked(catalog.offerings) if not excluded_by(problem.limits, o)]
    prices = [p for p in checked(catalog.token_prices) if not excluded_by(problem.limits, p)]
    sold: dict[Unit, list[Offering]] = {}
    for offering in allowed:
        sold.setdefault((offering.gpu, offering.gpus_per_unit), []).append(offering)
    parts = equal_parts(problem)
    holders = 1 if parts is None else parts.parts

    def rank(unit: Unit) -> tuple[bool, float, Unit]:
        sellers = {offering.provider for offering in sold[unit]}
        return len(sellers) < holders, _usd_per_bandwidth(catalog, unit, sold[unit]), unit

    ranked = sorted(sold, key=rank)
    model = ServingModel(catalog) if model is None else model
    classes = sum(len(schedule.demands[w.name].classes) for w in problem.workloads)
    kinds = max(1, min(MOST_UNITS, MOST_POINTS // classes))
    found: list[Candidate] = []
    for w in problem.workloads:
        for name, one in with_each_llm(w):
            rates = FewRates(catalog, model, problem, one, schedule.demands[w.name])
            mine = (*_of_prices(rates, prices), *_of_units(rates, ranked, sold, kinds))
            found += [replace(k, llm=name) for k in mine] if name else mine
    return CandidateList(tuple(found), ())


class FewRates(Rates):
    """Rates in the first weight format and shape that serves every class, and in no other."""

    def _configurations(self, gpu_id: str, gpus: int) -> list[Configuration] | str:
        if self.stated is not None:
            return super()._configurations(gpu_id, gpus)
        gpu = self.catalog.gpus[gpu_id]
        for precision in self.precisions(gpu):
            for shape in self.shapes(gpus):
                points = self._rate_points(gpu, precision, shape)
                if isinstance(points, tuple) and all(p.requests_per_second > 0 for p in points):
                    return [Configuration(precision, shape, points)]
        return NOT_ALL

    def may_hold(self, unit: Unit) -> bool:
        """False where the weights at a byte each are too large for a unit."""
        gpu, gpus = self.catalog.gpus[unit[0]], unit[1]
        if self.stated is not None or self.raw:
            return True
        weights_gb = self.llm.parameters_b or 0.0
        return gpu.memory_gib is None or gpu.memory_gib * gpus > weights_gb


def _usd_per_bandwidth(catalog: Catalog, unit: Unit, offerings: Sequence[Offering]) -> float:
    """USD per hour and GB/s of the cheapest offering of a unit; inf where that is not known."""
    bandwidth = catalog.gpus[unit[0]].memory_bandwidth_gb_per_s
    if bandwidth is None:
        return math.inf
    return min(o.usd_per_hour for o in offerings) / (bandwidth * unit[1])


def _of_prices(rates: Rates, prices: Sequence[TokenPrice]) -> Iterator[Candidate]:
    for price in prices:
        if price.llm == rates.llm_id and not isinstance(one := rates.candidates(price), str):
            yield from one


def _of_units(
    rates: FewRates, ranked: Sequence[Unit], sold: dict[Unit, list[Offering]], kinds: int
) -> Iterator[Candidate]:
    listed = misses = 0
    for unit in ranked:
        check()
        if listed == kinds or misses > MOST_MISSES:
            return
        if not rates.may_hold(unit):
            continue
        made = [rates.candidates(offering) for offering in sold[unit]]
        mine = [k for one in made if not isinstance(one, str) for k in one]
        able = any(k.serves_all for k in mine)
        listed, misses = listed + able, 0 if able else misses + 1
        yield from mine
