"""Futures with probabilities out of a history of traffic, for a person to edit.

The history is continued many times (`fits`); the continuations are sorted by what they come to on
average and cut into stretches of stated probability, and each stretch is one future, at its mean:
the futures' mean is the forecast's, and their spread is its spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.traffic import TraceColumns
from milp_planner.inputs.reading.arguments import check_number, path_of
from milp_planner.lazily import dataclass
from milp_planner.traffic.forecast.fits import MONTHS_PER_YEAR, best_fit, smoothing
from milp_planner.traffic.forecast.history import Step, TrafficHistory, read_history

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_FITTED = 12
"""Periods that the shortest fit has: fewer tell no growth from chance."""

LEAST_ORIGINS, MOST_ORIGINS = 3, 6
"""Moments from which the backtest forecasts."""

LEAST_YEARS = 2
"""Whole years that a season of the year is fitted on."""

MOST_MONTHS = 36

PERIODS_PER_MONTH: dict[Step, float] = {"week": 52 / 12, "month": 1.0}
BASE_PERIODS: dict[Step, int] = {"week": 4, "month": 1}
"""The newest ones, whose mean is traffic 1.0."""

STRETCHES: dict[int, tuple[tuple[str, float], ...]] = {
    1: (("base", 1.0),),
    2: (("low", 0.5), ("high", 0.5)),
    3: (("low", 0.2), ("base", 0.6), ("high", 0.2)),
    4: (("low", 0.1), ("below", 0.4), ("above", 0.4), ("high", 0.1)),
    5: (("low", 0.1), ("below", 0.2), ("base", 0.4), ("above", 0.2), ("high", 0.1)),
}
"""Names and probabilities of the futures by how many are asked for, the least traffic first."""

SAME = 0.005
"""Factors that are no further apart are one future."""


@dataclass(frozen=True)
class TrafficFuture:
    """One way that traffic may go."""

    name: str
    probability: float
    traffic: float
    """Factor on today's traffic, over the mean of the months ahead."""

    by_month: tuple[float, ...]
    """The same for each month ahead."""


@dataclass(frozen=True)
class ForecastBacktest:
    """Forecasts from earlier moments, each made of what was known then, against what came."""

    origins: int
    error: float
    """How far off the mean of the months ahead was, as a share of the forecast: the mean."""

    largest_error: float
    unchanged_error: float
    """The mean error of saying that traffic stays as it is."""

    is_wider: bool
    """Whether the errors were larger than the fit itself expects: the spread is theirs then."""


@dataclass(frozen=True)
class ForecastFutures:
    """Futures of traffic, what was fitted for them and how well that foretold the past."""

    history: TrafficHistory
    months: int
    base_per_day: float
    """Requests a day that a factor of 1 stands for."""

    level_per_day: float
    """Fitted at the end of the history, without season."""

    growth_per_month: float
    """At the end of the history, as a share; 0 where none is fitted."""

    growth_fades: bool
    season: tuple[float, ...]
    """Factors of the history's last twelve months; none where no season is fitted."""

    season_needs: int
    """Months of history with which one would be."""

    backtest: ForecastBacktest
    futures: tuple[TrafficFuture, ...]


def futures_from(
    path: str | Path,
    *,
    months: int = 6,
    count: int = 3,
    columns: TraceColumns | None = None,
    model: str | None = None,
) -> ForecastFutures:
    """Futures of the traffic that a file counts by the hour, day, week or month.

    path: usage exports, Prometheus' and Grafana's files, or columns `time` and `requests`. months:
    how far ahead, at most 36. count: how many futures, at most 5. columns: names of the columns
    `arrival` and `requests` where they are not known ones. model: only the rows of that LLM.

    Returns a ForecastFutures: its futures, the least traffic first, what was fitted, and how far
    off such forecasts were before. One future comes where all would be the same.

    Raises InputError for a file that is no such history or too short a one, ArgumentError for
    arguments of the wrong type, PlannerError where statsmodels is absent (`pip install
    'milp-planner[forecast]'`).

    >>> from pathlib import Path
    >>> from milp_planner import futures_from
    >>> _ = Path("history.csv").write_text("time,requests\\n2026-08-01,9\\n2026-09-01,12\\n")
    >>> futures_from("history.csv", months=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    milp_planner.errors.InputError: history.csv: has 2 whole months, and 3 months ahead need 17: ...
    """
    check_number("months", months, least=1, most=MOST_MONTHS, whole=True)
    check_number("count", count, least=1, most=max(STRETCHES), whole=True)
    season_needs = _needed(months, "month", is_seasonal=True)
    history = read_history(
        path_of("path", path), columns=columns, model=model, months_from=season_needs
    )
    _check_length(history, int(months))
    smoothing()
    return _continued(history, int(months), int(count))


def _periods(months: int, step: Step) -> int:
    return math.ceil(months * PERIODS_PER_MONTH[step])


def _needed(months: int, step: Step, *, is_seasonal: bool) -> int:
    """Periods to fit on, to hold a forecast of so many months against, and to begin at."""
    fitted = LEAST_YEARS * MONTHS_PER_YEAR if is_seasonal else LEAST_FITTED
    return fitted + _periods(months, step) + LEAST_ORIGINS - 1


