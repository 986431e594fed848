"""Futures out of a history of traffic: series whose continuation is known by construction."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import yaml

from milp_planner import InputError, futures_from
from milp_planner.reporting.text.inputs.futures import futures_yaml
from milp_planner.traffic.forecast import fits, futures
from milp_planner.traffic.forecast.history import read_history

pytest_plugins = ["tests.support.toy_cli"]
pytest.importorskip("statsmodels", reason="needs '.[forecast]'")

MONDAY = dt.datetime(2024, 1, 1)


def months_from(year: int, count: int) -> list[dt.date]:
    return [dt.date(year + i // 12, i % 12 + 1, 1) for i in range(count)]


def days_in(month: dt.date) -> int:
    return ((month.replace(day=28) + dt.timedelta(4)).replace(day=1) - month).days


@pytest.fixture
def written(tmp_path):
    def write(rows: Iterable[tuple[object, float]], name: str = "history.csv") -> str:
        path = tmp_path / name
        lines = [f"{when},{requests!r}" for when, requests in rows]
        path.write_text("\n".join(["time,requests", *lines]) + "\n")
        return str(path)

    return write


def monthly(per_day: Callable[[int], float], count: int, year: int = 2024):
    """Rows of months with that rate a day: February has fewer requests and the same rate."""
    return [(m, per_day(i) * days_in(m)) for i, m in enumerate(months_from(year, count))]


def test_growth_without_chance_gives_one_future_that_goes_on_growing(written):
    found = futures_from(written(monthly(lambda i: 1_000 * 1.03**i, 30)), months=6)
    [only] = found.futures
    assert (only.name, only.probability) == ("base", 1.0)
    # Month k ahead is 1.03^k times the last; the mean of six is 1.1110.
    assert only.by_month == pytest.approx([1.03**k for k in range(1, 7)], rel=1e-3)
    assert only.traffic == pytest.approx(fmean(1.03**k for k in range(1, 7)), rel=1e-3)
    assert found.growth_per_month == pytest.approx(0.03, abs=1e-3)
    assert found.base_per_day == pytest.approx(1_000 * 1.03**29)
    assert found.backtest.error < 1e-3
    # Traffic as it was is off by 11.1 % of itself, whenever one looks.
    assert found.backtest.unchanged_error == pytest.approx(0.111, abs=2e-3)


def test_a_season_is_fitted_where_two_years_are_left_to_fit_it_on(written):
    def per_day(i: int) -> float:
        return 1_000 * 1.02**i * (1.5 if i % 12 == 11 else 1.0)

    found = futures_from(written(monthly(per_day, 36)), months=6)
    # The last month is a December of 1.5: January is 1.02 / 1.5 of it.
    base = found.futures[len(found.futures) // 2]
    assert base.by_month == pytest.approx([1.02**k / 1.5 for k in range(1, 7)], rel=0.02)
    assert max(found.season) / min(found.season) == pytest.approx(1.5, rel=0.02)
    assert found.season.index(max(found.season)) == 11
    shorter = futures_from(written(monthly(per_day, 31)), months=6)
    assert (shorter.season, shorter.season_needs) == ((), 32)


def test_hours_days_and_weeks_of_the_same_traffic_are_the_same_weeks(written):
    weekly = [700.0 * 1.01**i for i in range(30)]
    weekday = (1.2, 1.2, 1.2, 1.2, 1.2, 0.5, 0.5)  # sums to 7

    def rows(hours: int):
        for i in range(0, 30 * 168, hours):
            week, hour = divmod(i, 168)
            share = sum(weekday[h // 24] for h in range(hour, hour + hours)) / 168
            yield MONDAY + dt.timedelta(hours=i), weekly[week] * 7 * share

    for hours in (1, 24, 168):
        history = read_history(Path(written(rows(hours))), months_from=32)
        assert history.step == "week"
        assert [p.requests_per_day for p in history.periods] == pytest.approx(weekly)
        assert history.periods[0].starts == MONDAY


def test_the_stretches_have_the_probabilities_and_the_mean_of_a_random_walk():
    draw = random.Random(11)
    logs = [0.0]
    for _ in range(199):
        logs.append(logs[-1] + draw.gauss(0, 0.1))
    per_day = np.array([1_000 * math.exp(x) for x in logs])
    factors = fits.best_fit(per_day, 1, is_seasonal=False).paths / per_day[-1]
    low, base, high = futures._stretches(factors, 3)
    assert [f.probability for f in (low, base, high)] == [0.2, 0.6, 0.2]
    # A step is normal with σ = 0.1 in logarithms. The mean of a normal's lowest fifth is
    # -φ(Φ⁻¹(0.2)) / 0.2 = -1.400 σ: e^-0.14 = 0.87, and the highest e^0.14 = 1.15.
    assert low.traffic == pytest.approx(0.87, abs=0.02)
    assert base.traffic == pytest.approx(1.0, abs=0.02)
    assert high.traffic == pytest.approx(1.15, abs=0.02)
    for count in (2, 3, 4, 5):
        found = list(futures._stretches(factors, count))
        assert sum(f.probability for f in found) == pytest.approx(1)
        assert sum(f.probability * f.traffic for f in found) == pytest.approx(factors.mean())


@pytest.mark.slow
def test_the_backtest_knows_nothing_of_what_came_after(monkeypatch):
    draw = random.Random(2)
    per_day = np.array([1_000 * 1.02**i * math.exp(draw.gauss(0, 0.03)) for i in range(30)])
    seen = []
    monkeypatch.setattr(
        futures,
        "best_fit",
        lambda known, *a, **k: seen.append(known) or fits.best_fit(known, *a, **k),
    )
    errors, _ = futures._backtested(per_day, 6, 12, "month", is_seasonal=False)
    assert [len(known) for known in seen] == [12, 14, 16, 19, 21, 24]
    later = per_day.copy()
    later[24:] *= 2
    after, _ = futures._backtested(later, 6, 12, "month", is_seasonal=False)
    # Twice the traffic in all six months that came: the last forecast is off by ln 2 more.
    assert after[-1] - errors[-1] == pytest.approx(math.log(2), abs=1e-9)
    assert after[0] == pytest.approx(errors[0], abs=1e-12)


def test_futures_are_as_far_apart_as_forecasts_were_wrong(written):
    # Growth of 5 % a month that stopped: each forecast made before says more than what came.
    found = futures_from(written(monthly(lambda i: 1_000 * 1.05 ** min(i, 24), 30)), months=6)
    assert found.backtest.is_wider
    assert found.backtest.largest_error > 0.05
    assert found.futures[-1].traffic / found.futures[0].traffic > 1.1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [(MONDAY + dt.timedelta(i), 5.0) for i in range(80)],
            "has 11 whole weeks, and 6 months ahead need 40: 12 to fit on, and 3 times 26, each a "
            "week later, to hold the forecast against\n"
            "  hint: 1 month ahead needs 19; or write the futures yourself",
        ),
        (
            [(m, 5.0) for m in months_from(2024, 17)],
            "has 17 whole months, and 6 months ahead need 20: 12 to fit on, and 3 times 6, each a "
            "month later, to hold the forecast against\n  hint: ask for 3 months at most",
        ),
        (
            [(m, 5.0) for m in months_from(2024, 30) if m != dt.date(2024, 5, 1)],
            "has a gap in the month from 2024-05-01 on\n"
            "  hint: give a row of 0 requests where there were none",
        ),
        (
            [(m, 0.0 if m.year < 2025 else 5.0) for m in months_from(2024, 30)][11:],
            "has no request in the month from 2024-12-01 on: growth from nothing cannot be told\n"
            "  hint: give the rows from the first request on",
        ),
        (
            [(MONDAY + dt.timedelta(10 * i), 5.0) for i in range(40)],
            "has a row of 10 days; give hours, days, weeks or calendar months",
        ),
        ([(MONDAY, "many"), (MONDAY + dt.timedelta(1), 3)], "expected a count, found \"'many'\""),
    ],
)
def test_a_history_that_tells_too_little_is_refused_with_what_is_needed(written, rows, said):
    path = written(rows)
    with pytest.raises(InputError) as caught:
        futures_from(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("day", [dt.date(1, 1, 1), dt.date(9999, 10, 1)])
def test_a_date_that_is_none_of_traffic_is_refused(written, day):
    path = written([(day + dt.timedelta(i), 5.0) for i in range(60)])
    with pytest.raises(InputError, match="has a row before 1970 or from 2200 on: no date of"):
        futures_from(path)


@pytest.mark.parametrize("text", ["date;requests\n2026-01-01;5\n", "a,b,c\n1,2,3\n"])
def test_a_file_without_columns_of_counts_says_which_it_needs(tmp_path, text):
    path = tmp_path / "h.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        futures_from(path)
    [fault] = caught.value.faults
    assert (fault.file, fault.line) == (str(path), 1)
    assert fault.message == "has no column of times with one of counts beside it"
    assert fault.hint == "give a column `time` and a column `requests`, with a comma between them"


def test_rows_of_the_same_time_add_up_and_that_is_said(written):
    rows = [(MONDAY + dt.timedelta(i), 70.0) for i in range(30 * 7)]
    twice = futures_from(written([*rows, rows[-1], rows[-1]]), months=1)
    assert twice.history.rows_added == 2
    assert twice.history.periods[-1].requests_per_day == pytest.approx(9 * 70 / 7)
    said = "# Rows of a time that has several add up (2 beside the first)."
    assert said in futures_yaml(twice)
    assert "add up" not in futures_yaml(futures_from(written(rows), months=1))


def test_a_day_that_is_missing_counts_at_the_mean_of_its_week(written):
    rows = [(MONDAY + dt.timedelta(i), 70.0) for i in range(30 * 7)]
    found = futures_from(written(rows[:100] + rows[101:]), months=1)
    assert [p.requests_per_day for p in found.history.periods] == [70.0] * 30
    assert sum(p.has_holes for p in found.history.periods) == 1


def test_a_last_month_that_is_not_over_is_left_out(tmp_path):
    path = tmp_path / "h.csv"
    starts = months_from(2024, 25)
    ends = [*starts[1:], dt.date(2026, 1, 11)]
    rows = [f"{a},{b},{(b - a).days * 9}" for a, b in zip(starts, ends, strict=True)]
    path.write_text("\n".join(["start_time,end_time,requests", *rows]) + "\n")
    found = futures_from(path)
    assert len(found.history.periods) == 24
    assert found.futures[0].traffic == pytest.approx(1.0)


def test_single_requests_are_no_history(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n3,5,5\n")
    with pytest.raises(InputError, match="has one request a row; a history counts requests"):
        futures_from(path)


@pytest.mark.slow
def test_the_command_writes_a_list_that_says_what_it_rests_on(written, run, tmp_path):
    draw = random.Random(7)
    path = written(monthly(lambda i: 1_000 * 1.02**i * math.exp(draw.gauss(0, 0.04)), 30))
    code, out, err = run("futures", path, "--months", "3")
    assert (code, err) == (0, "")
    listed = yaml.safe_load(out)["futures"]
    assert [f["name"] for f in listed] == ["low", "base", "high"]
    assert [f["probability"] for f in listed] == ["20%", "60%", "20%"]
    said = " ".join(line.strip("# ") for line in out.splitlines() if line.startswith("#"))
    assert "3 months ahead, from" in said
    assert "30 whole months from 2024-01-01 on." in said
    assert "no season of the year (it needs 29 whole months)" not in said
    assert "Backtest, out of sample, from" in said
    new = tmp_path / "futures.yaml"
    assert run("futures", path, "--months", "3", "-o", str(new))[1] == ""
    assert new.read_text() == out
    code, _, err = run("futures", path, "-o", str(new))
    assert (code, "exists already; give another name" in err) == (2, True)


def test_what_the_command_writes_is_planned_month_by_month(written, run, folder):
    draw = random.Random(7)
    path = written(monthly(lambda i: 1_000 * 1.02**i * math.exp(draw.gauss(0, 0.04)), 30))
    code, out, _ = run("futures", path, "--months", "3")
    assert code == 0
    lines = (folder / "toy.yaml").read_text().splitlines()
    asked = [line for line in lines if not line.startswith("alternatives")]
    (folder / "asked.yaml").write_text("\n".join([*asked, out]))
    code, said, err = run("solve", "asked.yaml", "--json")
    assert (code, err) == (0, "")
    told = {f["name"]: f for f in json.loads(said)["futures"]}
    found = futures_from(path, months=3)
    assert [*told] == [f.name for f in found.futures]
    for future in found.futures:
        # Two factors of three digits each.
        factors = [month["traffic"] for month in told[future.name]["months"]]
        assert factors == pytest.approx(future.by_month, rel=0.011)
    code, out, _ = run("futures", path, "--months", "1")
    assert (code, "horizon" in out) == (0, False)


def test_without_statsmodels_the_command_says_what_to_install(written, run, monkeypatch):
    def absent(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(fits, "import_module", absent)
    code, out, err = run("futures", written(monthly(lambda i: 3.0, 20)))
    assert (code, out) == (2, "")
    assert "futures needs statsmodels, which is not installed" in err
    assert "pip install 'milp-planner[forecast]'" in err


@pytest.mark.parametrize(("name", "value"), [("months", 0), ("months", 37), ("count", 6)])
def test_what_is_asked_for_has_bounds(name, value):
    with pytest.raises(InputError, match=f"{name}: must be at"):
        futures_from("nowhere.csv", **{name: value})
