"""Level, growth and season of a history, fitted by statsmodels, which nothing else imports.

Exponential smoothing of the logarithm, so that growth compounds and a season is a factor. The forms
are those of Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing (2008),
chapter 2, with additive errors: a level alone, with growth, and with growth that fades; the one of
the least AICc is taken.
"""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from milp_planner.errors import PlannerError
from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MONTHS_PER_YEAR = 12
PATHS = 4_000
SEED = 20  # the same file gives the same futures

FORMS: tuple[dict[str, Any], ...] = (
    {"trend": None},
    {"trend": "add"},
    {"trend": "add", "damped_trend": True},
)

MOST_LOG = math.log(1e9)
"""A path beyond a billion times today's traffic says nothing more."""


@dataclass(frozen=True)
class Fit:
    """What was fitted, and where it may go from the last period on."""

    level: float
    """Requests a day at the end, without season."""

    growth: float
    """Of a period, at the end; 0 where none was fitted."""

    fades: bool
    """Whether growth gets less from period to period."""

    season: tuple[float, ...]
    """Factors of the last twelve periods; none where no season was fitted."""

    paths: NDArray[np.float64]
    """(PATHS, periods ahead): requests a day."""


def best_fit(per_day: NDArray[np.float64], ahead: int, *, is_seasonal: bool) -> Fit:
    """The form of the least AICc on periods of requests a day, all above 0.

    Raises PlannerError where statsmodels is absent.
    """
    import numpy as np

    ets = smoothing()
    season = {"seasonal": "add", "seasonal_periods": MONTHS_PER_YEAR} if is_seasonal else {}
    logs = np.log(per_day)
    with warnings.catch_warnings():
        # A search that ends early is judged by its AICc and by the backtest like any other.
        warnings.simplefilter("ignore")
        tried = [
            ets.ETSModel(
                logs, error="add", initialization_method="heuristic", **form, **season
            ).fit(disp=False)
            for form in FORMS
        ]
        fit = min(tried, key=lambda one: float(one.aicc))
        rng = np.random.RandomState(SEED)
        simulated = fit.simulate(ahead, anchor="end", repetitions=PATHS, rng=rng)
    paths = np.asarray(simulated, dtype=np.float64).reshape(ahead, PATHS).T
    start = float(logs[-1])
    return Fit(
        level=math.exp(float(fit.level[-1])),
        growth=math.expm1(float(fit.slope[-1])) if fit.model.has_trend else 0.0,
        fades=bool(fit.model.damped_trend),
        season=tuple(np.exp(fit.season[-MONTHS_PER_YEAR:])) if is_seasonal else (),
        paths=np.exp(np.clip(paths, start - MOST_LOG, start + MOST_LOG)),
    )


def smoothing() -> ModuleType:
    """statsmodels' exponential smoothing; raises PlannerError where it is not installed."""
    try:
        return import_module("statsmodels.tsa.exponential_smoothing.ets")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "statsmodels":
            raise
        raise PlannerError(
            "futures needs statsmodels, which is not installed\n"
            "  hint: pip install 'milp-planner[forecast]'"
        ) from None
