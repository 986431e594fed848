"""Plots: what is drawn are the records' own figures, read back from the axes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from milp_planner import (
    ArgumentError,
    BreakEven,
    FleetOrPerToken,
    InputError,
    PlannerError,
    RowStatus,
    Status,
    WhatIf,
    WhatIfRow,
    budget_frontier,
    scenario_grid,
    solve,
    what_if,
)
from milp_planner.reporting.plots.axes import label
from milp_planner.reporting.plots.sweeps import staircase_points
from tests.reporting.test_hours import day_and_night
from tests.support import sample_plans as samples
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.shown.extras import needed


@pytest.fixture
def plots(monkeypatch):
    """matplotlib without a screen; its figures are closed afterwards."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    pyplot = needed("matplotlib.pyplot", "plot")
    yield pyplot
    pyplot.close("all")


def lines(ax):
    """Each line's points, by its label."""
    return {
        line.get_label(): list(zip(*map(list, line.get_data()), strict=True))
        for line in ax.get_lines()
    }


def key(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- a plan -------------------------------------------------------------------------------------


def test_the_bars_of_a_plan_are_its_costs_and_those_of_the_next_best(plots):
    # 13 requests/s: a big for $2,880 a month and a small for $1,080; next best five small.
    plan = solve(problem(13), big_and_small(), alternatives=1)
    ax = plan.plot()
    bars = [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in ax.patches]
    assert sorted((round(y), round(wide)) for y, wide in bars if wide) == [
        (0, 1080),
        (0, 2880),
        (1, 5400),
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "the plan, \\$3,960",
        "2, +\\$1,440",
    ]
    assert key(ax) == ["big acme", "small bolt"]


def test_the_longest_bar_ends_before_the_axis_does(plots):
    # The dearest of three is two big ones, $5,760, with nothing of what the others end with.
    ax = solve(problem(13), big_and_small(), alternatives=2).plot()
    assert ax.get_xlim() == pytest.approx((0, 1.04 * 5760))


def test_penalties_are_drawn_apart_from_what_is_paid(plots):
    # 4,305.60 and 2,520 are paid; 2,000 are not
    plan = samples.plan()
    bears = replace(plan.workloads[0], penalties={"overload": 2000.0})
    plan = replace(
        plan,
        score_usd_per_month=8825.6,
        workloads=(bears,),
        costs={**plan.costs, "overload": 2000.0},
    )
    ax = plan.plot()
    assert [round(bar.get_width(), 1) for bar in ax.patches] == [4305.6, 2520.0, 2000.0]
    assert key(ax)[-1] == "penalties, not paid"
    assert [bar.get_hatch() for bar in ax.patches] == [None, None, "//"]


def test_units_by_the_hour_are_those_of_each_hours_block(plots):
    # one box at night and four from 8 to 20 o'clock
    ax = day_and_night().plot(of="hours")
    (steps,) = ax.patches
    assert list(steps.get_data().values) == [1] * 8 + [4] * 12 + [1] * 4
    assert ax.get_xlim() == (0, 24)


def test_what_runs_all_month_lies_below_what_is_switched_on(plots):
    weights = [2] * 12 + [8] * 12
    traffic = {
        "kind": "profile",
        "requests_per_day": 3600 * sum(weights),
        "weights": weights,
        "max_blocks": 2,
    }
    offers = [offering("acme", "box", 1.0), offering("bolt", "box", 1.9, billing="autoscaling")]
    # at night a box of either does: acme's all month for $720 and bolt's three by day for $2,052
    plan = solve(problem(workloads=[workload(traffic=traffic)]), catalog(offers, [raw("box", 2)]))
    ax = plan.plot(of="hours")
    assert key(ax) == ["box acme", "box bolt autoscaling"]
    below, above = (steps.get_data() for steps in ax.patches)
    assert list(below.values) == [1] * 24
    assert list(above.baseline) == [1] * 24
    assert list(above.values) == [1] * 12 + [4] * 12


def test_a_week_has_its_days_along_it(plots):
    plan = day_and_night()
    week = replace(plan, block_by_hour=plan.block_by_hour * 7)
    ax = week.plot(of="hours")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "Mon",
        "Tue",
        "Wed",
        "Thu",
        "Fri",
        "Sat",
        "Sun",
    ]


def test_a_plan_without_a_clock_or_without_a_fleet_says_what_is_missing(plots):
    with pytest.raises(InputError, match=r"the traffic has no clock\n  hint: a profile or a trace"):
        solve(problem(13), big_and_small()).plot(of="hours")
    nothing = samples.no_plan(Status.INFEASIBLE, "no fleet keeps all limits together")
    with pytest.raises(InputError, match=r"it is infeasible\n  hint: no fleet keeps all"):
        nothing.plot()
    with pytest.raises(ArgumentError, match=r"of: must be one of cost, hours \(is 'days'\)"):
        samples.plan().plot(of="days")


def test_a_plot_goes_on_the_axes_that_are_given(plots):
    _, (left, right) = plots.subplots(1, 2)
    assert samples.plan().plot(right) is right
    assert not left.patches


# --- what-if ------------------------------------------------------------------------------------


def test_cost_is_drawn_over_traffic_with_a_line_for_each_other_setting(plots):
    grid = scenario_grid(traffic=[2, 1], without=["gpu:big"])
    ax = what_if(problem(13), grid, big_and_small()).plot()
    # 26 requests/s: two big and two small $7,920; without big five small for 13, nine for 26
    drawn = lines(ax)
    assert drawn["without: as it is"] == [(1.0, 3960.0), (2.0, 7920.0)]
    assert drawn["without: gpu:big"] == [(1.0, 5400.0), (2.0, 9720.0)]
    assert ax.get_xlabel() == "traffic, times today's"


