"""The Hypothesis profiles: what is tried under each."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.examples import slow_tries, tries


@pytest.mark.parametrize(("profile", "few", "slow"), [("quick", 15, 60), ("ci", 60, 120)])
def test_more_is_tried_under_ci(profile, few, slow):
    loaded = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert settings().max_examples == 100
        assert tries(0.6).max_examples == few
        assert (tries(0.06).max_examples, tries(0.03).max_examples) == (
            (5, 3) if few < 60 else (6, 3)
        )
        assert slow_tries(0.6).max_examples == slow
        assert slow_tries(0.6).derandomize
        assert slow_tries(0.6).deadline is None
    finally:
        settings.load_profile(loaded)
