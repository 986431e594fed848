"""Fixtures: the parsers that YAML may be read by."""

from __future__ import annotations

import pytest
import yaml


@pytest.fixture(params=["C parser", "Python parser"])
def each_parser(request, monkeypatch):
    """Runs a test with libyaml, and again as where PyYAML was built without it."""
    if request.param == "Python parser":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
