"""Power by load of owned units that workloads share: every fleet, filled in every way."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from milp_planner import Catalog, Plan, Problem, solve
from tests.milp.sharing.beside import judging
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS, MOST_UNITS = 720, 3
NAMES = "chat", "code"


@dataclass(frozen=True)
class Sold:
    name: str
    gpus: int
    usd_per_hour: float
    idle: float = 0.0
    busy: float = 0.0
    """USD of an hour without and at full load; of what is rented neither."""

    @property
    def is_owned(self) -> bool:
        return self.busy > 0


@dataclass(frozen=True)
class Asked:
    sold: tuple[Sold, ...]
    rates: dict[tuple[str, int], float]
    """Requests/s of a replica by (workload, GPUs)."""

    peaks: dict[str, float]
    means: dict[str, float]


def asked_of(seed: int) -> Asked:
    r = random.Random(seed)
    idle, gpus = r.choice([0.5, 1.0, 2.0]), r.choice([2, 2, 4])
    own = Sold("lab", gpus, r.choice([1.0, 2.0, 3.0]), idle, idle + r.choice([0.5, 2.0, 4.0]))
    rented = Sold("node", r.choice([1, 2]), float(r.choice([1, 2, 3])))
    rates = {(name, 1): float(r.choice([1, 2, 3])) for name in NAMES}
    rates |= {(name, 2): float(r.choice([3, 5, 7])) for name in NAMES if r.random() < 0.5}
    peaks = {name: float(r.choice([1, 2, 3, 5])) for name in NAMES}
    return Asked(
        (own, rented), rates, peaks, {n: p * r.choice([0.25, 1]) for n, p in peaks.items()}
    )


def as_problem(asked: Asked, share: str | None) -> tuple[Problem, Catalog]:
    loads = [
        workload(
            name=name,
            llm=name,
            traffic={
                "kind": "requests_per_second",
                "requests_per_second": peak,
                "mean_requests_per_second": asked.means[name],
            },
        )
        for name, peak in asked.peaks.items()
    ]
    written = problem(
        workloads=loads,
        policy={"share": share, "power_by_load": True},
        limits={"max_units": {"*": MOST_UNITS}},
    )
    sold = [
        offering(
            "own" if one.is_owned else "acme",
            "big",
            one.usd_per_hour,
            name=one.name,
            gpus_per_unit=one.gpus,
            billing="owned" if one.is_owned else "dedicated",
            **(
                {"idle_usd_per_hour": one.idle, "busy_usd_per_hour": one.busy}
                if one.is_owned
                else {}
            ),
        )
        for one in asked.sold
    ]
    rates = [
        raw("big", rate, llm=name, tensor_parallel=size)
        for (name, size), rate in asked.rates.items()
    ]
    return written, catalog(sold, rates)


Unit = tuple[Sold, tuple[tuple[str, int], ...]]


def filled_units(asked: Asked) -> Iterator[Unit]:
    for one in asked.sold:
        kinds = sorted(kind for kind in asked.rates if kind[1] <= one.gpus)
        for count in range(1, one.gpus + 1):
            for held in itertools.combinations_with_replacement(kinds, count):
                if sum(size for _, size in held) <= one.gpus:
                    yield one, held


def least_usd(asked: Asked) -> float | None:
    """USD/month of the cheapest fleet."""
    units = [*filled_units(asked)]
    serving = [
        usd
        for count in range(1, MOST_UNITS + 1)
        for fleet in itertools.combinations_with_replacement(units, count)
        if (usd := fleet_usd(asked, fleet)) is not None
    ]
    return min(serving, default=None)


def fleet_usd(asked: Asked, fleet: tuple[Unit, ...]) -> float | None:
    """What it costs where those work first that draw least; None where it does not serve all."""
    usd = sum(one.idle if one.is_owned else one.usd_per_hour for one, _ in fleet)
    for name, peak in asked.peaks.items():
        mine = sorted(
            ((one.busy - one.idle) * size / one.gpus / asked.rates[name, size], size)
            for one, held in fleet
            for of, size in held
            if of == name
        )
        left = peak
        for usd_per_request, size in mine:
            served = min(left, asked.rates[name, size])
            usd += served * asked.means[name] / peak * usd_per_request
            left -= served
        if left > 1e-9:
            return None
    return HOURS * usd


def judged(seed: int, share: str | None) -> Plan:
    asked = asked_of(seed)
    return judging.judged(*as_problem(asked, share), least_usd(asked), seed=seed)


@pytest.mark.parametrize("share", [None, "units"])
def test_no_fleet_costs_less(share):
    assert any([judged(seed, share).shared_units for seed in range(2)])


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_fleet_of_many_costs_less(share):
    for seed in range(100, 150):
        judged(seed, share)


def test_those_who_share_a_unit_bear_its_idle_power_by_gpus_and_each_its_work():
    # $1 idle and $5 at full load an hour, on four GPUs: chat works all month on two of them, code
    # half of the time on one.
    lab = {"idle_usd_per_hour": 1.0, "busy_usd_per_hour": 5.0}
    own = offering("own", "big", 3.0, gpus_per_unit=4, name="lab", billing="owned", **lab)
    half = {
        "kind": "requests_per_second",
        "requests_per_second": 1,
        "mean_requests_per_second": 0.5,
    }
    asked = problem(
        workloads=[workload(2, "chat"), workload(name="code", traffic=half)],
        policy={"power_by_load": True},
    )
    plan = solve(asked, catalog([own], [raw("big", 1)]))
    paid = {p.candidate.workload: p.cash_usd_per_month for p in plan.purchases}
    assert paid == pytest.approx({"chat": HOURS * (2 / 3 + 2), "code": HOURS * (1 / 3 + 0.5)})
    assert plan.costs["rent"] == pytest.approx(3 * HOURS)
