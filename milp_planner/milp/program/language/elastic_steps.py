"""Columns, rows and costs of elastic units that are folded into steps of the held capacity.

    Σ_b z_wb = 1
    Σ_k min(1, u μ_k ÷ D̂) n_k ≥ Σ_b (C_b ÷ D̂) z_wb            [share of the peak D̂]
    Σ_k min(1, u μ_k ÷ C_b) n_k ≥ Σ_{b' ≥ b} z_wb'          ∀ b at which a peak is held

A step b costs E(C_b): see `folds.py`. The last rows only tighten: whenever the step is b or a later
one the held capacity is C_b at least, and what carries more than C_b counts as C_b.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.language.folds import ElasticFold
from milp_planner.milp.program.language.rows import EQ, GE, Row
from milp_planner.milp.program.language.variables import Fleet, Terms

LEAST_SHARE = 1e-7
"""Shares of the highest peak below which a held capacity is as good as none."""

ROW_NOISE = 5e-7
"""Share of the highest peak by which solvers may fall short of a row: half of what checks allow."""


def add_steps(fleet: Fleet) -> None:
    """One binary for each step of what the elastic units cost."""
    for name, fold in fleet.folds.items():
        for b, step in enumerate(fold.steps):
            meaning = f"held[{name} from {step.held:g} requests/s on]"
            fleet.steps[name, b] = fleet.column(meaning, 1)


def step_rows(fleet: Fleet, fold: ElasticFold) -> Iterator[Row]:
    """One step, no further than the held capacity goes."""
    name, starts = fold.workload, [step.held for step in fold.steps]
    on = [fleet.steps[name, b] for b in range(len(starts))]
    yield Row(f"{name} one step", dict.fromkeys(on, 1.0), EQ, 1.0)
    held = _held(fleet, fold, fold.highest)
    shares = {z: start / fold.highest for z, start in zip(on, starts, strict=True)}
    held.update({z: -share for z, share in shares.items() if share > LEAST_SHARE})
    yield Row(f"{name} held", held, GE, 0.0)
    for b in sorted(set(fold.step_to_peak)):
        if b < len(on) and shares[on[b]] > LEAST_SHARE:
            least = _held(fleet, fold, starts[b])
            yield Row(f"{name} held from {b}", {**least, **dict.fromkeys(on[b:], -1.0)}, GE, 0.0)


def step_terms(fleet: Fleet, usd_per_unit_hour: Callable[[Candidate], float]) -> Terms:
    """What the steps cost at such prices, USD/month."""
    terms: Terms = {}
    for name, fold in fleet.folds.items():
        usd = [sum(n * usd_per_unit_hour(k) for k, n in one.units) for one in fold.fleets]
        hours = [fleet.blocks[t].hours for t in fold.peaks]
        if any(usd):
            for b, step in enumerate(fold.steps):
                cost = sum(h * usd[i] for h, i in zip(hours, step.fleets, strict=True))
                terms[fleet.steps[name, b]] = cost
    return terms


def step_on(fleet: Fleet, workload: str, values: Mapping[str, float]) -> int:
    """The step that the held units of a workload reach, whichever cheaper one a solver left out."""
    fold = fleet.folds[workload]
    units = _held(fleet, fold, None)
    held = sum(rate * round(values.get(n.name, 0.0)) for n, rate in units.items())
    chosen = max(range(len(fold.steps)), key=lambda b: values.get(fleet.steps[workload, b].name, 0))
    start = fold.steps[chosen].held
    if held < start <= held + ROW_NOISE * fold.highest:
        held = start
    return fold.step_at(held)


def on_own_steps(fleet: Fleet, values: Mapping[str, float]) -> Mapping[str, float]:
    """The columns with the steps that the held units reach."""
    own = {name: step_on(fleet, name, values) for name in fleet.folds}
    steps = {z.name: float(own[name] == b) for (name, b), z in fleet.steps.items()}
    return values if all(values.get(z) == one for z, one in steps.items()) else {**values, **steps}


def _held(fleet: Fleet, fold: ElasticFold, least: float | None) -> Terms:
    """What the units that are held carry, requests/s; where `least` is given as shares of that."""
    (level,) = fleet.levels[fold.workload]
    t = next(iter(fold.peaks))
    terms: Terms = {}
    for k in fleet.gpu_candidates(fold.workload):
        rate = level.ceiling * k.mix_requests_per_second
        for _, units in fleet.units_on(k, t):
            terms[units] = rate if least is None else min(1.0, rate / least)
    return terms
