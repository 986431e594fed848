"""What of a problem and of a user's own rows looks like a slip: asked about, never changed.

To add a doubt, write a generator of sentences and name it in `doubts`.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.doubtful_prices import doubtful_prices, told_prices
from milp_planner.inputs.problem.records import Problem
from milp_planner.serving.rates.doubtful_rows import told_slow
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import Schedule

MS_PER_S = 1e3

LIKELY_S = {
    "tpot": (2e-4, 5.0),
    "ttft": (1e-3, 100.0),
    "requirement": (1e-3, 600.0),
}
"""Times between which a wish needs no question, in seconds: below, it is shorter than all that was
published, and whoever waits 5 s for a token, or 100 s for the first, does not watch."""


def doubts(
    problem: Problem, catalog: Catalog, model: ServingModel, schedule: Schedule
) -> Iterator[str]:
    """Times in another unit than meant, prices per GPU or per node, rows at a tenth of the rate."""
    yield from unlikely_times(problem)
    for name, demand in schedule.demands.items():
        if demand.trace is not None:
            yield from (f"workloads.{name}.traffic: {said}" for said in demand.trace.doubts)
    yield from told_prices(doubtful_prices(catalog))
    asked = {llm.id for w in problem.workloads for name in w.llms if (llm := catalog.llm(name))}
    yield from told_slow(found for found in model.slow() if found.row.llm in asked)


def unlikely_times(problem: Problem) -> Iterator[str]:
    """Wishes that are thousands of times from what anybody asks: `50s` where 50ms is meant."""
    for w in problem.workloads:
        for name, (least, most) in LIKELY_S.items():
            wish = getattr(w.latency, f"{name}_limit_s", w.latency.requirement_s)
            if wish is None or least <= wish <= most:
                continue
            at = f"workloads.{w.name}.latency.{name}"
            if wish > most:
                yield f"{at}: {wish:g} s is very long; did you mean {wish:g}ms?"
            else:  # 50us, or what was typed in seconds and taken for milliseconds
                wish_ms = wish * MS_PER_S
                yield f"{at}: {wish_ms:g} ms is very short; did you mean {wish_ms * MS_PER_S:g}ms?"
