"""Any of several LLMs on units that workloads share, against every way to fill every fleet."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from milp_planner import Catalog, Plan, Problem, solve
from milp_planner.reporting.text.plans.table import plan_text
from tests.milp.sharing.beside import judging
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS, MOST_UNITS = 720, 3
QUALITY = {"rich": 0.9, "lean": 0.6}


@dataclass(frozen=True)
class Asked:
    sold: tuple[tuple[str, int, float], ...]
    """Name, GPUs and USD/h of units."""

    rates: dict[tuple[str, int], float]
    """Requests/s of a replica by (LLM, GPUs)."""

    loads: dict[str, float]
    at_least: float | None


def asked_of(seed: int) -> Asked:
    r = random.Random(seed)
    sold = (
        ("node", r.choice([2, 3]), float(r.choice([2, 3, 4, 5]))),
        ("other", r.choice([1, 2]), float(r.choice([1, 2, 3]))),
    )
    rates = {(llm, 1): float(r.choice([1, 2, 3, 4])) for llm in ("rich", "lean", "code")}
    pairs = ("rich", "lean", "code") if sold[0][1] == 2 else ()  # by default they fit on no three
    rates |= {(llm, 2): float(r.choice([3, 5, 8])) for llm in pairs if r.random() < 0.4}
    loads = {"chat": float(r.choice([1, 2, 3, 5])), "code": float(r.choice([1, 2, 3]))}
    return Asked(sold, rates, loads, r.choice([None, 0.6, 0.7, 0.8]))


def as_problem(asked: Asked, share: str | None) -> tuple[Problem, Catalog]:
    llm: dict[str, object] = {"any_of": [*QUALITY], "quality": QUALITY}
    if asked.at_least is not None:
        llm["at_least"] = asked.at_least
    written = problem(
        workloads=[
            workload(asked.loads["chat"], "chat", llm=llm),
            workload(asked.loads["code"], "code", llm="code"),
        ],
        policy={"share": share},
        limits={"max_units": {"*": MOST_UNITS}},
    )
    sold = [
        offering("acme", "big", usd, gpus_per_unit=gpus, name=name)
        for name, gpus, usd in asked.sold
    ]
    rates = [
        raw("big", rate, llm=llm, tensor_parallel=size) for (llm, size), rate in asked.rates.items()
    ]
    return written, catalog(sold, rates)


def filled_units(asked: Asked) -> Iterator[tuple[float, tuple[tuple[str, int], ...]]]:
    """(USD/h, its replicas by LLM and GPUs) of every unit, whoever stands on it."""
    for _, gpus, usd in asked.sold:
        kinds = sorted(kind for kind in asked.rates if kind[1] <= gpus)
        for count in range(1, gpus + 1):
            for held in itertools.combinations_with_replacement(kinds, count):
                if sum(size for _, size in held) <= gpus:
                    yield usd, held


def least_usd(asked: Asked) -> float | None:
    """USD/month of the cheapest fleet, each unit filled in every way."""
    units = [*dict.fromkeys(filled_units(asked))]
    serving = [
        HOURS * sum(usd for usd, _ in fleet)
        for count in range(1, MOST_UNITS + 1)
        for fleet in itertools.combinations_with_replacement(units, count)
        if serves_all(asked, [kind for _, held in fleet for kind in held])
    ]
    return min(serving, default=None)


def serves_all(asked: Asked, replicas: list[tuple[str, int]]) -> bool:
    """Whether they carry both loads, the better LLM as much of its own as it can."""
    carried: Counter[str] = Counter()
    for kind in replicas:
        carried[kind[0]] += asked.rates[kind]
    load = asked.loads["chat"]
    by_rich = min(load, carried["rich"])
    if carried["code"] < asked.loads["code"] or load - by_rich > carried["lean"]:
        return False
    mean = (by_rich * QUALITY["rich"] + (load - by_rich) * QUALITY["lean"]) / load
    return asked.at_least is None or mean >= asked.at_least - 1e-9


def judged(seed: int, share: str | None) -> Plan:
    asked = asked_of(seed)
    return judging.judged(*as_problem(asked, share), least_usd(asked), seed=seed)


@pytest.mark.parametrize("share", [None, "units"])
def test_no_fleet_costs_less(share):
    assert any([judged(seed, share).shared_units for seed in range(2)])


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_fleet_of_many_costs_less(share):
    for seed in range(100, 160):
        judged(seed, share)


def test_a_node_says_which_llm_each_of_its_replicas_serves():
    # A mean of 0.75 takes half of each: one GPU of rich, one of lean, beside one of code on 4.
    llm = {"any_of": [*QUALITY], "quality": QUALITY, "at_least": 0.75}
    asked = problem(workloads=[workload(2, "chat", llm=llm), workload(1, "code", llm="code")])
    rates = [raw("big", 1, llm=llm) for llm in ("rich", "lean", "code")]
    node = offering("acme", "big", 4.0, gpus_per_unit=4, name="node")
    plan = solve(asked, catalog([node], rates))
    assert plan.cash_usd_per_month == pytest.approx(4 * HOURS)
    ((unit,),) = {one.contents_by_block for one in plan.shared_units}.pop()
    assert {(k.workload, k.llm): count for k, count in unit} in (
        {("chat", "rich"): 1, ("chat", "lean"): 1, ("code", ""): 1},
        {("chat", "rich"): 2, ("code", ""): 1},
        {("chat", "rich"): 1, ("chat", "lean"): 1, ("code", ""): 2},
    )
    assert "chat 1 x rich raw tp 1" in plan_text(plan) or "chat 2 x rich" in plan_text(plan)
