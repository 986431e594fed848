"""Hardware that is owned: what an hour of it costs, and its rows in `owned.csv`."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

from pydantic import Field

from milp_planner.inputs.catalog.records import (
    Count,
    CountOrNone,
    NonNegative,
    Offering,
    Positive,
    Sourced,
)
from milp_planner.inputs.reading.arguments import check_number
from milp_planner.inputs.reading.field_types import Id
from milp_planner.units import (
    HOURS_PER_MONTH,
    HOURS_PER_YEAR,
    WATTS_PER_KILOWATT,
    unit_price_shown,
    usd_shown,
)


def owned_usd_per_hour(
    purchase_usd: float,
    lifetime_years: float,
    watts: float = 0.0,
    usd_per_kwh: float = 0.0,
    pue: float = 1.0,
    monthly_usd: float = 0.0,
) -> float:
    """What an owned unit costs per hour, in USD, busy or idle.

        c = purchase / (lifetime · 8,760 h) + watts / 1,000 · USD/kWh · PUE + monthly / 720 h

    purchase_usd: price of the whole unit, written off in a straight line to nothing over
    lifetime_years. watts: its draw at the wall. usd_per_kwh: price of power. pue: power usage
    effectiveness, at least 1: what cooling adds. monthly_usd: all else: rack space, hands, network.
    A month has 720 h, as everywhere here.

    Returns USD per hour of the whole unit, for an offering billed `owned`.

    Raises ValueError for amounts below 0, a lifetime of 0 or a PUE below 1, ArgumentError for what
    is no number.

    >>> from milp_planner import owned_usd_per_hour
    >>> round(owned_usd_per_hour(262_800, 3, watts=10_000, usd_per_kwh=0.10, pue=1.2), 2)
    11.2
    """
    given = (purchase_usd, lifetime_years, watts, usd_per_kwh, pue, monthly_usd)
    names = ("purchase_usd", "lifetime_years", "watts", "usd_per_kwh", "pue", "monthly_usd")
    for name, amount in zip(names, given, strict=True):
        if not isinstance(amount, float):  # what is no finite one of those is told below
            check_number(name, amount)
    if not all(map(isfinite, given)):
        raise ValueError("amounts of owned hardware must be finite numbers")
    if min(purchase_usd, watts, usd_per_kwh, monthly_usd) < 0:
        raise ValueError("amounts of owned hardware must be at least 0")
    if lifetime_years <= 0:
        raise ValueError(f"lifetime_years must be greater than 0 (is {lifetime_years:g})")
    if pue < 1:
        raise ValueError(f"pue must be at least 1 (is {pue:g})")
    depreciation = purchase_usd / (lifetime_years * HOURS_PER_YEAR)
    power = watts / WATTS_PER_KILOWATT * usd_per_kwh * pue
    return depreciation + power + monthly_usd / HOURS_PER_MONTH


class OwnedUnits(Sourced):
    """Units bought, not rented; an offering billed `owned` whose price follows from its parts."""

    provider: Id
    """Whoever runs them, e.g. `our-lab`."""

    name: Id
    region: Id = "global"
    gpu: Id
    gpus_per_unit: Count
    purchase_usd: Positive
    """Price of a whole unit, in US dollars."""

    lifetime_years: Positive
    """Years over which the purchase is written off."""

    watts: NonNegative = 0.0
    """Draw of a whole unit at the wall, in watts, on average."""

    usd_per_kwh: NonNegative = 0.0
    pue: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Power usage effectiveness: power of the building ÷ power of the machines."""

    usd_per_month: NonNegative = 0.0
    """All else that a unit costs per month, in US dollars."""

    max_units: CountOrNone | None = None
    """Units that there are; None where more can be bought."""

    @property
    def id(self) -> str:
        """`provider/name/region`."""
        return f"{self.provider}/{self.name}/{self.region}"

    @property
    def usd_per_hour(self) -> float:
        """What an hour of a unit costs, in US dollars."""
        return owned_usd_per_hour(
            self.purchase_usd,
            self.lifetime_years,
            self.watts,
            self.usd_per_kwh,
            self.pue,
            self.usd_per_month,
        )

    @property
    def offering(self) -> Offering:
        """The units as an offering, which is what plans are made of."""
        return Offering(
            provider=self.provider,
            name=self.name,
            region=self.region,
            billing="owned",
            gpu=self.gpu,
            gpus_per_unit=self.gpus_per_unit,
            usd_per_hour=self.usd_per_hour,
            max_units=self.max_units,
            price_acknowledged=True,
            as_of=self.as_of,
            source=self.source,
            note=self.note or self.parts,
            override=self.override,
        )

    @property
    def parts(self) -> str:
        """The price in words: what it is made of."""
        return (
            f"{usd_shown(self.purchase_usd, 0)} over {self.lifetime_years:g} years, "
            f"{self.watts:,.0f} W at {unit_price_shown(self.usd_per_kwh)} per kWh, "
            f"PUE {self.pue:g}, {usd_shown(self.usd_per_month, 0)} per month"
        )
