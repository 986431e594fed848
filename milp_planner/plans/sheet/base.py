"""The base of every part of a sheet: frozen, and no key that no sheet has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SheetPart(BaseModel):
    """A part of a sheet. USD are per month, times in seconds, shares from 0 to 1."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
