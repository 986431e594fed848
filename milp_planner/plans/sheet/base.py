"""The base of every part of a sheet: frozen, and no key that no sheet has."""

from __future__ import annotations

from pydantic import ConfigDict

from milp_planner.inputs.reading.described import Described


class SheetPart(Described):
    """A part of a sheet. USD are per month, times in seconds, shares from 0 to 1."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # until there is a sheet: a plan as JSON needs none
    )
