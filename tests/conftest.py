"""Shared by all tests: Hypothesis repeats itself, and golden files can be rewritten on purpose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# `--hypothesis-profile=ci`, or CI=true, tries more: see `support/examples.py`.
for profile in ("quick", "ci"):
    settings.register_profile(profile, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in ("true", "1") else "quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")
    parser.addoption("--none-skipped", action="store_true", help="a test that skips has failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """CI has everything installed: what it skips there was not tested."""
    report = yield
    if report.skipped and item.config.getoption("--none-skipped"):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr[-1]}"
    return report


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
