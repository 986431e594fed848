"""How many examples a property is tried on: multiples of the usual hundred.

The profiles are registered in `tests/conftest.py`. Those of the quick tests are the same in both;
slow tests try more under `ci`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings

HUNDRED = 100

MORE_WHEN_SLOW = {"quick": 1, "ci": 2}
"""By profile; once under any other."""


def tries(times: float, **fields: Any) -> settings:
    """Settings of a test of the default suite: `times` a hundred examples, whatever the profile."""
    return settings(max_examples=round(times * HUNDRED), **fields)


def slow_tries(times: float, **fields: Any) -> settings:
    """Settings of a test marked slow: `times` a hundred examples, and twice as many under `ci`."""
    profile = settings.get_current_profile_name()
    return tries(times * MORE_WHEN_SLOW.get(profile, 1), **fields)
