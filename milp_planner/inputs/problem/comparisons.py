"""What a plan is to be compared with: today's bill, and other choices, named as scenarios are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.reading.field_types import Amount
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import YesNo

UsualChoice = Literal[
    "one_provider",
    "fewest_providers",
    "one_gpu_type",
    "one_provider_one_gpu_type",
    "large_clouds",
    "one_region_group",
    "survives_provider_loss",
    "spot",
    "reservations",
    "switched_off_when_idle",
    "per_token",
    "half_per_token",
    "todays_fleet",
    "todays_bill",
]
"""The choices that every plan is set beside, where they can be asked at all."""

ChoiceName = Annotated[str, Field(min_length=1, max_length=60)]

WIDER_KEYS = ("traffic", "without", "prices", "budget")
"""Keys of a scenario that are no keys of a problem."""


class Today(Frozen):
    """What is paid today."""

    usd_per_month: Amount | None = None
    """The bill, which a plan is compared with; it binds nothing."""


class ChoicesAsked(Frozen):
    """Which other choices to solve beside the plan."""

    only: tuple[UsualChoice, ...] | None = None
    """Of the usual ones these alone; empty: none of them. Default: all."""

    crossovers: YesNo = False
    """Whether the sheet says from which volume of traffic on an API, renting or owning is the
    cheapest, from a tenth to ten times today's; that takes as long as tens of plans."""

    own: dict[ChoiceName, dict[str, Any]] = Field(default_factory=dict, max_length=20)
    """Own ones, by name: what each changes, as a scenario says it."""

    def patch(self, name: str) -> Patch:
        """Values by dotted key of the problem, of one's own choice of that name."""
        return {key: value for key, value in self.own[name].items() if key not in WIDER_KEYS}
