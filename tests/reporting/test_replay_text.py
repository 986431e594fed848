"""A replay's figures on a screen of 80 columns."""

from __future__ import annotations

import pytest

from milp_planner.replaying.records import ReplayFigure, ReplayWish, WishReplayed
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


@pytest.mark.parametrize(
    ("missed", "half", "said"),
    [
        (0.02, 0.005, "2.00 % ± 0.50 % later, 1.00 % may be: MISSED"),
        (0.0, 0.0, "0.00 % ± 0.00 % later, 1.00 % may be: kept"),
        (0.02, 0.05, "may be: MISSED, as far as so few requests tell: see --requests"),
        (0.005, 0.006, "may be: kept, as far as so few requests tell: see --requests"),
    ],
)
def test_a_verdict_that_the_interval_does_not_bear_out_says_so(missed, half, said):
    found = WishReplayed(ReplayWish("wait", 1.0, 0.99), "chat", 1.5, missed, half)
    assert replay.wish_text(found).endswith(said)
