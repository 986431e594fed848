"""Checks a plan in exact arithmetic: every float is taken as the fraction it is, nothing rounds.

Written from the rules alone. It reads the problem, the month, rates and prices, and the plan's
units and routes, and works out all else again; it imports no constraint, cost or check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction

from milp_planner import Candidate, Plan, PlanningInput, TokenPrice
from tests.support.oracles.exact_losses import spare_of, times_served
from tests.support.oracles.exact_numbers import TOLERANCE, exact

BANDS = {"low": Fraction(1, 2), "medium": Fraction(3, 4)}
ELASTIC = ("autoscaling", "spot", "per_token")

Key = tuple[Candidate, int, int]
"""Candidate, class, block."""


@dataclass
class Checked:
    """What came out: exact figures, and every rule that the plan breaks with its two sides."""

    costs: dict[str, Fraction] = field(default_factory=dict)
    utilization: dict[str, Fraction | None] = field(default_factory=dict)
    shortfall: dict[str, Fraction] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def score(self) -> Fraction:
        """Cash and penalties, USD/month."""
        return sum(self.costs.values(), Fraction(0))

    @property
    def cash(self) -> Fraction:
        """Money paid, USD/month."""
        return sum((self.costs[name] for name in CASH), Fraction(0))

    def at_most(self, rule: str, value: Fraction, limit: Fraction) -> None:
        """Note a breach when `value` is above `limit` by more than the tolerance."""
        if value > limit + TOLERANCE * max(Fraction(1), abs(limit)):
            self.broken.append(f"{rule}: {float(value):.12g} > {float(limit):.12g}")


CASH = ("rent", "per_token", "spot_loss", "switching")


def check(given: PlanningInput, plan: Plan) -> Checked:
    """All figures of `plan`, and the rules of `given` that it breaks."""
    fleet = _Fleet(given, plan)
    checked = Checked()
    for rule in (_served, _busy, _replicas, _on_demand, _shares, _survival):
        for name in given.schedule.demands:
            rule(fleet, name, checked)
    _accounts(fleet, checked)
    _held_all_month(fleet, checked)
    _quotas(fleet, checked)
    _changes(fleet, checked)
    _costs(fleet, checked)
    _budget_and_providers(fleet, checked)
    return checked


class _Fleet:
    """The plan as exact numbers."""

    def __init__(self, given: PlanningInput, plan: Plan) -> None:
        self.instance, self.problem, self.plan = given, given.problem, plan
        self.blocks = range(len(given.schedule.blocks))
        self.hours = [exact(block.hours) for block in given.schedule.blocks]
        self.units = {
            p.candidate: p.units_by_block
            for p in plan.purchases
            if p.candidate.offering.billing != "per_token"
        }
        self.share: dict[Key, Fraction] = {}
        names = [block.name for block in given.schedule.blocks]
        for route in plan.routes:
            classes = self.demand(route.candidate.workload).classes
            q = [c.name for c in classes].index(route.request_class.name)
            key = route.candidate, q, names.index(route.block.name)
            self.share[key] = self.share.get(key, Fraction(0)) + exact(route.share)
        for k, _, _ in self.share:
            if k.offering.billing != "per_token":
                self.units.setdefault(k, (0,) * len(self.blocks))
        self.used = {*self.units, *(k for k, _, _ in self.share)}

    def demand(self, name: str):
        return self.instance.schedule.demands[name]

    def busy(self, name: str) -> list[int]:
        return [t for t in self.blocks if self.demand(name).peak[t] > 0]

    def peak(self, name: str, q: int, t: int) -> Fraction:
        """Requests/s of a class at the peak of a block."""
        demand = self.demand(name)
        return exact(demand.classes[q].share) * exact(demand.peak[t])

    def volume(self, name: str, q: int, t: int) -> Fraction:
        """Requests of a class in a block per month."""
        demand = self.demand(name)
        return exact(demand.classes[q].share) * exact(demand.mean[t]) * self.hours[t] * 3600

    def of(self, name: str) -> list[Candidate]:
        return [k for k in self.used if k.workload == name]

    def rate(self, k: Candidate, q: int) -> Fraction:
        """Requests/s of a unit for one class alone."""
        return k.replicas_per_unit * exact(k.points[q].requests_per_second)

    def mix_rate(self, k: Candidate, *, part: bool) -> Fraction:
        """Requests/s of a unit for the mix: of all of it, or of the part that it can serve."""
        classes = range(len(k.points))
        able = [q for q in classes if self.rate(k, q)]
        if not part and len(able) < len(k.points):
            return Fraction(0)
        shares = {q: exact(self.demand(k.workload).classes[q].share) for q in able}
        whole = sum(shares.values()) if len(able) < len(k.points) else Fraction(1)
        return whole / sum(shares[q] / self.rate(k, q) for q in able)

    def capacity(self, k: Candidate, t: int, *, part: bool) -> Fraction:
        """Requests/s that `k` holds in a block; per-token use counts as it is used."""
        if k.offering.billing == "per_token":
            classes = range(len(self.demand(k.workload).classes))
            served = (self.share.get((k, q, t), 0) * self.peak(k.workload, q, t) for q in classes)
            return sum(served, Fraction(0))
        return self.mix_rate(k, part=part) * self.units[k][t]

    def unserved(self, name: str, q: int, t: int) -> Fraction:
        served = sum((self.share.get((k, q, t), Fraction(0)) for k in self.of(name)), Fraction(0))
        return 1 - served

    def limit(self, name: str) -> Fraction:
        """Highest utilization allowed."""
        utilization = self.problem.policy.utilization
        highest = utilization.target if utilization.ceiling is None else utilization.ceiling
        band = self.problem.workload(name).latency.max_band
        return min(exact(highest), BANDS.get(band, exact(highest)))


def _served(fleet: _Fleet, name: str, checked: Checked) -> None:
    budget = fleet.problem.limits.budget
    short_allowed = fleet.problem.policy.active_penalties.shortfall is not None or (
        budget is not None and budget.when_short != "fail"
    )
    zero = checked.shortfall[name] = Fraction(0)
    said = sum(exact(w.shortfall_share) for w in fleet.plan.workloads if w.name == name)
    for t in fleet.busy(name):
        for q in range(len(fleet.demand(name).classes)):
            unserved = fleet.unserved(name, q, t)
            checked.at_most(f"{name} unserved {q} {t}", unserved, said if short_allowed else zero)
            checked.at_most(f"{name} served twice {q} {t}", -unserved, zero)
            checked.shortfall[name] = max(checked.shortfall[name], unserved)


def _busy(fleet: _Fleet, name: str, checked: Checked) -> None:
    """Units are time-shared between the classes."""
    checked.utilization[name] = None
    for k in fleet.of(name):
        if k.offering.billing == "per_token":
            continue
        for t in fleet.blocks:
            work = sum(
                (
                    share * fleet.peak(name, q, t) / fleet.rate(k, q)
                    for (other, q, at), share in fleet.share.items()
                    if other is k and at == t
                ),
                Fraction(0),
            )
            checked.at_most(f"{k.id} busy {t}", work, fleet.limit(name) * fleet.units[k][t])
            if fleet.units[k][t]:
                highest = checked.utilization[name] or Fraction(0)
                checked.utilization[name] = max(highest, work / fleet.units[k][t])


def _accounts(fleet: _Fleet, checked: Checked) -> None:
    """An API answers so many requests a minute to one account, whoever they are for."""
    for t in fleet.blocks:
        asked: dict[TokenPrice, Fraction] = {}
        for (k, q, at), share in fleet.share.items():
            if at == t and isinstance(k.offering, TokenPrice):
                rate = share * fleet.peak(k.workload, q, t)
                asked[k.offering] = asked.get(k.offering, Fraction(0)) + rate
        for api, rate in asked.items():
            if api.max_requests_per_minute is not None:
                most = exact(api.max_requests_per_minute) / 60
                checked.at_most(f"{api.id} rate {t}", rate / most, Fraction(1))


def _replicas(fleet: _Fleet, name: str, checked: Checked) -> None:
    wanted = fleet.problem.workload(name).min_replicas
    if wanted == 1:
        return
    for t in fleet.busy(name):
        up = sum(
            k.replicas_per_unit * fleet.units[k][t] for k in fleet.of(name) if k in fleet.units
        )
        checked.at_most(f"{name} replicas {t}", Fraction(wanted), Fraction(up))


def _on_demand(fleet: _Fleet, name: str, checked: Checked) -> None:
    wanted = fleet.problem.limits.min_on_demand_replicas
    mine = [k for k in fleet.of(name) if k in fleet.units and k.offering.billing != "spot"]
    for t in fleet.busy(name) if wanted is not None else ():
        up = sum(k.replicas_per_unit * fleet.units[k][t] for k in mine)
        checked.at_most(f"{name} replicas that are not spot {t}", Fraction(wanted), Fraction(up))


def _shares(fleet: _Fleet, name: str, checked: Checked) -> None:
    """No provider, and no spot, serves more than its share of the requests of a block."""
    limits = fleet.problem.limits
    for t in fleet.busy(name):
        served: dict[Candidate, Fraction] = {}
        for (k, q, at), share in fleet.share.items():
            if at == t and k.workload == name:
                served[k] = served.get(k, Fraction(0)) + share * fleet.peak(name, q, t)
        total = sum(served.values(), Fraction(0))
        if not total:
            continue
        if limits.providers.max_share is not None:
            for provider in {k.provider for k in served}:
                mine = sum(rate for k, rate in served.items() if k.provider == provider)
                limit = exact(limits.providers.max_share)
                checked.at_most(f"{name} {provider} share {t}", mine / total, limit)
        if limits.max_spot_share is not None:
            spot = sum(rate for k, rate in served.items() if k.offering.billing == "spot")
            checked.at_most(f"{name} spot share {t}", spot / total, exact(limits.max_spot_share))


def _survival(fleet: _Fleet, name: str, checked: Checked) -> None:
    survival = fleet.problem.limits.survival
    if survival is None:
        return
    group_of: dict[str, Callable[[Candidate], object]] = {
        "provider": lambda k: k.provider,
        "region": lambda k: (k.provider, k.offering.region),
        "offering": lambda k: k.offering.id,
        "spot": lambda k: k.offering.billing == "spot",
    }
    mine = [k for k in fleet.instance.candidates.candidates if k.workload == name]
    for t in fleet.busy(name):
        classes = range(len(fleet.demand(name).classes))
        served = sum((1 - fleet.unserved(name, q, t)) * fleet.peak(name, q, t) for q in classes)
        for lost in {group_of[survival.kind](k) for k in fleet.of(name) if served > 0}:
            if lost is False:
                continue
            rest = [k for k in fleet.of(name) if group_of[survival.kind](k) != lost]
            ready = [
                k
                for k in mine
                if isinstance(k.offering, TokenPrice) and group_of[survival.kind](k) != lost
            ]
            if any(k.offering.max_requests_per_minute is None for k in ready):
                continue
            spare = {k.id: spare_of(fleet, k, t) for k in ready}
            left = served * times_served(fleet, name, rest, spare, t)
            checked.at_most(f"{name} without {lost} {t}", exact(survival.share) * served, left)


def _held_all_month(fleet: _Fleet, checked: Checked) -> None:
    for k, units in fleet.units.items():
        rests = k.offering.billing == "dedicated" and fleet.problem.policy.switch_off_dedicated
        blocks = fleet.busy(k.workload) if rests else list(fleet.blocks)
        if rests and any(units[t] for t in fleet.blocks if t not in blocks):
            checked.broken.append(f"{k.id} rests without load, but has {units} units")
        if k.offering.billing not in ELASTIC and len({units[t] for t in blocks}) > 1:
            checked.broken.append(f"{k.id} is held all month, but has {units} units")


def _quotas(fleet: _Fleet, checked: Checked) -> None:
    limits = fleet.problem.limits
    gpus = limits.max_gpus
    if gpus.total is not None:
        _quota(fleet, checked, "GPUs", lambda k: k.offering.gpus_per_unit, gpus.total)
    for pattern, most in gpus.per_provider.items():
        _quota(fleet, checked, pattern, _gpus_where("provider", pattern), most)
    for pattern, most in gpus.per_gpu.items():
        _quota(fleet, checked, pattern, _gpus_where("gpu", pattern), most)
    for pattern, most in limits.max_units.items():
        _quota(fleet, checked, pattern, lambda k, p=pattern: fnmatchcase(k.offering.id, p), most)
    for offering in {k.offering.key: k.offering for k in fleet.units}.values():
        if offering.max_units is not None:
            here = offering.key
            _quota(
                fleet, checked, str(here), lambda k, h=here: k.offering.key == h, offering.max_units
            )


def _gpus_where(attribute: str, pattern: str) -> Callable[[Candidate], int]:
    def weight(k: Candidate) -> int:
        matches = fnmatchcase(getattr(k.offering, attribute), pattern)
        return k.offering.gpus_per_unit if matches else 0

    return weight


def _quota(
    fleet: _Fleet, checked: Checked, name: str, weight: Callable[[Candidate], int], most: int
) -> None:
    for t in fleet.blocks:
        used = sum(int(weight(k)) * units[t] for k, units in fleet.units.items())
        checked.at_most(f"quota {name} {t}", Fraction(used), Fraction(most))


def _unit_changes(fleet: _Fleet) -> list[int]:
    """Units more (positive) or fewer than today by offering, billing and workload."""
    on: dict[tuple[str, str, str], list[list[int]]] = {}
    for k, units in fleet.units.items():
        key = k.offering.id, k.offering.billing, k.workload
        on.setdefault(key, []).append([k.units_joined * n for n in units])
    planned = {key: max(map(sum, zip(*rows, strict=True))) for key, rows in on.items()}
    for row in fleet.problem.current_fleet:
        key = row.offering, row.billing or "dedicated", row.workload
        planned[key] = planned.get(key, 0) - row.units
    return list(planned.values())


def _changes(fleet: _Fleet, checked: Checked) -> None:
    most = fleet.problem.switching.max_units_changed
    if most is not None:
        changed = sum(map(abs, _unit_changes(fleet)))
        checked.at_most("units changed", Fraction(changed), Fraction(most))


def _costs(fleet: _Fleet, checked: Checked) -> None:
    policy = fleet.problem.policy
    rent = {
        k: exact(k.offering.usd_per_hour)
        * sum(h * n for h, n in zip(fleet.hours, units, strict=True))
        for k, units in fleet.units.items()
    }
    spot = sum((usd for k, usd in rent.items() if k.offering.billing == "spot"), Fraction(0))
    changes = _unit_changes(fleet)
    prices = fleet.problem.switching
    checked.costs = {
        "rent": sum(rent.values(), Fraction(0)),
        "per_token": sum(_paid_by_token(fleet), Fraction(0)),
        "spot_loss": exact(policy.spot_loss) * spot,
        "switching": exact(prices.usd_per_unit_added) * sum(d for d in changes if d > 0)
        - exact(prices.usd_per_unit_removed) * sum(d for d in changes if d < 0),
        **dict.fromkeys(("overload", "scaling", "strict_latency", "shortfall"), Fraction(0)),
    }
    for name in fleet.instance.schedule.demands:
        _penalties(fleet, name, checked)


def _paid_by_token(fleet: _Fleet) -> Iterator[Fraction]:
    for (k, q, t), share in fleet.share.items():
        if isinstance(k.offering, TokenPrice):
            size = fleet.demand(k.workload).classes[q]
            usd = exact(size.input_tokens) * exact(k.offering.usd_per_m_input_tokens)
            usd += exact(size.output_tokens) * exact(k.offering.usd_per_m_output_tokens)
            yield share * fleet.volume(k.workload, q, t) * usd / 10**6


def _penalties(fleet: _Fleet, name: str, checked: Checked) -> None:
    penalties = fleet.problem.policy.active_penalties
    u = checked.utilization[name] or Fraction(0)
    if (ramp := penalties.overload) is not None and ramp.above < 1:
        beyond = (u - exact(ramp.above)) / (1 - exact(ramp.above))
        checked.costs["overload"] += max(Fraction(0), exact(ramp.usd_at_full_load) * beyond)
    if (scaling := penalties.scaling) is not None:
        gpus = max(
            sum(
                k.offering.gpus_per_unit * fleet.units[k][t]
                for k in fleet.of(name)
                if k in fleet.units
            )
            for t in fleet.blocks
        )
        checked.costs["scaling"] += exact(scaling.usd_per_gpu) * max(0, gpus - scaling.above_gpus)
    requirement = fleet.problem.workload(name).latency.requirement_s
    if (strict := penalties.strict_latency) is not None and requirement is not None:
        hot = u > BANDS["medium"] * (1 + Fraction(1, 10**9))
        if hot and requirement < strict.below_s:
            checked.costs["strict_latency"] += exact(strict.usd)
    if (price := penalties.shortfall) is not None:
        for t in fleet.busy(name):
            for q in range(len(fleet.demand(name).classes)):
                unserved = max(Fraction(0), fleet.unserved(name, q, t))
                requests = unserved * fleet.volume(name, q, t)
                requests *= exact(fleet.demand(name).requests_per_unit)
                usd = exact(price.usd_per_million_requests)
                checked.costs["shortfall"] += requests * usd / 10**6


def _budget_and_providers(fleet: _Fleet, checked: Checked) -> None:
    limits = fleet.problem.limits
    if limits.budget is not None:
        checked.at_most("budget", checked.cash, exact(limits.budget.usd_per_month))
    if limits.providers.max_count is not None:
        providers = {k.provider for k in fleet.used}
        checked.at_most("providers", Fraction(len(providers)), Fraction(limits.providers.max_count))
    if limits.regions.max_count is not None:
        regions = {k.offering.region for k in fleet.used}
        checked.at_most("regions", Fraction(len(regions)), Fraction(limits.regions.max_count))
    if limits.gpus.max_count is not None:
        types = {k.offering.gpu for k in fleet.used if k.offering.billing != "per_token"}
        checked.at_most("GPU types", Fraction(len(types)), Fraction(limits.gpus.max_count))
