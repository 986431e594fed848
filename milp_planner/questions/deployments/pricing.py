"""What an hour of a deployment costs: as given, at an offering, at a provider, or owned."""

from __future__ import annotations

from collections.abc import Callable

from milp_planner.candidates.prices import ReplicaPrice, cheapest, price_at
from milp_planner.errors import input_error
from milp_planner.inputs.catalog.owned import owned_usd_per_hour
from milp_planner.inputs.catalog.records import Catalog, Offering
from milp_planner.lazily import dataclass
from milp_planner.questions.deployments.api import unknown_provider
from milp_planner.questions.deployments.records import Deployment

PriceOf = Callable[[Deployment], ReplicaPrice | None]


@dataclass(frozen=True)
class Payment:
    """One way of paying for a replica; the figures of owned hardware are those of one replica."""

    usd_per_hour: float | None = None
    offering: Offering | None = None
    provider: str | None = None
    purchase_usd: float | None = None
    lifetime_years: float = 3.0
    watts: float | None = None
    usd_per_kwh: float | None = None
    pue: float = 1.0
    usd_per_month: float | None = None

    @property
    def is_owned(self) -> bool:
        """Whether anything of owned hardware is stated that costs money."""
        given = (self.purchase_usd, self.watts, self.usd_per_kwh, self.usd_per_month)
        return any(value is not None for value in given)

    def of(self, catalog: Catalog) -> PriceOf:
        """How to price a deployment: by default at the cheapest offering on demand, which is
        anybody's where the provider named rents no GPU.

        Raises InputError where several ways are stated, or an unknown provider.
        """
        self._check_is_one_way()
        if self.is_owned:
            return self._owned
        if self.usd_per_hour is not None:
            hourly = self.usd_per_hour
            return lambda d: ReplicaPrice(hourly, "as given")
        if self.offering is not None:
            sold = self.offering
            return lambda d: price_at(sold, d.gpus, d.settings.units_joined)
        named = None if self.provider is None else catalog.sellers.name(self.provider)
        if named is not None and named not in catalog.providers:
            raise unknown_provider(catalog, named)
        renting = {offering.provider for offering in catalog.offerings}
        seller = named if named in renting else None
        return lambda d: cheapest(catalog, d.gpu.id, d.gpus, seller, units=d.settings.units_joined)

    def _check_is_one_way(self) -> None:
        ways = (
            self.usd_per_hour is not None,
            self.offering is not None,
            self.provider is not None,
            self.is_owned,
        )
        if sum(ways) > 1:
            raise input_error(
                "give one price: per hour, of an offering, of a provider, or of owned hardware"
            )
        if self.watts is not None and self.usd_per_kwh is None:
            raise input_error("required with watts", path="usd_per_kwh")

    def _owned(self, d: Deployment) -> ReplicaPrice:
        """Purchase, power and the rest per hour of this deployment."""
        watts = self.watts
        if watts is None and self.usd_per_kwh is not None:
            if d.gpu.tdp_watts is None:
                raise input_error(f"required, the TDP of {d.gpu.id} is not known", path="watts")
            watts = d.gpu.tdp_watts * d.gpus
        try:
            hourly = owned_usd_per_hour(
                self.purchase_usd or 0.0,
                self.lifetime_years,
                watts or 0.0,
                self.usd_per_kwh or 0.0,
                self.pue,
                self.usd_per_month or 0.0,
            )
        except ValueError as error:
            raise input_error(str(error)) from None
        spread = f", over {self.lifetime_years:g} years" if self.purchase_usd else ""
        drawn = f", {watts:,.0f} W" if watts else ""
        return ReplicaPrice(hourly, f"owned{spread}{drawn}")
