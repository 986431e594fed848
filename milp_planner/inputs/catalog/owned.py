"""Hardware that is owned: what an hour of it costs, and its rows in `owned.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from operator import itemgetter
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

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
    residual_usd: float = 0.0,
    cost_of_capital: float = 0.0,
) -> float:
    """What an owned unit costs per hour, in USD, busy or idle.

        c = annuity / 8,760 h + watts / 1,000 · USD/kWh · PUE + monthly / 720 h
        annuity = (purchase − residual / (1 + i)^years) · i / (1 − (1 + i)^−years)     [USD/year]

    purchase_usd: price of the whole unit, paid back in equal years over lifetime_years, to the
    residual_usd that it is sold for in the end, at the cost_of_capital i a year; the factor is the
    capital recovery factor of any textbook. At i = 0 it is a straight line: (purchase − residual) ÷
    years. watts: its draw at the wall. usd_per_kwh: price of power. pue: power usage
    effectiveness, at least 1: what cooling adds. monthly_usd: all else: rack space, hands, network.
    A month has 720 h, as everywhere here.

    Returns USD per hour of the whole unit, for an offering billed `owned`.

    Raises ValueError for amounts below 0, a lifetime of 0 or a PUE below 1, ArgumentError for what
    is no number.

    >>> from milp_planner import owned_usd_per_hour
    >>> round(owned_usd_per_hour(262_800, 3, watts=10_000, usd_per_kwh=0.10, pue=1.2), 2)
    11.2
    """
    named = {
        "purchase_usd": purchase_usd,
        "lifetime_years": lifetime_years,
        "watts": watts,
        "usd_per_kwh": usd_per_kwh,
        "pue": pue,
        "monthly_usd": monthly_usd,
        "residual_usd": residual_usd,
        "cost_of_capital": cost_of_capital,
    }
    for name, amount in named.items():
        if not isinstance(amount, float):  # what is no finite one of those is told below
            check_number(name, amount)
    if not all(map(isfinite, named.values())):
        raise ValueError("amounts of owned hardware must be finite numbers")
    at_least_0 = purchase_usd, watts, usd_per_kwh, monthly_usd, residual_usd, cost_of_capital
    if min(at_least_0) < 0:
        raise ValueError("amounts of owned hardware must be at least 0")
    if lifetime_years <= 0:
        raise ValueError(f"lifetime_years must be greater than 0 (is {lifetime_years:g})")
    if pue < 1:
        raise ValueError(f"pue must be at least 1 (is {pue:g})")
    if residual_usd > purchase_usd:
        raise ValueError("residual_usd must be at most purchase_usd")
    capital = _annuity(purchase_usd, residual_usd, lifetime_years, cost_of_capital) / HOURS_PER_YEAR
    power = watts / WATTS_PER_KILOWATT * usd_per_kwh * pue
    return capital + power + monthly_usd / HOURS_PER_MONTH


def _annuity(purchase_usd: float, residual_usd: float, years: float, rate: float) -> float:
    """USD a year that pay the purchase, less what is left in the end, at the cost of capital."""
    if rate * years < STRAIGHT:
        return (purchase_usd - residual_usd) / years
    left = float((1 + rate) ** -years)
    return (purchase_usd - residual_usd * left) * rate / (1 - left)


STRAIGHT = 1e-9
"""A cost of capital over all years below which rounding would say more than it."""


SET_BY_OWNED = ("kilowatts", "idle_usd_per_hour", "busy_usd_per_hour", "stated_in_price")
"""Fields of an offering that `owned.csv` sets, and `offerings.csv` does not have."""


STATED_IN_PRICE = {
    "power": ({"usd_per_kwh", "watts"}, {"usd_per_kwh", "idle_watts"}),
    "facilities": ({"facilities_usd_per_month"}, {"usd_per_month"}),
    "staff": ({"staff_usd_per_month"}, {"usd_per_month"}),
}
"""What an owned unit costs beside its purchase, and the keys that state it, any of these sets."""


class OwnedUnits(Sourced):
    """Units bought, not rented; an offering billed `owned` whose price follows from its parts."""

    provider: Id
    """Whoever runs them, e.g. `our-lab`."""

    name: Id
    region: Id = "global"
    gpu: Id
    gpus_per_unit: Count
    purchase_usd: NonNegative
    """Price of a whole unit, in US dollars; 0 of `max_units` that are written off."""

    lifetime_years: Positive
    """Years over which the purchase is written off."""

    residual_usd: NonNegative = 0.0
    """What a unit is sold for after these years, in US dollars."""

    cost_of_capital: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Interest a year on what is not written off yet, `0.08`."""

    full_watts: Positive | None = None
    """Draw of a whole unit at the wall at full load, in watts; `limits.max_power_kw` counts it."""

    watts: NonNegative = 0.0
    """Draw of a whole unit at the wall, in watts, on average."""

    idle_watts: NonNegative | None = None
    """Draw of a whole unit at the wall without load, in watts, for `policy.power_by_load`; needs
    `full_watts`."""

    usd_per_kwh: NonNegative = 0.0
    pue: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Power usage effectiveness: power of the building ÷ power of the machines."""

    facilities_usd_per_month: NonNegative = 0.0
    """Space, racks and cooling plant of a unit, in US dollars per month."""

    staff_usd_per_month: NonNegative = 0.0
    """Hands that a unit takes, in US dollars per month."""

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
        return self._usd_per_hour(self.priced_watts)

    @property
    def priced_watts(self) -> float:
        """The draw that is in the price: what is stated on average, else that at full load where
        both that and the idle draw are."""
        is_stated = "watts" in self.model_fields_set or self.idle_watts is None
        return self.watts if is_stated else self.full_watts or 0.0

    def _usd_per_hour(self, watts: float) -> float:
        months = self.usd_per_month + self.facilities_usd_per_month + self.staff_usd_per_month
        return owned_usd_per_hour(
            self.purchase_usd,
            self.lifetime_years,
            watts,
            self.usd_per_kwh,
            self.pue,
            months,
            self.residual_usd,
            self.cost_of_capital,
        )

    @field_validator("idle_watts")
    @classmethod
    def _idle_is_below_full(cls, watts: float | None, info: ValidationInfo) -> float | None:
        full = info.data.get("full_watts")
        if watts is not None and watts > (full or 0.0):
            said = "not stated" if full is None else f"{full:g}"
            raise ValueError(f"must be at most full_watts ({said})")
        return watts

    @field_validator("residual_usd")
    @classmethod
    def _less_is_left_than_paid(cls, usd: float, info: ValidationInfo) -> float:
        paid = info.data.get("purchase_usd")
        if paid is not None and usd > paid:
            raise ValueError(f"must be at most purchase_usd ({paid:g})")
        return usd

    @property
    def kilowatts(self) -> float | None:
        """What a unit draws at full load, cooling included; None where it is not stated."""
        if self.full_watts is None:
            return None
        return self.full_watts / WATTS_PER_KILOWATT * self.pue

    @property
    def offering(self) -> Offering:
        """The units as an offering, which is what plans are made of."""
        idle = self.idle_watts
        return Offering(
            provider=self.provider,
            name=self.name,
            region=self.region,
            billing="owned",
            gpu=self.gpu,
            gpus_per_unit=self.gpus_per_unit,
            usd_per_hour=self.usd_per_hour,
            max_units=self.max_units,
            kilowatts=self.kilowatts,
            idle_usd_per_hour=None if idle is None else self._usd_per_hour(idle),
            busy_usd_per_hour=None if idle is None else self._usd_per_hour(self.full_watts or 0.0),
            stated_in_price=tuple(self._stated),
            price_acknowledged=True,
            as_of=self.as_of,
            source=self.source,
            note=self.note or self.parts,
            override=self.override,
        )

    @property
    def _stated(self) -> Iterator[str]:
        for part, ways in STATED_IN_PRICE.items():
            if any(keys <= self.model_fields_set for keys in ways):
                yield part

    @property
    def _people(self) -> str:
        """Facilities and staff in words; nothing where they are not stated."""
        stated = {"facilities": self.facilities_usd_per_month, "staff": self.staff_usd_per_month}
        return "".join(f", {name} {usd_shown(usd, 0)}" for name, usd in stated.items() if usd)

    @property
    def parts(self) -> str:
        """The price in words: what it is made of."""
        left = f" to {usd_shown(self.residual_usd, 0)}" if self.residual_usd else ""
        rate = f" at {100 * self.cost_of_capital:.4g} %" if self.cost_of_capital else ""
        return (
            f"{usd_shown(self.purchase_usd, 0)}{left} over {self.lifetime_years:g} years{rate}, "
            f"{self.priced_watts:,.0f} W at {unit_price_shown(self.usd_per_kwh)} per kWh, "
            f"PUE {self.pue:g}, {usd_shown(self.usd_per_month, 0)} per month{self._people}"
        )


def with_owned(rented: Iterable[Offering], owned: Iterable[OwnedUnits]) -> tuple[Offering, ...]:
    """All offerings in order; units in `owned.csv` stand before a price written for them."""
    rows = (*rented, *(units.offering for units in owned))
    by_key = {row.key: row for row in rows}
    return tuple(row for _, row in sorted(by_key.items(), key=itemgetter(0)))
