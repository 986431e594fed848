"""Traces: hours, classes, reading, and what is said of bad files."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner.reporting.text.inputs.traffic import traffic_text
from milp_planner.traffic.digest import hour_rates, nearest_rank
from milp_planner.traffic.month import make_schedule, totals
from tests.support.examples import tries
from tests.support.traffic_builders import (
    AZURE_HEADER,
    EXACT,
    HEADER,
    difference,
    hours,
    problem,
    tokens,
    trace,
    write,
)

AZURE = Path(__file__).resolve().parents[3] / "shared/data/traces/requests_azure_llm_2023_conv.csv"


# Traces: hours


def test_a_short_trace_is_one_load_all_month(tmp_path):
    # Five requests in two minutes: three in the first, two in the second.
    rows = [(0, 10, 1), (10, 10, 1), (20, 10, 1), (60, 30, 2), (120, 40, 5)]
    schedule = make_schedule(problem(trace(write(tmp_path, rows), percentile="100%")))
    demand = schedule.demands["trace"]
    assert hours(schedule) == {"load-1": 720.0}
    assert demand.peak == pytest.approx((3 / 60,), **EXACT)
    assert demand.mean == pytest.approx((5 / 120,), **EXACT)
    month = 720 * 3600 / 120
    assert totals(schedule, "trace").requests == pytest.approx(5 * month, **EXACT)
    assert totals(schedule, "trace").input_tokens == pytest.approx(100 * month, **EXACT)
    assert totals(schedule, "trace").output_tokens == pytest.approx(10 * month, **EXACT)
    assert schedule.block_by_hour == ()
    assert demand.sized


def test_scale_and_growth_multiply_a_trace(tmp_path):
    path = write(tmp_path, [(0, 10, 1), (60, 30, 2)])
    once = make_schedule(problem(trace(path)))
    more = make_schedule(problem(trace(path, scale=100, growth=1.5)))
    for key in ("peak", "mean"):
        before = getattr(once.demands["trace"], key)
        assert getattr(more.demands["trace"], key) == pytest.approx((150 * before[0],), **EXACT)


def test_the_peak_is_never_below_the_mean(tmp_path):
    # Half of the minutes have two requests or fewer, but the mean is 2.5 a minute.
    path = write(tmp_path, [(0, 1, 1), (1, 1, 1), (2, 1, 1), (60, 1, 1), (120, 1, 1)])
    demand = make_schedule(problem(trace(path, percentile=0.5))).demands["trace"]
    assert demand.peak == demand.mean == pytest.approx((5 / 120,), **EXACT)


def test_one_request_is_a_trace_of_a_minute(tmp_path):
    schedule = make_schedule(problem(trace(write(tmp_path, [(7, 10, 3)]))))
    assert schedule.demands["trace"].peak == pytest.approx((1 / 60,), **EXACT)


def test_hours_of_a_short_trace_repeat_all_month(tmp_path):
    # Two hours: one request a minute, then three; the last arrival ends the second hour.
    rows = [(60 * i, 10, 1) for i in range(60)] + [(3600 + 20 * i, 20, 2) for i in range(181)]
    schedule = make_schedule(problem(trace(write(tmp_path, rows))))
    assert hours(schedule) == {"load-1": 360.0, "load-2": 360.0}
    assert schedule.demands["trace"].peak == pytest.approx((4 / 60, 1 / 60), **EXACT)
    assert schedule.demands["trace"].mean == pytest.approx((181 / 3600, 1 / 60), **EXACT)


def test_active_hours_lie_on_the_busiest_hours_of_a_short_trace(tmp_path):
    rows = [(60 * i, 10, 1) for i in range(60)] + [(3600 + 20 * i, 20, 2) for i in range(181)]
    batch = tokens(1e6, {"active_ratio": 0.5}, "batch")
    schedule = make_schedule(problem(trace(write(tmp_path, rows)), batch))
    assert hours(schedule) == {"load-1": 360.0, "load-2": 360.0}
    assert schedule.demands["trace"].peak == pytest.approx((4 / 60, 1 / 60), **EXACT)
    assert schedule.demands["batch"].peak[1] == 0


def test_what_is_left_of_the_last_hour_belongs_to_the_one_before():
    # 85 minutes are one hour, 95 are two: one of 60 minutes and one of 35.
    assert len(hour_rates(np.arange(0.0, 85 * 60 + 1, 60), 1.0)[2]) == 1
    shares = [load.share for load in hour_rates(np.arange(0.0, 95 * 60 + 1, 60), 1.0)[2]]
    assert shares == pytest.approx([60 / 95, 35 / 95], **EXACT)


def test_a_day_has_a_clock_of_24_hours(tmp_path):
    # Three days, a request every half hour, and two a minute from 9 to 10.
    start = datetime(2023, 11, 16)
    minutes = [m / 2 for m in range(3 * 2880 + 1) if m % 60 == 0 or m // 120 % 24 == 9]
    rows = [((start + timedelta(minutes=m)).isoformat(), 100, 10) for m in minutes]
    schedule = make_schedule(problem(trace(write(tmp_path, rows, AZURE_HEADER))))
    assert len(schedule.block_by_hour) == 24
    assert [h for h, block in enumerate(schedule.block_by_hour) if block == 0] == [9]
    assert schedule.blocks[0].hours == pytest.approx(30, **EXACT)
    duration_s = 60 * minutes[-1]
    assert totals(schedule, "trace").requests == pytest.approx(
        len(rows) * 720 * 3600 / duration_s, **EXACT
    )
    # 98 % of the other hours' minutes are empty, 99 % are not: a request in the busiest.
    assert schedule.demands["trace"].peak == pytest.approx((2 / 60, 1 / 60), **EXACT)


def test_a_week_begins_on_monday(tmp_path):
    # 2023-11-15 is a Wednesday: hour 2 x 24 + 9 of the week has ten times the requests.
    start = datetime(2023, 11, 15)
    rows = [((start + timedelta(minutes=20 * i)).isoformat(), 10, 1) for i in range(7 * 72)]
    rows += [((start + timedelta(hours=9, minutes=i)).isoformat(), 10, 1) for i in range(30)]
    schedule = make_schedule(problem(trace(write(tmp_path, rows), classes=1)))
    assert len(schedule.block_by_hour) == 168
    assert [h for h, block in enumerate(schedule.block_by_hour) if block == 0] == [57]


def test_hours_are_those_of_the_first_time_zone(tmp_path):
    rows = [
        (f"2023-11-{d}T{h:02d}:{m}:00+02:00", 1, 1)
        for d in (16, 17)
        for h in range(24)
        for m in ("00", "30")
    ]
    rows += [("2023-11-16T07:10:00Z", 1, 1), ("2023-11-17T07:10:00+00:00", 1, 1)]
    schedule = make_schedule(problem(trace(write(tmp_path, rows), percentile=0.01)))
    # 07:10 in UTC is 09:10 two hours further east.
    assert [h for h, block in enumerate(schedule.block_by_hour) if block == 0] == [9]


def test_hours_covered_more_often_than_others_do_not_change_the_volume():
    # 30 hours: six of the hours twice. 2 a minute in the first day, none but the last after it.
    arrivals = np.append(np.arange(0, 86_400, 30.0), 30 * 3600)
    clock, duration_s, loads = hour_rates(arrivals, 0.99)
    assert (clock, duration_s) == (24, 108_000)
    assert sum(load.share * load.mean for load in loads) == pytest.approx(
        len(arrivals) / duration_s, **EXACT
    )


@pytest.mark.parametrize(
    ("percentile", "rate"), [(1, 10), (0.99, 10), (0.95, 10), (0.9, 9), (0.5, 5), (0.07, 1)]
)
def test_a_percentile_is_a_rate_that_occurred(percentile, rate):
    assert nearest_rank(np.arange(1.0, 11), percentile) == rate


def test_a_rank_is_not_moved_by_float_noise():
    assert 0.07 * 100 > 7
    assert nearest_rank(np.arange(1.0, 101), 0.07) == 7


# Traces: classes


def test_classes_are_where_the_sizes_are(tmp_path):
    rows = [(i, 100 + i % 3, 10) for i in range(60)] + [(i, 5000, 10) for i in range(30)]
    rows += [(i, 100, 900 + i % 2) for i in range(30)]
    demand = make_schedule(problem(trace(write(tmp_path, rows), classes=3))).demands["trace"]
    assert [(q.name, q.share) for q in demand.classes] == [
        ("100/900", 0.25),
        ("101/10", 0.5),
        ("5000/10", 0.25),
    ]
    assert sum(q.share for q in demand.classes) == 1


def test_a_class_is_cut_where_most_requests_are_far_from_the_mean(tmp_path):
    # 100 | 200 400: 100 x 102 / 202 x 104 squared; 100 200 | 400: 200 x 2 / 202 x 250 squared.
    inputs = [100] * 100 + [200] * 100 + [400] * 2
    path = write(tmp_path, [(i, size, 1) for i, size in enumerate(inputs)])
    demand = make_schedule(problem(trace(path, classes=2))).demands["trace"]
    assert [b.requests for b in demand.trace.bins] == [100, 102]


def test_one_class_has_the_mean_size(tmp_path):
    path = write(tmp_path, [(0, 10, 4), (5, 20, 0), (9, 60, 2)])
    (only,) = make_schedule(problem(trace(path, classes=1))).demands["trace"].classes
    assert (only.input_tokens, only.output_tokens, only.share) == (30, 2, 1)


def test_outliers_make_no_class_of_their_own(tmp_path):
    # 1 of 300 is less than 0.5 %.
    rows = [(i, 100, 10) for i in range(299)] + [(300, 90_000, 10)]
    demand = make_schedule(problem(trace(write(tmp_path, rows)))).demands["trace"]
    assert len(demand.classes) == 1


def test_requests_without_output_are_kept_counted_and_never_alone(tmp_path):
    rows = [(i, 100, 0) for i in range(50)] + [(i, 2000, 30) for i in range(50)]
    asked = problem(trace(write(tmp_path, rows)))
    read = make_schedule(asked).demands["trace"]
    assert (read.trace.without_output, read.trace.without_input) == (50, 0)
    assert [(q.input_tokens, q.output_tokens) for q in read.classes] == [(1050, 15)]
    assert difference(asked) < 1e-9
    assert "50 without output tokens (kept)" in traffic_text(asked)


ROWS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 400_000), st.floats(0, 3e6)),
        st.one_of(st.integers(0, 5000), st.integers(0, 3)),
        st.sampled_from([0, 1, 7, 100, 1000]),
    ),
    min_size=1,
    max_size=60,
).filter(lambda rows: any(row[2] for row in rows))


@tries(0.6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.floats(0.01, 1), st.integers(1, 14), st.integers(1, 12), st.floats(0.1, 100))
def test_nothing_of_a_trace_is_lost(tmp_path, rows, percentile, classes, most, scale):
    path = write(tmp_path, rows)
    traffic = {"percentile": percentile, "classes": classes, "max_blocks": most, "scale": scale}
    asked = problem(trace(path, **traffic), tokens(1e6, "bursty"))
    schedule = make_schedule(asked)
    demand = schedule.demands["trace"]
    duration_s = max(60.0, max(r[0] for r in rows) - min(r[0] for r in rows))
    month = scale * 720 * 3600 / duration_s
    found = totals(schedule, "trace")
    assert found.requests == pytest.approx(len(rows) * month, **EXACT)
    assert found.input_tokens == pytest.approx(sum(r[1] for r in rows) * month, **EXACT)
    assert found.output_tokens == pytest.approx(sum(r[2] for r in rows) * month, **EXACT)
    assert difference(asked) < 1e-9
    assert len(schedule.blocks) <= most
    assert len(demand.classes) <= classes
    assert sum(q.share for q in demand.classes) == pytest.approx(1, **EXACT)
    assert all(m <= p for m, p in zip(demand.mean, demand.peak, strict=True))
    assert sum(b.requests for b in demand.trace.bins) == len(rows)
    assert all(apart(a, b) for a, b in combinations(demand.trace.bins, 2))


def apart(a, b):
    """Two bins are rectangles side by side or one above the other."""
    return any(a.longest[i] < b.shortest[i] or b.longest[i] < a.shortest[i] for i in (0, 1))


def test_a_hundred_thousand_requests_take_less_than_two_seconds(tmp_path):
    random = np.random.default_rng(7)
    count = 100_000
    table = np.stack(
        [
            np.sort(random.random(count) * 9 * 86_400).round(3),
            random.lognormal(6, 1.2, count).astype(int),
            random.lognormal(5, 1, count).astype(int),
        ],
        axis=1,
    )
    path = tmp_path / "large.csv"
    np.savetxt(path, table, "%.3f,%d,%d", header=HEADER, comments="")
    asked = problem(trace(path))
    started = time.process_time()
    schedule = make_schedule(asked)
    assert time.process_time() - started < 2
    assert len(schedule.block_by_hour) == 168
    assert difference(asked) < 1e-9


@pytest.mark.skipif(not AZURE.exists(), reason="the shared trace is not here")
def test_the_azure_conversation_trace_has_its_published_figures():
    asked = problem(trace(AZURE))
    demand = make_schedule(asked).demands["trace"]
    # 19,366 requests in 3,501.722 s; the busiest minute has 507.
    assert demand.peak == pytest.approx((507 / 60,), **EXACT)
    assert demand.mean == pytest.approx((19_366 / 3_501.722,), **EXACT)
    assert (demand.trace.requests, demand.trace.input_tokens) == (19_366, 22_361_870)
    assert demand.trace.output_tokens == 4_088_665
    assert len(demand.classes) == 12
    assert difference(asked) < 1e-9
