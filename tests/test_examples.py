"""The Hypothesis profiles: what is tried under each."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.examples import slow_tries, tries


@pytest.mark.parametrize(("profile", "slow"), [("quick", 60), ("ci", 120)])
def test_only_slow_tests_try_more_under_ci(profile, slow):
    loaded = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert settings().max_examples == 100
        assert tries(0.6).max_examples == 60
        assert slow_tries(0.6).max_examples == slow
        assert slow_tries(0.6).derandomize
        assert slow_tries(0.6).deadline is None
    finally:
        settings.load_profile(loaded)
