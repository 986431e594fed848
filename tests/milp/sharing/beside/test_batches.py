"""Work that can wait, on units that workloads share: every number of replicas, on every fleet."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import Any

import pytest

from milp_planner import Catalog, InputError, Plan, Problem, prepare, solve
from tests.milp.batch.test_batch_work import HOUR, batch, day
from tests.milp.sharing.beside import judging
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS, MOST = 720, 9
"""Of the month; replicas of a workload that are tried."""


@dataclass(frozen=True)
class Asked:
    gpus: int
    node_usd: float
    single_usd: float
    chat: tuple[int, int]
    """Requests/s in each half of the day."""

    code: int
    rates: dict[str, float]
    """Requests/s of a GPU, by LLM."""

    llm: str
    """Of the batch: that of chat, or one of its own."""

    requests: float
    """Of the batch, every day."""

    is_late: bool
    """True where they may be worked on in the second half alone."""


def asked_of(seed: int) -> Asked:
    r = random.Random(seed)
    rates = {llm: float(r.choice([1, 2, 3])) for llm in ("tiny", "code", "other")}
    return Asked(
        gpus=r.choice([2, 3, 4]),
        node_usd=float(r.choice([2, 3, 4])),
        single_usd=float(r.choice([1, 2, 3])),
        chat=(r.choice([1, 2, 4]), r.choice([1, 2, 4])),
        code=r.choice([1, 2, 3]),
        rates=rates,
        llm=r.choice(["tiny", "other"]),
        requests=r.choice([0.4, 1.0, 1.7, 3.2]) * 24 * HOUR,
        is_late=r.random() < 0.5,
    )


def as_problem(asked: Asked, share: str | None, billing: str) -> tuple[Problem, Catalog]:
    window = {"from_hour": 12, "deadline": "12h"} if asked.is_late else {"deadline": "24h"}
    night = batch(asked.requests, every="day", **window)
    loads = [
        workload(name="chat", traffic=day(*[asked.chat[0]] * 12, *[asked.chat[1]] * 12)),
        workload(asked.code, "code", llm="code"),
        {**night, "llm": asked.llm},
    ]
    sold = [
        offering("acme", "big", asked.node_usd, gpus_per_unit=asked.gpus, name="node"),
        offering("acme", "big", asked.single_usd),
    ]
    sold = [one.model_copy(update={"billing": billing}) for one in sold]
    rates = [raw("big", rate, llm=llm) for llm, rate in asked.rates.items()]
    return problem(workloads=loads, policy={"share": share}), catalog(sold, rates)


def least_usd(asked: Asked) -> float:
    """USD/month of the cheapest held fleet of which the batch is done by its deadline."""
    rate, found = asked.rates, math.inf
    chat = math.ceil(max(asked.chat) / rate["tiny"])
    code = math.ceil(asked.code / rate["code"])
    for more, night in itertools.product(range(MOST), repeat=2):
        done = 0.0
        for half, load in enumerate(asked.chat):
            idle = (chat + more) * rate["tiny"] - load if asked.llm == "tiny" else 0.0
            is_open = half == 1 or not asked.is_late
            done += 12 * HOUR * (night * rate[asked.llm] + idle) if is_open else 0.0
        if done >= asked.requests - 1e-6:
            found = min(found, HOURS * held_usd(asked, chat + more + code + night))
    return found


def held_usd(asked: Asked, gpus: int) -> float:
    """USD/h of the cheapest nodes and single GPUs that hold so many replicas."""
    return min(
        nodes * asked.node_usd + max(0, gpus - nodes * asked.gpus) * asked.single_usd
        for nodes in range(gpus + 1)
    )


def judged(seed: int, share: str | None) -> Plan:
    asked = asked_of(seed)
    return judging.judged(*as_problem(asked, share, "dedicated"), least_usd(asked), seed=seed)


@pytest.mark.parametrize("share", [None, "units"])
def test_no_held_fleet_that_is_done_in_time_costs_less(share):
    assert any([judged(seed, share).shared_units for seed in range(2)])


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, "units"])
def test_no_held_fleet_of_many_that_is_done_in_time_costs_less(share):
    for seed in range(100, 160):
        judged(seed, share)


@pytest.mark.slow
def test_hourly_units_are_never_dearer_for_being_shared():
    saved = 0
    for seed in range(200, 230):
        shared = solve(*as_problem(asked_of(seed), None, "autoscaling"), diagnose=False)
        whole = solve(*as_problem(asked_of(seed), None, "autoscaling"), pruning=False)
        apart = solve(*as_problem(asked_of(seed), "none", "autoscaling"), diagnose=False)
        costs = [one.cash_usd_per_month for one in (shared, whole, apart)]
        assert None not in costs
        assert costs[0] == pytest.approx(costs[1], abs=0.02)
        assert costs[0] <= costs[2] + 0.02
        saved += costs[0] < costs[2] - 1
    assert saved


def node(**fields: Any) -> Catalog:
    rates = [raw("big", 1, llm=llm) for llm in ("tiny", "other")]
    sold = offering("acme", "big", 8.0, gpus_per_unit=8, name="node", **fields)
    return catalog([sold], rates)


def test_replicas_on_a_shared_node_do_batches_in_the_time_that_their_load_leaves():
    # Chat has a GPU for 1 request/s by day, which does half a request/s of the batch by night; code
    # has one as well. The batch of the same LLM needs none of its own.
    loads = [
        workload(name="chat", traffic=day(*[1] * 12, *[0] * 12)),
        workload(1, "code", llm="other"),
        batch(12 * HOUR),
    ]
    plan = solve(problem(workloads=loads), node())
    assert plan.cash_usd_per_month == pytest.approx(8 * HOURS)
    assert {k.workload for one in plan.shared_units for k, _ in one.contents_by_block[0][0]} == {
        "chat",
        "code",
    }
    (run,) = plan.batch_runs
    assert run.candidate.part_of_unit
    document = plan.to_dict()
    assert document["batch_work"][0]["part_of_gpus"] == 8
    assert Plan.from_dict(document).to_dict() == document


def test_a_node_of_ones_own_does_as_much_of_a_batch_as_all_of_its_replicas():
    listed = prepare(problem(workloads=[workload(1, "chat"), batch(HOUR)]), node()).candidates
    (own,), (part,) = listed.of("chat"), [k for k in listed.parts if k.workload == "chat"]
    assert [one.requests_per_second for one in own.meanwhile] == [(8.0,)]
    assert [one.requests_per_second for one in part.meanwhile] == [(1.0,)]


def test_llms_that_share_a_gpu_do_no_batches():
    asked = problem(workloads=[workload(1, "chat"), batch(HOUR)], policy={"share": "gpus"})
    with pytest.raises(InputError, match=r"not planned together with workloads\.traffic\.deadline"):
        prepare(asked, node())
