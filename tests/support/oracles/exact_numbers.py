"""Floats as the exact numbers that they are, and how far a solver may be off."""

from __future__ import annotations

from fractions import Fraction

TOLERANCE = Fraction(1, 10**6)
"""Relative, on every limit: what a solver takes for equal."""


def exact(value: float) -> Fraction:
    """The fraction that a float is; 0.1 is not a tenth."""
    return Fraction(value)
