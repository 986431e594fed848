"""The language of small cases: what can be rented, what is asked of it, what is allowed.

Brute force reads a case as it is; `as_input` says it to the planner. Requests are of two tokens,
those of a second class of twenty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from milp_planner import Catalog, Problem
from tests.support.builders import catalog, offering, problem, raw, token_price, workload

MONTH_HOURS = 720.0
SECONDS_PER_HOUR = 3600
DAYS_PER_MONTH = 30

BILLINGS = ("dedicated", "autoscaling", "reserved_1y", "reserved_3y", "spot", "owned")
BANDS = {0.5: "low", 0.75: "medium", 1.0: "high"}
"""The band whose upper end is a utilization."""

SIZES = ((1, 1), (10, 10))
"""Input and output tokens by class."""


@dataclass(frozen=True)
class Offer:
    """One thing that can be rented."""

    provider: str
    gpu: str
    usd_per_hour: float
    rates: tuple[float, ...]
    """Requests/s of a unit by class; 0 where it cannot serve."""

    gpus: int = 1
    region: str = "eu-1"
    billing: str = "dedicated"
    stops: bool = False
    """Whether it is off, unpaid, in blocks without load, though it is dedicated."""

    @cached_property
    def id(self) -> str:
        return f"{self.provider}/{self.gpu}/{self.region}"

    @property
    def rate(self) -> float:
        """Requests/s of a unit, where there is one class."""
        (rate,) = self.rates
        return rate

    @cached_property
    def elastic(self) -> bool:
        """True where only the hours that are on are paid, and blocks may differ."""
        return self.billing in ("autoscaling", "spot")


@dataclass(frozen=True)
class Api:
    """An offering paid by the request."""

    provider: str
    usd_per_request: float
    most_per_second: float = math.inf

    @property
    def id(self) -> str:
        return f"{self.provider}/tiny/global"


@dataclass(frozen=True)
class Load:
    """One workload: requests/s at the peak by block and class."""

    rates: tuple[tuple[float, ...], ...]
    name: str = "chat"
    burst: float = 1.0
    """The peak of a block over its mean."""

    max_utilization: float | None = None
    """The end of the hottest band allowed; None leaves it to the ceiling of all."""

    min_replicas: int = 1

    @cached_property
    def peaks(self) -> tuple[float, ...]:
        """Requests/s of all classes by block."""
        return tuple(map(sum, self.rates))

    @cached_property
    def means(self) -> tuple[float, ...]:
        return tuple(peak / self.burst for peak in self.peaks)

    @cached_property
    def busy(self) -> list[int]:
        """Blocks with load."""
        return [t for t, peak in enumerate(self.peaks) if peak]

    @cached_property
    def busiest(self) -> int:
        """The block with the largest peak, the first of several."""
        return self.peaks.index(max(self.peaks))


@dataclass(frozen=True)
class Terms:
    """What is allowed and what costs extra; None, 0 or nothing is neither."""

    ceiling: float = 1.0
    budget: float | None = None
    when_short: str = "fail"
    max_gpus: int | None = None
    max_units: tuple[tuple[str, int], ...] = ()
    """By id of an offer."""

    per_provider: tuple[tuple[str, int], ...] = ()
    per_gpu: tuple[tuple[str, int], ...] = ()
    most_providers: int | None = None
    provider_share: float | None = None
    spot_share: float | None = None
    on_demand: int | None = None
    """Replicas of each load that are not spot; every GPU is one."""

    survive: tuple[str, float] | None = None
    """What may be lost (provider, region or offering), and the share of the peak that is left."""

    today: tuple[int, ...] = ()
    """Units of each offer that run for the first load."""

    usd_added: float = 0.0
    usd_removed: float = 0.0
    most_changed: int | None = None
    spot_loss: float = 0.0
    overload: tuple[float, float] | None = None
    """(above this utilization, USD at full load) of each load."""

    scaling: tuple[int, float] | None = None
    """(above so many GPUs, USD per GPU) of each load."""

    strict_usd: float | None = None
    shortfall_usd: float | None = None
    """Per request."""


@dataclass(frozen=True)
class Case:
    """The whole question."""

    offers: tuple[Offer, ...]
    loads: tuple[Load, ...]
    terms: Terms = Terms()
    apis: tuple[Api, ...] = ()
    hours: tuple[float, ...] = (MONTH_HOURS,)
    """Per month by block."""

    @cached_property
    def quotas(self) -> list[tuple[tuple[int, ...], int]]:
        """What a unit of each offer counts for, and the most that may be on at once."""
        terms, offers = self.terms, self.offers

        def gpus_where(attribute: str, value: str) -> tuple[int, ...]:
            return tuple(o.gpus * (getattr(o, attribute) == value) for o in offers)

        total = [] if terms.max_gpus is None else [(tuple(o.gpus for o in offers), terms.max_gpus)]
        return [
            *total,
            *((tuple(int(o.id == name) for o in offers), n) for name, n in terms.max_units),
            *((gpus_where("provider", name), n) for name, n in terms.per_provider),
            *((gpus_where("gpu", name), n) for name, n in terms.per_gpu),
        ]


# ---- for the planner


def as_input(case: Case, **fields: Any) -> tuple[Problem, Catalog]:
    """The case as a problem, with further `fields`, and a catalog."""
    rented = [
        offering(
            o.provider,
            o.gpu,
            o.usd_per_hour,
            billing=o.billing,
            gpus_per_unit=o.gpus,
            region=o.region,
        )
        for o in case.offers
    ]
    rates = {
        (o.gpu, size): rate / o.gpus
        for o in case.offers
        for size, rate in zip(SIZES, o.rates, strict=False)
    }
    sold = catalog(
        rented,
        [raw(gpu, rate, size=size) for (gpu, size), rate in rates.items()],
        [_token_price(api) for api in case.apis],
    )
    asked = problem(
        workloads=[_workload(case, load) for load in case.loads],
        policy=_policy(case),
        limits=_limits(case),
        current_fleet=_current_fleet(case),
        switching={
            "usd_per_unit_added": case.terms.usd_added,
            "usd_per_unit_removed": case.terms.usd_removed,
            "max_units_changed": case.terms.most_changed,
        },
        **fields,
    )
    return asked, sold


def _token_price(api: Api) -> Any:
    usd_per_m = api.usd_per_request / sum(SIZES[0]) * 1e6
    if math.isinf(api.most_per_second):
        return token_price(api.provider, usd_per_m)
    return token_price(api.provider, usd_per_m, max_requests_per_minute=60 * api.most_per_second)


def _workload(case: Case, load: Load) -> dict[str, Any]:
    busiest = load.rates[load.busiest]
    requests = [
        {"input_tokens": i, "output_tokens": o, "share": rate / sum(busiest)}
        for (i, o), rate in zip(SIZES, busiest, strict=False)
    ]
    latency: dict[str, Any] = {}
    if case.terms.strict_usd is not None:
        latency["requirement"] = "200ms"
    if load.max_utilization is not None:
        latency["max_band"] = BANDS[load.max_utilization]
    return workload(
        name=load.name,
        requests=requests,
        traffic=_traffic(case, load),
        latency=latency,
        min_replicas=load.min_replicas,
    )


def _traffic(case: Case, load: Load) -> dict[str, Any]:
    """A profile where there are several blocks; these have the same mix of classes."""
    if len(case.hours) == 1:
        return {
            "kind": "requests_per_second",
            "requests_per_second": load.peaks[0],
            "mean_requests_per_second": load.means[0],
        }
    hours_a_day = [round(hours / DAYS_PER_MONTH) for hours in case.hours]
    weights = [mean for mean, n in zip(load.means, hours_a_day, strict=True) for _ in range(n)]
    return {
        "kind": "profile",
        "requests_per_day": SECONDS_PER_HOUR * sum(weights),
        "weights": weights,
        "burst_factor": load.burst,
    }


def _policy(case: Case) -> dict[str, Any]:
    terms = case.terms
    penalties: dict[str, Any] = {}
    if terms.overload is not None:
        above, usd = terms.overload
        penalties["overload"] = {"above": above, "usd_at_full_load": usd}
    if terms.scaling is not None:
        above_gpus, usd = terms.scaling
        penalties["scaling"] = {"above_gpus": above_gpus, "usd_per_gpu": usd}
    if terms.strict_usd is not None:
        penalties["strict_latency"] = {"usd": terms.strict_usd}
    if terms.shortfall_usd is not None:
        penalties["shortfall"] = {"usd_per_million_requests": terms.shortfall_usd * 1e6}
    return {
        "utilization": {"target": min(terms.ceiling, 1.0), "ceiling": terms.ceiling},
        "penalties": penalties,
        "spot_loss": terms.spot_loss,
        "switch_off_dedicated": any(o.stops for o in case.offers),
        "share": "none",
    }


def _limits(case: Case) -> dict[str, Any]:
    terms, providers = case.terms, {o.provider for o in case.offers}
    limits: dict[str, Any] = {
        "billing": {"allow": [*BILLINGS, "per_token"]},
        "providers": {"max_count": terms.most_providers, "max_share": terms.provider_share},
        "max_spot_share": terms.spot_share,
        "min_on_demand_replicas": terms.on_demand,
        "max_units": dict(terms.max_units),
        "max_gpus": {
            "total": terms.max_gpus,
            "per_provider": {name: n for name, n in terms.per_provider if name in providers},
            "per_gpu": dict(terms.per_gpu),
        },
    }
    if terms.survive is not None:
        kind, share = terms.survive
        limits["survive_loss_of"] = {"kind": kind, "share": share}
    if terms.budget is not None:
        limits["budget"] = {"usd_per_month": terms.budget, "when_short": terms.when_short}
    return limits


def _current_fleet(case: Case) -> list[dict[str, Any]]:
    return [
        {"offering": o.id, "billing": o.billing, "units": units, "workload": case.loads[0].name}
        for o, units in zip(case.offers, case.terms.today, strict=False)
        if units
    ]
