"""A replay's figures on a screen of 80 columns."""

from __future__ import annotations

import pytest

from milp_planner.replaying.records import ReplayFigure
from milp_planner.reporting.text.questions import replay


@pytest.mark.parametrize(
    ("value_s", "half_s", "said"),
    [
        (0.1662, 0.00164, "166 ms ± 1.6"),
        (0.127, 0.0000635, "127 ms ± 0.064"),
        (13.4, 0.3422, "13.4 s ± 0.34"),
        (0.4, 0.342, "400 ms ± 340"),
        (0.0, 0.0, "0 ms ± 0"),
        (2.0, None, "2 s"),
        (None, None, "never"),
    ],
)
def test_half_of_an_interval_stands_in_the_unit_of_its_figure(value_s, half_s, said):
    assert replay._shown(ReplayFigure(value_s, half_s)) == said
