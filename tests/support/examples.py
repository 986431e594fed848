"""How many examples a property is tried on: multiples of the usual hundred.

The profiles are registered in `tests/conftest.py`: `quick`, where somebody waits, tries a quarter
of what `ci` tries in the default suite, and half in slow tests.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings

HUNDRED = 100

SHARE = {"quick": 0.25}
"""Of the examples of a test of the default suite, by profile; all under any other."""

LEAST = 5
"""Examples that are tried under every profile, where a test has as many."""

MORE_WHEN_SLOW = {"ci": 2}
"""By profile; once under any other."""


def tries(times: float, **fields: Any) -> settings:
    """Settings of a test of the default suite: `times` a hundred examples under `ci`."""
    examples = times * HUNDRED
    share = SHARE.get(settings.get_current_profile_name(), 1)
    return settings(max_examples=round(max(examples * share, min(examples, LEAST))), **fields)


def slow_tries(times: float, **fields: Any) -> settings:
    """Settings of a test marked slow: `times` a hundred examples, and twice as many under `ci`."""
    more = MORE_WHEN_SLOW.get(settings.get_current_profile_name(), 1)
    return settings(max_examples=round(times * HUNDRED * more), **fields)
