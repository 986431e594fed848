"""Traffic: hand-worked blocks, merging that lowers no peak and keeps the volume, the report."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import MonthPart, load_problem
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.text.inputs.traffic import traffic_dict, traffic_text
from milp_planner.traffic.blocks import Span, group_spans, make_spans, over_provided
from milp_planner.traffic.month import make_curves, make_schedule, totals
from tests.support.examples import tries
from tests.support.traffic_builders import (
    DAY,
    EXACT,
    difference,
    faults,
    hours,
    problem,
    profile,
    refusal,
    sizes,
    tokens,
    trace,
    workload,
    write,
)

# Patterns and rates


@pytest.mark.parametrize(
    ("pattern", "peak", "active_hours"),
    [("steady", 100, 720), ("business_hours", 420.168067, 171.36), ("bursty", 750, 288)],
)
def test_the_reference_patterns_have_their_published_peaks(pattern, peak, active_hours):
    # 8,640,000 tokens per day are 100 per second on average (InferenceAtlas).
    schedule = make_schedule(problem(tokens(8_640_000, pattern)))
    demand = schedule.demands["chat"]
    assert demand.highest_peak == pytest.approx(peak, rel=1e-8)
    assert schedule.blocks[0].name == "active"
    assert schedule.blocks[0].hours == pytest.approx(active_hours, **EXACT)
    assert sum(block.hours for block in schedule.blocks) == pytest.approx(720, **EXACT)
    assert schedule.tokens_per_month("chat") == pytest.approx(259_200_000, **EXACT)
    assert not demand.sized


def test_a_steady_load_is_one_block_and_has_no_clock():
    schedule = make_schedule(problem(tokens(8_640_000)))
    assert [block.name for block in schedule.blocks] == ["active"]
    assert schedule.block_by_hour == ()


def test_active_hours_of_patterns_lie_inside_one_another():
    schedule = make_schedule(
        problem(
            tokens(1e6, "bursty", "a"),
            tokens(1e6, "business_hours", "b"),
            tokens(1e6, "steady", "c"),
        )
    )
    # 23.8 % all three, then up to 40 % two, then one.
    assert hours(schedule) == {"active": 171.36, "active-2": 116.64, "active-3": 432.0}
    assert [peak > 0 for peak in schedule.demands["b"].peak] == [True, False, False]


def test_a_rate_may_have_a_mean_below_its_peak():
    asked = problem(
        workload(kind="requests_per_second", requests_per_second=8, mean_requests_per_second=5)
    )
    schedule = make_schedule(asked)
    assert (schedule.demands["chat"].peak, schedule.demands["chat"].mean) == ((8,), (5,))
    assert totals(schedule, "chat").requests == pytest.approx(5 * 720 * 3600, **EXACT)


def test_a_mean_above_the_peak_is_refused():
    said = refusal(kind="requests_per_second", requests_per_second=3, mean_requests_per_second=5)
    assert "must be at most requests_per_second, the peak (is 5, the peak 3)" in said


@pytest.mark.parametrize(
    "traffic",
    [
        {"kind": "tokens_per_day", "tokens_per_day": 1e6, "pattern": "bursty"},
        {"kind": "requests_per_second", "requests_per_second": 3},
        {"kind": "profile", "requests_per_day": 1000, "weights": DAY},
    ],
    ids=lambda traffic: traffic["kind"],
)
def test_growth_multiplies_peaks_and_totals(traffic):
    before = make_schedule(problem(workload(**traffic)))
    after = make_schedule(problem(workload(**traffic, growth=2.5)))
    assert after.demands["chat"].highest_peak == pytest.approx(
        2.5 * before.demands["chat"].highest_peak, **EXACT
    )
    assert totals(after, "chat").tokens == pytest.approx(2.5 * totals(before, "chat").tokens)


# Profiles


def test_a_profile_of_two_loads_is_two_blocks():
    # 86,400 a day are 1 per second; mean weight 2, so 0.5/s by night and 1.5/s by day.
    weights = [1] * 6 + [3] * 12 + [1] * 6
    schedule = make_schedule(problem(profile(weights=weights, burst_factor=2)))
    assert hours(schedule) == {"load-1": 360.0, "load-2": 360.0}
    assert schedule.demands["chat"].mean == pytest.approx((1.5, 0.5), **EXACT)
    assert schedule.demands["chat"].peak == pytest.approx((3, 1), **EXACT)
    assert schedule.block_by_hour == (*[1] * 6, *[0] * 12, *[1] * 6)


def test_hours_merge_where_that_adds_least():
    # Weights 1, 2 and 4, eight hours each, mean 7/3. Merging 1 into 2 adds 8 x 1, 2 into 4 8 x 2.
    weights = [1] * 8 + [4] * 8 + [2] * 8
    schedule = make_schedule(problem(profile(weights=weights, max_blocks=2)))
    assert hours(schedule) == {"load-1": 240.0, "load-2": 480.0}
    assert schedule.demands["chat"].peak == pytest.approx((12 / 7, 6 / 7), **EXACT)
    assert schedule.demands["chat"].mean == pytest.approx((12 / 7, 4.5 / 7), **EXACT)


def test_equal_hours_are_one_block_however_many_are_allowed():
    schedule = make_schedule(problem(profile(weights=[5] * 168, max_blocks=24)))
    assert hours(schedule) == {"load-1": 720.0}
    assert schedule.block_by_hour == (0,) * 168


def test_hours_without_load_are_idle():
    weights = [0] * 16 + [1] * 8
    schedule = make_schedule(problem(profile(weights=weights)))
    assert hours(schedule) == {"load-1": 240.0, "idle": 480.0}
    assert schedule.demands["chat"].peak == pytest.approx((3, 0), **EXACT)


def test_a_profile_may_be_given_in_tokens():
    # 1,800 tokens a request: 180 M tokens are 100,000 requests.
    schedule = make_schedule(problem(profile(tokens_per_day=180e6)))
    assert totals(schedule, "chat").requests == pytest.approx(3_000_000, **EXACT)
    assert totals(schedule, "chat").input_tokens == pytest.approx(4.5e9, **EXACT)
    assert totals(schedule, "chat").output_tokens == pytest.approx(0.9e9, **EXACT)


def test_a_day_is_repeated_over_a_week():
    week = [2] * 120 + [1] * 48
    day = [3] * 12 + [1] * 12
    schedule = make_schedule(problem(profile("a", weights=day), profile("b", weights=week)))
    assert len(schedule.block_by_hour) == 168
    # Nights and days of the week and of the weekend.
    assert sorted(b.hours for b in schedule.blocks) == pytest.approx(
        [720 * 24 / 168, 720 * 24 / 168, 720 * 60 / 168, 720 * 60 / 168], **EXACT
    )
    assert difference(problem(profile("a", weights=day), profile("b", weights=week))) < 1e-9


def test_workloads_share_at_most_the_larger_number_of_blocks():
    asked = problem(profile("a", max_blocks=3), profile("b", weights=DAY[::-1], max_blocks=5))
    assert len(make_schedule(asked).blocks) == 5


def test_active_hours_lie_on_the_hours_of_highest_load():
    # A quarter of the day is 6 hours; the 6 busiest are 12 to 18.
    weights = [1] * 12 + [4] * 6 + [2] * 6
    batch = tokens(1e6, {"active_ratio": 0.25}, "batch")
    schedule = make_schedule(problem(profile(weights=weights), batch))
    assert [bool(p) for p in schedule.demands["batch"].peak] == [True, False, False]
    assert [schedule.block_by_hour[hour] for hour in (0, 11, 12, 17, 18)] == [2, 2, 0, 0, 1]


def test_an_hour_is_split_where_active_time_ends_within_it():
    # 0.3 x 24 = 7.2 hours: all of 12 to 18, then 1.2 hours of equal ones, the first of them.
    weights = [1] * 12 + [4] * 6 + [2] * 6
    batch = tokens(1e6, {"active_ratio": 0.3}, "batch")
    schedule = make_schedule(problem(profile(weights=weights), batch))
    peaks = schedule.demands["batch"].peak
    busy = [b.hours for b, peak in zip(schedule.blocks, peaks, strict=True) if peak]
    assert sum(busy) == pytest.approx(216, **EXACT)
    assert busy == pytest.approx([180, 36], **EXACT)
    # The hour from 19 is batch's for a fifth: the strip shows what holds for four fifths.
    assert schedule.block_by_hour[18] == 1
    assert schedule.block_by_hour[19] == 2


def test_an_hour_split_in_halves_is_shown_as_the_busier_one():
    # 6.5 hours: 12 to 18 and half of the hour from 18.
    weights = [1] * 12 + [4] * 6 + [2] + [1] * 5
    batch = tokens(1e6, {"active_ratio": 6.5 / 24}, "batch")
    schedule = make_schedule(problem(profile(weights=weights), batch))
    assert [bool(peak) for peak in schedule.demands["batch"].peak] == [True, True, False, False]
    assert schedule.block_by_hour[18] == 1


def test_the_busiest_hours_are_told_by_tokens_not_by_requests():
    # By night few requests of 10,000 tokens, by day many of 2.
    night = {**profile("a", 1000, [1] * 12 + [0] * 12), "requests": sizes(9000, 1000)}
    day = {**profile("b", 50_000, [0] * 12 + [1] * 12), "requests": sizes(1, 1)}
    batch = tokens(1e6, {"active_ratio": 0.5}, "batch")
    schedule = make_schedule(problem(night, day, batch))
    block = schedule.block_by_hour[0]
    assert schedule.demands["batch"].peak[block] > 0
    assert schedule.demands["batch"].peak[schedule.block_by_hour[12]] == 0


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        (
            {"weights": [1] * 25, "requests_per_day": 1},
            "needs 24 numbers, the hours of a day, or 168, those of a week (has 25)",
        ),
        ({"weights": [0] * 24, "requests_per_day": 1}, "one weight must be greater than 0"),
        ({"weights": DAY}, "requests_per_day or tokens_per_day is required"),
        (
            {"weights": DAY, "requests_per_day": 1, "tokens_per_day": 2},
            "requests_per_day and tokens_per_day cannot both be given",
        ),
        ({"weights": [-1] * 24, "requests_per_day": 1}, "weights[0]: must be at least 0 (is -1)"),
        (
            {"weights": DAY, "requests_per_day": 1, "max_blocks": 0},
            "must be at least 1 (is 0)",
        ),
        (
            {"weights": DAY, "requests_per_day": 1, "max_blocks": 169},
            "must be at most 168 (is 169)",
        ),
        (
            {"weights": DAY, "tokens_per_day": 1, "burst_factor": 0.5},
            "must be at least 1 (is 0.5)",
        ),
    ],
)
def test_a_profile_that_cannot_be_is_refused(traffic, said):
    assert said in refusal(kind="profile", **traffic)


def test_a_profile_in_a_file_is_faulted_at_its_lines(tmp_path):
    file = tmp_path / "p.yaml"
    text = (
        "schema_version: 1\nworkloads:\n- name: chat\n  llm: tiny\n  traffic:\n"
        "    kind: profile\n    requests_per_day: 1k\n    tokens_per_day: 5M\n"
        f"    weights: {DAY}\n"
    )
    file.write_text(text)
    assert faults(load_problem, file) == [
        f"{file}:8:21: workloads[0].traffic.tokens_per_day: requests_per_day and tokens_per_day "
        "cannot both be given (lines 7 and 8)"
    ]
    file.write_text(text.replace("    tokens_per_day: 5M\n", "").replace(", 1]", "]"))
    assert faults(load_problem, file) == [
        f"{file}:8:14: workloads[0].traffic.weights: needs 24 numbers, the hours of a day, or 168, "
        "those of a week (has 23)"
    ]


def test_traffic_beyond_floats_is_an_input_error():
    huge = problem(tokens(1e308, {"active_ratio": 1e-9}))
    assert faults(make_schedule, huge) == [
        "workloads[0].traffic: the traffic is too large to reckon with (inf requests/s)"
    ]
    tiny = problem(tokens(5e-324))
    assert faults(make_schedule, tiny) == [
        "workloads[0].traffic: the traffic is too small to reckon with (0 requests/s)"
    ]


# Merging, in general

WEIGHTS = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-3, 1e3), st.sampled_from([1.0, 2.0, 5.0])),
    min_size=24,
    max_size=24,
).filter(any)
PROFILES = st.builds(
    lambda weights, many, volume, burst, most: {
        "kind": "profile",
        "requests_per_day": volume,
        "weights": weights * (7 if many else 1),
        "burst_factor": burst,
        "max_blocks": most,
    },
    WEIGHTS,
    st.booleans(),
    st.floats(1, 1e9),
    st.floats(1, 10),
    st.integers(1, 30),
)
OTHERS = st.one_of(
    st.builds(
        lambda ratio, burst: {
            "kind": "tokens_per_day",
            "tokens_per_day": 7e6,
            "pattern": {"active_ratio": ratio, "burst_factor": burst},
        },
        st.floats(0.01, 1),
        st.floats(1, 5),
    ),
    st.just({"kind": "requests_per_second", "requests_per_second": 2.5}),
)


@tries(0.6)
@given(st.lists(st.one_of(PROFILES, OTHERS), min_size=1, max_size=4))
def test_merging_lowers_no_peak_and_keeps_hours_and_volume(kinds):
    asked = problem(*(workload(f"w{i}", **kind) for i, kind in enumerate(kinds)))
    schedule, curves = make_schedule(asked), make_curves(asked)
    limits = [kind["max_blocks"] for kind in kinds if "max_blocks" in kind]
    assert sum(b.hours for b in schedule.blocks) == pytest.approx(720, **EXACT)
    assert difference(asked) < 1e-9
    if limits:
        assert len(schedule.blocks) <= max(limits)
    spans = make_spans([*curves.values()])
    groups = group_spans(spans, max(limits, default=None))
    assert sorted(i for group in groups for i in group) == [*range(len(spans))]
    for w, (name, curve) in enumerate(curves.items()):
        demand = schedule.demands[name]
        # In every hour of the month, sorted by load, the blocks ask at least what was asked.
        planned = sorted(
            (max(spans[i].loads[w].peak for i in group) for group in groups), reverse=True
        )
        assert sorted(demand.peak, reverse=True) == planned
        assert demand.highest_peak == max(load.peak for load in curve.loads)
        assert all(mean <= peak for mean, peak in zip(demand.mean, demand.peak, strict=True))


@tries(0.6)
@given(st.lists(PROFILES, min_size=1, max_size=3))
def test_no_hour_of_the_clock_asks_less_than_its_profile(kinds):
    asked = problem(*(workload(f"w{i}", **kind) for i, kind in enumerate(kinds)))
    schedule = make_schedule(asked)
    for name, curve in make_curves(asked).items():
        for hour, block in enumerate(schedule.block_by_hour):
            own = curve.loads[hour % len(curve.loads)].peak
            # Hours that differ by less than 1e-9 of the highest peak are one.
            assert schedule.demands[name].peak[block] >= own


def partitions(count, most):
    """Every way to put `count` things into at most `most` groups."""
    for labels in product(range(most), repeat=count - 1):
        labels = (0, *labels)
        groups = [[i for i in range(count) if labels[i] == g] for g in range(most)]
        yield [group for group in groups if group]


@tries(0.6)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 1.5, 3.0, 4.0, 7.0, 8.0]), min_size=2, max_size=7),
    st.integers(1, 3),
)
def test_the_blocks_of_one_workload_are_the_best_there_are(values, most):
    peaks = np.array(values)[:, None] / 8
    shares = np.array([(i % 3 + 1) / 24 for i in range(len(values))])
    best = min(over_provided(peaks, shares, groups) for groups in partitions(len(values), most))
    spans = spans_of(peaks, shares)
    found = group_spans(spans, most)
    assert len(found) <= most
    top = max(peaks.max(), 1e-300)
    assert over_provided(peaks / top, shares, found) == pytest.approx(best / top, abs=1e-12)


def spans_of(peaks, shares):
    return [
        Span(share, i, tuple(MonthPart(share, peak, peak) for peak in row))
        for i, (share, row) in enumerate(zip(shares.tolist(), peaks.tolist(), strict=True))
    ]


def test_workloads_of_opposite_hours_are_merged_better_than_by_their_sum():
    # a is high, b is low, and the other way round; their sum is the same in every hour.
    a = np.array([8, 1, 8, 1, 7, 2, 8, 1.0])
    peaks = np.stack([a, 9 - a], axis=1) / 8
    peaks[:, 1] += np.arange(8) / 1000  # no two hours are equal
    found = group_spans(spans_of(peaks, np.full(8, 1 / 8)), 2)
    assert sorted(map(sorted, found)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_ten_weekly_profiles_are_merged_in_a_moment():
    rates = np.random.default_rng(1).random((10, 168))
    asked = problem(
        *(profile(f"w{i}", weights=row.tolist(), max_blocks=24) for i, row in enumerate(rates))
    )
    started = time.perf_counter()
    assert len(make_schedule(asked).blocks) == 24
    assert time.perf_counter() - started < 1


# The report


def test_the_report_shows_blocks_classes_totals_and_hours():
    weights = [1] * 6 + [3] * 12 + [1] * 6
    asked = problem(profile(weights=weights, growth=2), name="night-and-day")
    text = traffic_text(asked)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "night-and-day: 720 hours per month in 2 time blocks"
    assert "chat tiny, profile x 2 (growth)" in lines[2]
    assert "block hours peak req/s mean req/s requests per month clock" in lines
    assert any(line.startswith("load-1 360") and line.endswith("06-18") for line in lines)
    assert any(line.startswith("load-2 360") and line.endswith("00-06, 18-24") for line in lines)
    assert "Peak by hour: 9 = 3.00 req/s, . = none" in lines
    assert "00 333333999999999999333333 24" in lines
    assert lines[-1] == (
        "Per month: 5,184,000 requests, 7,780 M input and 1,560 M output tokens, as asked (to 1e-9)"
    )


def test_the_report_of_a_week_has_a_line_per_day():
    weights = [0] * 24 + [1] * 144
    document = traffic_dict(problem(profile(weights=weights)))
    assert [b["clock"] for b in document["blocks"]] == [
        "Tue Wed Thu Fri Sat Sun 00-24",
        "Mon 00-24",
    ]
    text = traffic_text(problem(profile(weights=weights)))
    assert f"Mon 00 {'.' * 24} 24" in text
    assert f"Sun 00 {'9' * 24} 24" in text


def test_the_report_is_plain_data_that_agrees_with_the_schedule(tmp_path):
    rows = [(60 * i, 10 + i % 7, 1 + i % 3) for i in range(200)]
    asked = problem(trace(write(tmp_path, rows)), profile(), tokens(8_640_000, name="raw"))
    document = traffic_dict(asked)
    assert to_json(document) == to_json(traffic_dict(asked))
    schedule = make_schedule(asked)
    assert [b["name"] for b in document["blocks"]] == [b.name for b in schedule.blocks]
    for row in document["workloads"]:
        found = totals(schedule, row["name"])
        assert row["totals_agree"]
        assert row["per_month"]["tokens"] == found.tokens
        assert len(row["peak_per_second_by_hour"]) == 24
    of_trace, of_profile, of_tokens = document["workloads"]
    assert of_trace["trace"]["requests"] == 200
    assert sum(q["requests"] for q in of_trace["classes"]) == 200
    assert of_profile["trace"] is None
    assert (of_tokens["counts"], of_tokens["classes"]) == ("tokens", [])
    assert of_tokens["per_month"]["requests"] is None


def test_names_in_a_report_steer_no_terminal(tmp_path):
    path = write(tmp_path, [(0, 5, 1)], name="\x1b[2Jevil.csv")
    text = traffic_text(problem(trace(path)))
    assert "\x1b" not in text
    assert "\\x1b[2Jevil.csv" in text
