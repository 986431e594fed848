"""Packages of extras that some tests need: where they are absent these tests skip, and say why."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def needed(module: str, extra: str) -> Any:
    """The module; a test, or a whole file of them, is skipped where its package is not there."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        why = f"{module} is not installed: pip install -e '.[{extra}]'"
        pytest.skip(why, allow_module_level=True)
