"""What a fleet serves of several request classes when they may be routed anew.

    max ρ    Σ_k μ_kq y_kq + tokens_q ≥ ρ wanted_q  ∀ q,    Σ_q y_kq ≤ n_k  ∀ k        [requests/s]

y_kq is the units of k that work on class q. Who is good at which class decides, not what each
carries of the whole mix. A linear program of a few rows, solved in plain arithmetic by the simplex
method (Dantzig 1947): nothing that checks a plan asks a solver. Its dual says the same by weights
of the classes, of which those that give the least are the ones that bind:

    ρ = min_π Σ_q π_q tokens_q + Σ_k n_k max_q π_q μ_kq,    π ≥ 0,  Σ_q π_q wanted_q = 1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

Rates = tuple[float, ...]
"""Requests/s by class."""

ZERO = 1e-12
"""Relative size below which a number of the tableau is a rounding error."""

MOST_GREEDY_STEPS = 200
"""Steps that take what gains most; later ones take the first that gains, which never circles."""


class Rerouted(NamedTuple):
    """What can be served, as a multiple of what is wanted, and why not more."""

    times: float
    """ρ, 0 or more."""

    weights: Rates
    """π_q × wanted_q by class: what the classes count for where it is tightest; they sum to 1."""


def most_served(wanted: Rates, units: Sequence[tuple[float, Rates]], tokens: Rates) -> Rerouted:
    """The largest multiple of what is wanted of every class that can be served.

    wanted: requests/s by class, of which at least one is above 0. units: for every offering how
    many are on, and what one serves of each class alone, 0 where it cannot. tokens: requests/s by
    class that need no unit.
    """
    weights: Rates = (1.0,)
    classes = [q for q, rate in enumerate(wanted) if rate > 0]
    on: dict[Rates, float] = {}
    for n, rates in units:  # those that are alike serve as one pool, of however many offerings
        alone = tuple(rates[q] for q in classes)
        on[alone] = on.get(alone, 0.0) + n
    relative = tuple(
        tuple(n * rate / wanted[q] for q, rate in zip(classes, rates, strict=True))
        for rates, n in on.items()
        if n
    )
    free = tuple(tokens[q] / wanted[q] for q in classes)
    if len(classes) == 1:
        times = free[0] + sum(times for (times,) in relative)
    else:
        times, weights = _largest_multiple(tuple(sorted(relative)), free)
    by_class = dict(zip(classes, weights, strict=True))
    return Rerouted(times, tuple(by_class.get(q, 0.0) for q in range(len(wanted))))


@lru_cache(maxsize=4096)
def _largest_multiple(pools: tuple[Rates, ...], free: Rates) -> tuple[float, Rates]:
    """ρ and its weights where pool k on class q alone serves it pools[k][q] times, beside free."""
    columns, tableau, gains = _program(pools, free)
    maximise(tableau, gains)
    weights = [max(0.0, -gain) for gain in gains[1 + len(columns) :][: len(free)]]
    return max(0.0, -gains[-1]), tuple(weight / sum(weights) for weight in weights)


def spread_anew(wanted: Rates, units: Sequence[tuple[float, Rates]]) -> list[Rates] | None:
    """Requests/s of every class that each of `units` is sent where all that is wanted is routed so
    that the fullest of them is as empty as it can be; None where some class cannot be served.

    wanted, units: as in `most_served`.
    """
    classes = [q for q, rate in enumerate(wanted) if rate > 0]
    if any(all(n * rates[q] <= 0 for n, rates in units) for q in classes):
        return None
    pools = tuple(tuple(n * rates[q] / wanted[q] for q in classes) for n, rates in units)
    columns, tableau, gains = _program(pools, (0.0,) * len(classes))
    basis = maximise(tableau, gains)
    found = {column: tableau[row][-1] for row, column in enumerate(basis)}
    sent = [[0.0] * len(wanted) for _ in units]
    for column, (k, q) in enumerate(columns, start=1):
        sent[k][classes[q]] = pools[k][q] * max(0.0, found.get(column, 0.0))
    served = [sum(of) for of in zip(*sent, strict=True)]
    times = [rate / served[q] if rate > 0 else 0.0 for q, rate in enumerate(wanted)]
    return [tuple(part * times[q] for q, part in enumerate(mine)) for mine in sent]


def _program(
    pools: Sequence[Rates], free: Rates
) -> tuple[list[tuple[int, int]], list[list[float]], list[float]]:
    """The (pool, class) of the columns after that of ρ, the rows, and what gains."""
    columns = [(k, q) for k, pool in enumerate(pools) for q, times in enumerate(pool) if times > 0]
    rows = len(free) + len(pools)
    tableau = []
    for q, times in enumerate(free):  # ρ − Σ_k times y ≤ free
        terms = [-pools[k][q] if at == q else 0.0 for k, at in columns]
        tableau.append([1.0, *terms, *_unit(rows, q), times])
    for pool in range(len(pools)):  # Σ_q y ≤ 1
        terms = [float(k == pool) for k, _ in columns]
        tableau.append([0.0, *terms, *_unit(rows, len(free) + pool), 1.0])
    return columns, tableau, [1.0, *(0.0 for _ in columns), *(0.0 for _ in range(rows)), 0.0]


def _unit(size: int, one: int) -> list[float]:
    return [float(i == one) for i in range(size)]


def maximise(tableau: list[list[float]], gains: list[float]) -> list[int]:
    """The simplex method from all slack, which is feasible, until nothing gains any more.

    tableau: rows of columns, slacks last, and the right side, none below 0. gains: of each column,
    and 0. Both are changed. Returns the column that each row ends with; all others are 0.
    """
    basis = list(range(len(gains) - 1 - len(tableau), len(gains) - 1))
    step = 0
    while (entering := _entering(gains, step)) is not None:
        leaving = _leaving(tableau, basis, entering)
        _pivot(tableau, gains, leaving, entering)
        basis[leaving] = entering
        step += 1
    return basis


def _entering(gains: list[float], step: int) -> int | None:
    gaining = [column for column, gain in enumerate(gains[:-1]) if gain > ZERO]
    if not gaining:
        return None
    return max(gaining, key=gains.__getitem__) if step < MOST_GREEDY_STEPS else gaining[0]


def _leaving(tableau: list[list[float]], basis: list[int], entering: int) -> int:
    """The row that bounds the entering column first; of several the lowest column leaves."""
    bounding = [row for row, terms in enumerate(tableau) if terms[entering] > ZERO]
    return min(bounding, key=lambda row: (tableau[row][-1] / tableau[row][entering], basis[row]))


def _pivot(tableau: list[list[float]], gains: list[float], leaving: int, entering: int) -> None:
    pivot = tableau[leaving][entering]
    tableau[leaving] = base = [value / pivot for value in tableau[leaving]]
    for row, terms in enumerate(tableau):
        if row != leaving and terms[entering]:
            factor = terms[entering]
            tableau[row] = [a - factor * b for a, b in zip(terms, base, strict=True)]
    factor = gains[entering]
    gains[:] = [a - factor * b for a, b in zip(gains, base, strict=True)]
