"""What-if as a frame: what was set is a number, with its label beside it."""

from __future__ import annotations

import pandas
import pytest

from milp_planner import scenario_grid, what_if
from tests.support.builders import big_and_small, problem


@pytest.mark.parametrize(
    ("axes", "column", "numbers", "labels"),
    [
        ({"budgets": [2500, 4000.5]}, "budget", [2500.0, 4000.5], ["2,500", "4,000.5"]),
        ({"targets": [0.6, 0.75]}, "target", [None, 0.6, 0.75], ["as it is", "60 %", "75 %"]),
        (
            {"prices": {"acme/*": [2, "80%"]}},
            "price acme/*",
            [None, 2, 0.8],
            ["as it is", "2", "80%"],
        ),
        (
            {"limits": {"max_gpus.total": [4, None]}},
            "max_gpus.total",
            [None, 4, None],
            ["as it is", "4", "none"],
        ),
        ({"limits": {"spot_share": ["50%"]}}, "spot_share", [None, 0.5], ["as it is", "50%"]),
    ],
)
def test_what_was_set_is_a_number_in_a_frame_with_its_label_beside_it(
    axes, column, numbers, labels
):
    result = what_if(problem(13), scenario_grid(**axes), big_and_small())
    rows = result.to_dict()["rows"]
    assert [row[f"set_{column}"] for row in rows] == numbers
    assert [row[f"set_{column}_label"] for row in rows] == labels
    assert pandas.api.types.is_numeric_dtype(result.to_frame()[f"set_{column}"])


@pytest.mark.parametrize(
    ("axes", "column", "words"),
    [
        ({"without": ["provider:acme"]}, "without", ["as it is", "provider:acme"]),
        ({"limits": {"survive_loss_of": ["none"]}}, "survive_loss_of", ["as it is", "none"]),
        ({"limits": {"regions.allow": [["eu-1"]]}}, "regions.allow", ["as it is", "['eu-1']"]),
        # one word among numbers makes an axis of words: no row is left without what was set
        ({"limits": {"max_gpus.total": [4, "many"]}}, "max_gpus.total", ["as it is", "4", "many"]),
    ],
)
def test_an_axis_of_words_is_its_own_label(axes, column, words):
    result = what_if(problem(13), scenario_grid(**axes), big_and_small())
    frame = result.to_frame()
    assert list(frame[f"set_{column}"]) == words
    assert f"set_{column}_label" not in frame


def test_a_grid_has_the_numbers_of_all_its_axes():
    grid = scenario_grid(traffic=[1, 2], targets=[0.5], without=["gpu:big"])
    assert [scenario.numbers for scenario in grid][:3] == [
        {"traffic": 1.0, "target": None},
        {"traffic": 1.0, "target": 0.5},
        {"traffic": 1.0, "target": None},
    ]
