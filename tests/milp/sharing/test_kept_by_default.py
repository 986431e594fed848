"""Today's fleet where it is open who shares units: each of them counts once, kept or changed."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from milp_planner import Catalog, Plan, Problem, evaluate, solve
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving import parts
from tests.milp.sharing.test_shared_today import NODE, market, moved
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS, MOST_UNITS = 720, 3
NAMES = "chat", "code"


def running(units: dict[str, int], chat=1.0, code=1.0, **fields) -> Problem:
    """Two workloads, a GPU of which serves 1 request/s, and nodes that run for each."""
    today = [{"offering": NODE, "workload": name, "units": n} for name, n in units.items()]
    loads = [workload(chat, "chat"), workload(code, "code")]
    return problem(workloads=loads, current_fleet=today, **fields)


def test_a_node_that_ran_for_one_workload_is_kept_for_both():
    asked = running({"chat": 1})
    plan = solve(asked, market())
    assert moved(plan) == [("", 1, 0, 0)]
    assert "keep 1 x acme/node/eu-1 dedicated to share" in plan_text(plan)
    assert Plan.from_dict(plan.to_dict()).changes == plan.changes
    assert evaluate(asked, plan, market()).plan.changes == plan.changes


def test_of_nodes_that_each_had_one_is_shared_and_one_is_given_back():
    plan = solve(running({"chat": 1, "code": 1}), market())
    assert moved(plan) == [("", 1, 0, 0), ("code", 0, 0, 1)]


def test_what_a_workload_keeps_to_itself_is_its_own_still():
    # 3 requests/s are a node of two GPUs and one GPU more, on which code stands too.
    plan = solve(running({"chat": 2}, chat=3.0), market())
    assert moved(plan) == [("", 1, 0, 0), ("chat", 1, 0, 0)]


def test_a_node_that_goes_from_one_workload_to_another_is_two_changes_whatever_it_is_called():
    # Chat has two replicas on a node of its own, code takes one of two GPUs: nothing is shared.
    asked = running({"chat": 2}, chat=2.0, code=2.0)
    plan = solve(asked, market())
    assert plan.cash_usd_per_month == pytest.approx(2 * 2 * HOURS)
    assert sum(add + remove for _, _, add, remove in moved(plan)) in (0, 2)


def test_one_node_is_added_for_both_where_two_units_would_be_two_changes():
    # Two GPUs at $0.9 are $144 a month less than the node at $2, and one unit more to add for $300.
    sold = [
        offering("acme", "big", 2.0, gpus_per_unit=2, name="node"),
        offering("acme", "big", 0.9),
    ]
    for usd, units in ((300, 1), (100, 2)):
        asked = running({}, switching={"usd_per_unit_added": usd})
        plan = solve(asked, catalog(sold, [raw("big", 1)]))
        assert plan.costs["switching"] == pytest.approx(usd * units)


def test_hourly_nodes_are_kept_by_the_block_in_which_most_are():
    # Three GPUs by day and two by night: two nodes and one. One ran for chat: one more is added.
    day = {"kind": "profile", "weights": [2] * 12 + [1] * 12, "requests_per_day": 3600 * 36}
    loads = [workload(name="chat", traffic=day), workload(1, "code")]
    asked = running({"chat": 1}, switching={"usd_per_unit_added": 100})
    plan = solve(asked.changed({"workloads": loads}), market(billing="autoscaling"))
    assert plan.costs["switching"] == pytest.approx(100)
    assert plan.costs["rent"] == pytest.approx(2 * 360 * (2 + 1))
    assert sum(keep for _, keep, _, _ in moved(plan)) == 1


# ---- against every fleet there is


@dataclass(frozen=True)
class Sold:
    name: str
    gpus: int
    usd_per_hour: float


@dataclass(frozen=True)
class Asked:
    sold: tuple[Sold, ...]
    loads: dict[str, float]
    rates: dict[tuple[str, int], float]
    """Requests/s of a replica by (workload, GPUs)."""

    today: dict[tuple[str, str], int]
    """Units by (offering, workload)."""

    per_added: float
    per_removed: float
    most_changed: int | None


Unit = tuple[str, str, tuple[tuple[str, int], ...]]
"""(offering, the workload that has it to itself or '', its replicas by workload and GPUs)."""


def asked_of(seed: int) -> Asked:
    r = random.Random(seed)
    sold = tuple(
        Sold(name, r.choice([1, 2, 2]), float(r.choice([1, 2, 3, 4]))) for name in ("node", "other")
    )
    rates = {(name, 1): float(r.choice([1, 2, 3])) for name in NAMES}
    rates |= {(name, 2): float(r.choice([2, 3, 5, 7])) for name in NAMES if r.random() < 0.5}
    counts = {(one.name, name): r.choice([0, 0, 1, 2]) for one in sold for name in NAMES}
    return Asked(
        sold=sold,
        loads={name: float(r.choice([1, 2, 3])) for name in NAMES},
        rates=rates,
        today={key: n for key, n in counts.items() if n},
        per_added=float(r.choice([0, 0, 300, 2000])),
        per_removed=float(r.choice([0, 0, 300, 2500])),
        most_changed=r.choice([None, None, 1, 2, 3]),
    )


def as_problem(asked: Asked) -> tuple[Problem, Catalog]:
    today = [
        {"offering": f"acme/{name}/eu-1", "workload": of, "units": units}
        for (name, of), units in asked.today.items()
    ]
    switching: dict[str, object] = {
        "usd_per_unit_added": asked.per_added,
        "usd_per_unit_removed": asked.per_removed,
    }
    if asked.most_changed is not None:
        switching["max_units_changed"] = asked.most_changed
    written = problem(
        workloads=[workload(load, name, llm=name) for name, load in asked.loads.items()],
        current_fleet=today,
        switching=switching,
        limits={"max_units": {"*": MOST_UNITS}},
    )
    sold = [
        offering("acme", "big", one.usd_per_hour, gpus_per_unit=one.gpus, name=one.name)
        for one in asked.sold
    ]
    rates = [
        raw("big", rate, llm=name, tensor_parallel=size)
        for (name, size), rate in asked.rates.items()
    ]
    return written, catalog(sold, rates)


def every_unit(asked: Asked) -> Iterator[Unit]:
    """One workload's own, full of replicas of one size; or shared, with whatever fits."""
    for one in asked.sold:
        kinds = [kind for kind in asked.rates if kind[1] <= one.gpus]
        for name, size in kinds:
            yield one.name, name, ((name, size),) * (one.gpus // size)
        for count in range(1, one.gpus + 1 if one.gpus > 1 else 0):
            for held in itertools.combinations_with_replacement(sorted(kinds), count):
                if sum(size for _, size in held) <= one.gpus:
                    yield one.name, "", held


def scored(asked: Asked) -> Iterator[tuple[float, int]]:
    """(USD/month, units changed) of every fleet that serves all."""
    usd = {one.name: HOURS * one.usd_per_hour for one in asked.sold}
    units = list(every_unit(asked))
    for count in range(1, MOST_UNITS + 1):
        for fleet in itertools.combinations_with_replacement(units, count):
            carried: Counter[str] = Counter()
            for _, _, held in fleet:
                for kind in held:
                    carried[kind[0]] += asked.rates[kind]
            if any(carried[name] < load for name, load in asked.loads.items()):
                continue
            added, removed = changes(asked, fleet)
            if asked.most_changed is None or added + removed <= asked.most_changed:
                rent = sum(usd[name] for name, _, _ in fleet)
                moved_usd = asked.per_added * added + asked.per_removed * removed
                yield rent + moved_usd, added + removed


def changes(asked: Asked, fleet: tuple[Unit, ...]) -> tuple[int, int]:
    """(added, removed): a unit that ran for a workload may be shared where that stands."""
    added = removed = 0
    for one in asked.sold:
        here = [unit for unit in fleet if unit[0] == one.name]
        own = Counter(of for _, of, _ in here if of)
        replicas = Counter(kind[0] for _, of, held in here if not of for kind in held)
        shared, kept = sum(not of for _, of, _ in here), 0
        for name in NAMES:
            over = own[name] - asked.today.get((one.name, name), 0)
            added += max(0, over)
            removed += max(0, -over)
            kept += min(max(0, -over), replicas[name])
        kept = min(kept, shared)
        added, removed = added + shared - kept, removed - kept
    return added, removed


def judged(seed: int) -> None:
    asked = asked_of(seed)
    written, rented = as_problem(asked)
    known = list(scored(asked))
    least = min((usd for usd, _ in known), default=math.inf)
    fewest = min((n for usd, n in known if usd < least + 0.001), default=0)
    plan = solve(written, rented, pruning=seed % 3 > 0, diagnose=False)
    if not known:
        assert plan.score_usd_per_month is None
        return
    assert plan.score_usd_per_month == pytest.approx(least, abs=0.01)
    if asked.today:
        assert sum(add + remove for _, _, add, remove in moved(plan)) == fewest


@pytest.mark.parametrize("seed", range(5, 15))
def test_no_fleet_costs_less_or_changes_less_for_as_much(seed):
    judged(seed)


def test_nothing_else_is_said_of_what_is_solved_in_stages(monkeypatch):
    monkeypatch.setattr(parts, "LARGE", 0)
    for seed in (31, 32):
        judged(seed)


@pytest.mark.slow
def test_no_fleet_of_many_costs_less_or_changes_less():
    for seed in range(100, 400):
        judged(seed)
