"""Shared by all tests: Hypothesis repeats itself, and golden files can be rewritten on purpose."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# `--hypothesis-profile=ci`, or CI=true, tries more in the slow tests: see `support/examples.py`.
for profile in ("quick", "ci"):
    settings.register_profile(profile, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("true", "1") else "quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