def _continued(history: TrafficHistory, months: int, count: int) -> ForecastFutures:
    import numpy as np

    per_day = np.array([p.requests_per_day for p in history.periods])
    step, ahead = history.step, _periods(months, history.step)
    season_needs = _needed(months, "month", is_seasonal=True)
    is_seasonal = step == "month" and len(per_day) >= season_needs
    shortest = LEAST_YEARS * MONTHS_PER_YEAR if is_seasonal else LEAST_FITTED
    fit = best_fit(per_day, ahead, is_seasonal=is_seasonal)
    errors, unchanged = _backtested(per_day, ahead, shortest, step, is_seasonal=is_seasonal)
    paths, is_wider = _widened(fit.paths, _rms(errors))
    base = float(per_day[-BASE_PERIODS[step] :].mean())
    off = np.abs(np.expm1(errors))
    return ForecastFutures(
        history=history,
        months=months,
        base_per_day=base,
        level_per_day=fit.level,
        growth_per_month=math.expm1(PERIODS_PER_MONTH[step] * math.log1p(fit.growth)),
        growth_fades=fit.fades,
        season=fit.season,
        season_needs=season_needs,
        backtest=ForecastBacktest(
            origins=len(errors),
            error=float(off.mean()),
            largest_error=float(off.max()),
            unchanged_error=float(np.abs(np.expm1(unchanged)).mean()),
            is_wider=is_wider,
        ),
        futures=_merged(tuple(_stretches(_by_month(paths, months) / base, count))),
    )


def _check_length(history: TrafficHistory, months: int) -> None:
    """Raise InputError where too little is left to fit on and to hold the forecast against."""
    step, has = history.step, len(history.periods)
    needs = _needed(months, step, is_seasonal=False)
    if has >= needs:
        return
    ahead, origins = _periods(months, step), LEAST_ORIGINS
    said = (
        f"has {has} whole {step}s, and {months} months ahead need {needs}: {LEAST_FITTED} to fit "
        f"on, and {origins} times {ahead}, each a {step} later, to hold the forecast against"
    )
    can = [m for m in range(1, months) if _needed(m, step, is_seasonal=False) <= has]
    least = f"1 month ahead needs {_needed(1, step, is_seasonal=False)}"
    hint = f"ask for {can[-1]} months at most" if can else f"{least}; or write the futures yourself"
    raise InputError([Fault(history.file, 0, 0, "", said, hint)])


def _backtested(
    per_day: NDArray[np.float64], ahead: int, shortest: int, step: Step, *, is_seasonal: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms of what came over what was foretold: by the fit, and by leaving it as it was.

    Each fit, and the choice of its form, knows nothing of what came after it.
    """
    import numpy as np

    last = len(per_day) - ahead
    count = min(MOST_ORIGINS, last - shortest + 1)
    origins = np.unique(np.linspace(shortest, last, count).astype(int))
    errors, unchanged = [], []
    for origin in origins:
        known, came = per_day[:origin], math.log(per_day[origin : origin + ahead].mean())
        paths = best_fit(known, ahead, is_seasonal=is_seasonal).paths
        errors.append(came - float(np.median(np.log(paths.mean(axis=1)))))
        unchanged.append(came - math.log(known[-BASE_PERIODS[step] :].mean()))
    return np.array(errors), np.array(unchanged)


def _rms(errors: NDArray[np.float64]) -> float:
    return math.sqrt(float((errors**2).mean()))


def _widened(paths: NDArray[np.float64], error: float) -> tuple[NDArray[np.float64], bool]:
    """Paths whose mean over the periods ahead spreads no less than forecasts were off before.

    A fit takes its own form and parameters for the truth, and so expects too little of a surprise.
    Where all paths are one, they are moved up and down by the quantiles of a normal distribution.
    """
    import numpy as np

    logs = np.log(paths)
    totals = np.log(paths.mean(axis=1))
    spread = float(totals.std())
    if error <= spread or error < 1e-6:
        return paths, False
    middle = np.median(logs, axis=0)
    if spread > 1e-6:
        return np.exp(middle + (logs - middle) * (error / spread)), True
    from statistics import NormalDist

    normal = NormalDist(0.0, error)
    moves = np.array([normal.inv_cdf((i + 0.5) / len(logs)) for i in range(len(logs))])
    return np.exp(middle + moves[:, np.newaxis]), True


def _by_month(paths: NDArray[np.float64], months: int) -> NDArray[np.float64]:
    """(paths, months) of (paths, periods): a month is the mean of the periods that begin in it."""
    import numpy as np

    edges = np.linspace(0, paths.shape[1], months + 1).round().astype(int)
    columns = [paths[:, a:b].mean(axis=1) for a, b in pairwise(edges)]
    return np.stack(columns, axis=1)


def _stretches(factors: NDArray[np.float64], count: int) -> Iterator[TrafficFuture]:
    """The mean of each stretch of the continuations, sorted by what they come to."""
    import numpy as np

    ordered = factors[np.argsort(factors.mean(axis=1), kind="stable")]
    begin, passed = 0, 0.0
    for name, probability in STRETCHES[count]:
        passed += probability
        end = round(passed * len(ordered))
        months = ordered[begin:end].mean(axis=0)
        yield TrafficFuture(name, probability, float(months.mean()), tuple(map(float, months)))
        begin = end


def _merged(futures: tuple[TrafficFuture, ...]) -> tuple[TrafficFuture, ...]:
    """One future where all are the same."""
    least, most = futures[0].traffic, futures[-1].traffic
    if most - least > SAME * most:
        return futures
    middle = futures[len(futures) // 2]
    return (TrafficFuture("base", 1.0, middle.traffic, middle.by_month),)
