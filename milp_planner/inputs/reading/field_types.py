"""Types of the problem file with bounds that keep its numbers within what a solver can tell apart.

Beyond these bounds lie typing errors: no fleet has a million units, no month costs $10^12.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from milp_planner.units import (
    NonNegativeNumber,
    PositiveNumber,
    Share,
    Usd,
    WholeNumber,
    found,
    parse_share,
    shown,
)

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._+-]*$", max_length=120)]
"""A name in lower case, as catalogs and problems write them."""

MOST_UNITS: Final = 1_000_000
"""Solvers tell whole numbers apart to about 1e-6 of their size."""

LEAST_USD = 0.01
MOST_USD = 1e12
MOST_PENALTY_USD = 1e9
LEAST_SHARE = 0.001


def _no_true_or_false(value: Any) -> Any:
    """Python takes True for 1 and 1.0 for 1; in a file neither is a count."""
    if isinstance(value, bool | float):
        raise ValueError(f"expected a whole number, found {found(value)}")
    return value


def _read_share(value: Any) -> Any:
    """`120%` -> 1.2: a share that may be above 1."""
    return parse_share(value) if isinstance(value, str) else value


def _nothing_or_useful(share: float) -> float:
    if 0 < share < LEAST_SHARE:
        raise ValueError(f"must be 0 or at least {LEAST_SHARE:g} (is {share:g})")
    return share


def _read_confidence(value: Any) -> Any:
    """`p90` stays as it is; `90%` and `0.9` become a share."""
    if not isinstance(value, str) or re.fullmatch(r"p\d{1,2}", value, re.ASCII):
        return value
    try:
        return parse_share(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a quantile; write p90 or 0.9") from None


Version = Annotated[Literal[1], BeforeValidator(_no_true_or_false)]
GpusPerReplica = Annotated[Literal[1, 2, 4, 8, 16, 32, 64], BeforeValidator(_no_true_or_false)]

UnitCount = Annotated[WholeNumber, Field(ge=1, le=MOST_UNITS)]
"""Units or replicas that there are or must be."""

Amount = Annotated[Usd, Field(ge=LEAST_USD, le=MOST_USD)]
PenaltyUsd = Annotated[Usd, Field(ge=LEAST_USD, le=MOST_PENALTY_USD)]
SwitchingUsd = Annotated[NonNegativeNumber, Field(le=MOST_PENALTY_USD)]

RowGlob = Annotated[str, Field(min_length=1, max_length=200)]
"""An offering's id or a pattern, and a billing after it where one is meant: `aws/* spot`."""

Discount = Annotated[Share, Field(gt=0, le=0.99)]
UsdPerGpuHour = Annotated[PositiveNumber, Field(le=10_000)]
UsdOrFree = Annotated[NonNegativeNumber, Field(le=10_000)]
"""USD per GPU and hour; 0 of what is paid already."""

UsefulShare = Annotated[Share, Field(gt=0), Field(ge=LEAST_SHARE)]
"""A share that is not nothing, 0.1 % or more."""

ShareOrNone = Annotated[Share, AfterValidator(_nothing_or_useful)]
"""A share of 0, or of 0.1 % or more."""

Ceiling = Annotated[PositiveNumber, Field(le=4), BeforeValidator(_read_share)]
"""A utilization up to 400 %, written `1.2` or `120%`."""

Confidence = Annotated[
    Annotated[str, Field(pattern=r"^p\d{1,2}$")] | Share, BeforeValidator(_read_confidence)
]
"""A quantile, written `p90`, `90%` or `0.9`."""
