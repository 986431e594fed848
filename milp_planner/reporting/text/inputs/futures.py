"""A list of futures as YAML, with what it rests on as comments: a file for a person to edit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from milp_planner.reporting.text.wording import count, escape, number, percent, plural
from milp_planner.traffic.forecast.futures import ForecastBacktest, ForecastFutures

WIDTH = 98  # columns of a comment's words
INDENT = "# "


def futures_yaml(found: ForecastFutures) -> str:
    """`futures:` and `horizon:` for a problem file; what was read, fitted and missed is said above.

    A month's factor is the future's own, times that of its course.
    """
    comments = [
        line
        for said in _said(found)
        for line in textwrap.wrap(said, WIDTH, initial_indent=INDENT, subsequent_indent="#   ")
    ]
    rows = [
        f"  - {{name: {f.name}, probability: {f.probability * 100:.0f}%, "
        f"traffic: {_factor(f.traffic)}}}"
        for f in found.futures
    ]
    return "\n".join([*comments, "futures:", *rows, *_horizon(found)]) + "\n"


def _horizon(found: ForecastFutures) -> Iterator[str]:
    """The months ahead; none where there is but one, which is that of the futures."""
    if found.months == 1:
        return
    yield "horizon:  # its months are planned together; without it one month, at each future's mean"
    yield f"  months: {found.months}"
    yield "  futures:  # month by month, times the future's traffic above"
    for future in found.futures:
        factors = ", ".join(_factor(month / future.traffic) for month in future.by_month)
        yield from textwrap.wrap(
            f"{future.name}: {{traffic: [{factors}]}}",
            WIDTH,
            initial_indent="    ",
            subsequent_indent="      ",
        )


def _factor(value: float) -> str:
    """Three significant digits, no exponent and no comma."""
    return number(value).replace(",", "")


def _said(found: ForecastFutures) -> Iterator[str]:
    history = found.history
    periods = history.periods
    holes = sum(period.has_holes for period in periods)
    yield (
        f"{plural(found.months, 'month')} ahead, from {escape(history.file)} "
        f"(sha {history.sha256[:8]}): {plural(len(periods), f'whole {history.step}')} "
        f"from {periods[0].starts:%Y-%m-%d} on"
        + (f"; {holes} of them with holes, which count at the mean of the rest." if holes else ".")
    )
    if history.rows_added:
        beside = count(history.rows_added)
        yield f"Rows of a time that has several add up ({beside} beside the first)."
    newest = "the last month" if history.step == "month" else "the last 4 weeks"
    yield (
        f"Traffic 1 is that of {newest}, {found.base_per_day:,.0f} requests a day: state that as "
        "the problem's traffic. A future's factor is the mean over the months ahead; peaks and "
        "sizes of requests are taken to stay as they are."
    )
    yield _fitted(found)
    yield _held(found.backtest)
    yield (
        "Each future is a stretch of what the forecast holds possible, at its mean. The past knows "
        "of no launch, no customer lost and no new price: add what you know, and let the "
        "probabilities sum to 100%."
    )


def _fitted(found: ForecastFutures) -> str:
    fades = ", which fades" if found.growth_fades else ""
    growth = (
        f"growth {found.growth_per_month:+.1%} a month{fades}"
        if found.growth_per_month
        else ("no growth")
    )
    return (
        f"Fitted to logarithms by exponential smoothing, least AICc: level "
        f"{found.level_per_day:,.0f} requests a day, {growth}, {_season(found)}."
    )


def _season(found: ForecastFutures) -> str:
    if not found.season:
        return f"no season of the year (it needs {found.season_needs} whole months)"
    starts = [period.starts for period in found.history.periods[-len(found.season) :]]
    factors = list(zip(found.season, starts, strict=True))
    (least, low), (most, high) = min(factors), max(factors)
    return f"season from {least:.2f} in {low:%B} to {most:.2f} in {high:%B}"


def _held(backtest: ForecastBacktest) -> str:
    wider = (
        " That is more than the fit itself expects, and the futures are as far apart as that."
        if backtest.is_wider
        else ""
    )
    return (
        f"Backtest, out of sample, from {backtest.origins} earlier moments: off by "
        f"{percent(backtest.error, 1)} in the mean, {percent(backtest.largest_error, 1)} at most; "
        f"traffic as it was would have been off by {percent(backtest.unchanged_error, 1)}.{wider}"
    )
