"""What is left out before several futures are solved changes no optimum: random markets."""

from __future__ import annotations

import random
from typing import Any

import pytest

from milp_planner import Catalog, Problem, solve
from tests.support.builders import catalog, offering, problem, raw, workload

USD = {"a": 1.0, "b": 1.7, "c": 2.6}
CHEAPER = {"dedicated": 1.0, "autoscaling": 1.3, "reserved_1y": 0.7, "reserved_3y": 0.6}
BILLINGS = ["dedicated", *CHEAPER, "reserved_1y"]


def market(pick: random.Random) -> Catalog:
    """A few offerings of three GPUs; there is always one to rent and one to commit to."""
    rows = [
        offering("acme", "a", 1.2, name="rent"),
        offering("bolt", "a", 1.0, name="bind", billing="reserved_1y"),
    ]
    for i in range(pick.choice([3, 5, 7])):
        gpu, billing = pick.choice("abc"), pick.choice(BILLINGS)
        usd = round(USD[gpu] * CHEAPER[billing] * pick.uniform(0.7, 1.3), 2)
        few = {"max_units": pick.choice([1, 3])} if pick.random() < 0.15 else {}
        seller = pick.choice(["acme", "bolt"])
        rows.append(offering(seller, gpu, usd, name=f"o{i}", billing=billing, **few))
    rates = [raw(gpu, pick.choice([1, 2, 3, 5])) for gpu in USD]
    rates += [raw(gpu, pick.choice([0.5, 1, 2]), size=(2, 2)) for gpu in "ab"]
    return catalog(rows, rates)


def question(pick: random.Random) -> Problem:
    """One or two workloads of unlike requests, three futures of unlike traffic and prices."""
    workloads = [workload(pick.choice([1.0, 2.5, 4.0]))]
    if pick.random() < 0.6:
        size = {"input_tokens": 2, "output_tokens": 2}
        workloads.append(workload(pick.choice([1.0, 2.0]), "code", requests=size))
    futures: list[dict[str, Any]] = []
    for i, p in enumerate(pick.choice([(0.5, 0.3, 0.2), (0.2, 0.2, 0.6)])):
        future: dict[str, Any] = {"name": f"f{i}", "probability": p}
        future["traffic"] = pick.choice([0.3, 0.6, 1, 1.5, 2.5])
        if pick.random() < 0.4:
            future["workloads"] = {"chat": pick.choice([0.2, 2])}
        if pick.random() < 0.4:
            future["prices"] = {pick.choice(["*", "acme/*"]): pick.choice([0.6, 1.3])}
        futures.append(future)
    limits: dict[str, Any] = {"billing": {"allow": list(CHEAPER)}}
    limits |= pick.choice([{}, {}, {"survive_loss_of": {"kind": "provider", "share": 0.5}}])
    limits |= pick.choice([{}, {}, {"max_gpus": {"per_gpu": {"a": 3}}}])
    return problem(workloads=workloads, futures=futures, limits=limits)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_leaving_out_what_others_do_changes_no_optimum(seed):
    pick = random.Random(seed)
    sold, asked = market(pick), question(pick)
    pruned = solve(asked, sold, diagnose=False)
    whole = solve(asked, sold, pruning=False, diagnose=False)
    assert pruned.status is whole.status
    if pruned.futures is not None and whole.futures is not None:
        usd = whole.futures.minimised_usd_per_month
        assert pruned.futures.minimised_usd_per_month == pytest.approx(usd, abs=0.02)