def test_over_budgets_it_is_the_share_that_is_served_and_from_which_cash_on(plots):
    ax = what_if(problem(13), scenario_grid(budgets=[2500, 4000]), big_and_small()).plot()
    # two small serve 6 of 13 for $2,160; the next step is a big with 10 of 13 for $2,880
    served, steps = ax.get_lines()
    assert list(served.get_xdata()) == [2500, 4000]
    assert list(served.get_ydata()) == pytest.approx([6 / 13, 1])
    assert list(steps.get_xdata()) == pytest.approx([2160, 2880, 3960, 4000])
    assert list(steps.get_ydata()) == pytest.approx([6 / 13, 10 / 13, 1, 1])
    assert steps.get_drawstyle() == "steps-post"


def test_a_scenario_without_a_plan_is_a_cross_and_the_problem_as_it_is_a_level(plots):
    grid = scenario_grid(limits={"max_gpus.total": [1, 2, 5]})
    drawn = lines(what_if(problem(13), grid, big_and_small()).plot())
    assert drawn["the plan"] == [(2.0, 3960.0), (5.0, 3960.0)]
    assert drawn["no plan: the plan"] == [(1.0, 0.0)]
    assert [y for _, y in drawn["max_gpus.total: as it is"]] == [3960.0, 3960.0]


def test_scenarios_of_words_are_bars_in_their_order(plots):
    grid = scenario_grid(without=["gpu:big", ["provider:acme", "provider:bolt"]])
    ax = what_if(problem(13), grid, big_and_small()).plot()
    assert [round(bar.get_width()) for bar in ax.patches] == [3960, 5400, 0]
    assert [text.get_text().strip() for text in ax.texts] == ["no plan"]
    assert ax.get_yticklabels()[1].get_text() == "without gpu:big"


def test_what_an_api_would_cost_is_drawn_beside_the_fleet_and_where_they_meet(plots):
    splits = [FleetOrPerToken(720.0, 500.0), FleetOrPerToken(720.0, 1000.0)]
    rows = tuple(
        WhatIfRow(
            f"traffic {x}x",
            {"traffic": f"{x}x"},
            RowStatus.OPTIMAL,
            720.0,
            split=split,
            numbers={"traffic": x},
        )
        for x, split in zip((1.0, 2.0), splits, strict=True)
    )
    drawn = lines(WhatIf("api", rows, {"": BreakEven(1.4, 1.44, 720.0)}).plot())
    assert drawn["a fleet alone"] == [(1.0, 720.0), (2.0, 720.0)]
    assert drawn["per token alone"] == [(1.0, 500.0), (2.0, 1000.0)]
    assert [x for x, _ in drawn["break-even 1.44x"]] == [1.44, 1.44]


def test_no_scenarios_are_no_plot(plots):
    with pytest.raises(InputError, match="no scenarios to draw"):
        WhatIf("nothing", ()).plot()


# --- a frontier ---------------------------------------------------------------------------------


def test_a_frontier_is_a_staircase_from_budget_to_budget(plots):
    found = budget_frontier(problem(13), 2000, 5000, big_and_small())
    ax = found.plot()
    # one small 3 of 13 for $1,080, two $2,160, a big 10 of 13 $2,880, and all for $3,960
    line, corners, all_served = ax.get_lines()
    assert list(line.get_xdata()) == pytest.approx([2000, 2160, 2160, 2880, 2880, 3960, 3960, 5000])
    shares = [3 / 13, 6 / 13, 10 / 13, 1]
    assert list(line.get_ydata()) == pytest.approx([s for s in shares for _ in range(2)])
    assert list(corners.get_xdata()) == pytest.approx([2160, 2880, 3960])
    assert list(all_served.get_xdata()) == pytest.approx([3960, 3960])
    assert key(ax)[-1] == "\\$3,960 serves everything"


def test_where_every_cent_serves_more_the_line_slopes():
    found = budget_frontier(problem(13), 2000, 5000, big_and_small())
    sloped = replace(found, steps=tuple(replace(step, is_step=False) for step in found.steps))
    assert [round(x) for x, _ in staircase_points(sloped)] == [2000, 2160, 2880, 3960]


def test_a_frontier_without_steps_is_no_plot(plots):
    found = budget_frontier(problem(13), 2000, 5000, big_and_small())
    with pytest.raises(InputError, match="no step was found"):
        replace(found, steps=()).plot()


# --- names, and matplotlib itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("chat", "chat"),
        ("$x^2$", r"\$x^2\$"),
        ("a\x1b[2Jb\nc", r"a\x1b[2Jb\x0ac"),
        ("y" * 80, "y" * 57 + "..."),
    ],
)
def test_a_name_is_never_mathematics_nor_a_control_character(name, written):
    assert label(name) == written


def test_a_hostile_name_is_drawn_as_it_is_written(plots):
    ax = samples.plan(name=r"$\frac{1}{0$ \undefined").plot()
    ax.figure.canvas.draw()
    assert ax.get_title() == r"\$\frac{1}{0\$ \undefined"


def test_without_matplotlib_a_plot_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tests.support.sample_plans import plan\n"
        "from milp_planner import PlannerError\n"
        "try: plan().plot()\n"
        "except PlannerError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == (
        "plots need matplotlib, which is not installed\n  hint: pip install 'milp-planner[plot]'\n",
        "",
    )
    assert issubclass(InputError, PlannerError)


def test_nothing_imports_matplotlib_before_something_is_drawn():
    code = (
        "import sys, milp_planner.reporting.drawers, milp_planner.cli.app\n"
        "print('matplotlib' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
