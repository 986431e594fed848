"""Parts and futures on executors: the same plans everywhere, in the same time."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import pytest

from milp_planner import Penalties, choices, executor_at, load_catalog, solve
from milp_planner.plans.records import Status
from milp_planner.solving import parts as staged
from milp_planner.solving.parts import MOST_COLUMNS
from tests.executors.elsewhere import (
    Elsewhere,
    KilledError,
    Never,
    Sharing,
    dask_cluster,
    dead,
    each_executor,
    there,
    told,
)
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.random_problems import random_case

# ---- parts


def two(**fields: Any) -> Any:
    """Two workloads of three classes each, which nothing links and no curve covers."""
    classes = [
        {"input_tokens": i, "output_tokens": o, "share": s}
        for (i, o), s in zip(CLASSES, (0.5, 0.25, 0.25), strict=True)
    ]
    workloads = [{**workload(rate, name), "requests": classes} for rate, name in TWO]
    return problem(workloads=workloads, policy={"share": "none"}, **fields)


TWO = ((9, "chat"), (7, "code"))
CLASSES = ((1, 1), (10, 10), (100, 100))


def for_two() -> Any:
    return catalog(
        [offering("acme", "a", 1.0), offering("bolt", "b", 2.1)],
        [raw(gpu, rate, size=size) for gpu, rate in (("a", 3), ("b", 7)) for size in CLASSES],
    )


def parts_sent(monkeypatch, executor: Any) -> tuple[Any, Any]:
    """A plan of parts that are solved here, and on an executor."""
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    here = solve(two(), for_two())
    return here, solve(two(), for_two(), executor=executor)


@each_executor
def test_parts_are_the_same_wherever_they_are_solved(executor, monkeypatch):
    crew = executor()
    here, spread = parts_sent(monkeypatch, crew)
    assert spread.status is Status.OPTIMAL
    assert told(spread) == told(here)
    assert len(crew.bytes) == 2


class Dying(Sharing):
    """Workers die of these parts."""

    died = (KilledError,)

    def __init__(self, *parts: int) -> None:
        super().__init__()
        self.parts = parts

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        number = args[-1][0][0]
        return super().submit(dead if number in self.parts else fn, *args, **kwargs)


def test_a_part_whose_worker_dies_is_solved_here_and_with_no_worker_left_there_is_a_plan(
    monkeypatch,
):
    here, spread = parts_sent(monkeypatch, Dying(1))
    assert told(spread) == told(here)
    _, first = parts_sent(monkeypatch, Dying(0, 1))
    assert first.status is Status.FEASIBLE
    assert first.bound <= here.score_usd_per_month <= first.score_usd_per_month


@pytest.mark.slow
def test_parts_of_many_kinds_are_the_same_after_a_trip(monkeypatch):
    trips = 0
    for name in ("LARGE", "LARGE_GROUP", "MOST_COLUMNS"):
        monkeypatch.setattr(staged, name, 0)
    for seed in range(300):
        question, rented = by_the_hour(*random_case(seed))
        settings = {"alternatives": 0, "diagnose": False, "solver": "highs"}
        crew = Elsewhere()
        here = solve(question, rented, **settings)
        assert told(solve(question, rented, **settings, executor=crew)) == told(here), seed
        trips += len(crew.bytes)
    assert trips >= 50


def by_the_hour(question: Any, rented: Any) -> tuple[Any, Any]:
    """The same with everything sold by the hour and no penalties, so that blocks come apart."""
    policy = question.policy.model_copy(update={"penalties": Penalties()})
    rows = [
        row.model_copy(update={"billing": "autoscaling"}) if row.billing == "dedicated" else row
        for row in rented.offerings
    ]
    offerings = tuple({row.key: row for row in rows}.values())
    changes = {"policy": policy, "current_fleet": ()}
    return question.model_copy(update=changes), replace(rented, offerings=offerings)


def test_what_was_sent_comes_back_as_what_it_was(monkeypatch):
    # Candidates are told apart by identity: one that came back as another would be no known one.
    seen: list[Any] = []
    joined = staged._joined
    monkeypatch.setattr(staged, "_joined", lambda *given: seen.append(given) or joined(*given))
    parts_sent(monkeypatch, Elsewhere())
    given, results, _ = seen[-1]
    own = {id(k) for k in given.candidates.candidates}
    assert {id(p.candidate) for one in results for p in one.plan.purchases} <= own


def test_where_no_worker_answers_the_first_plan_is_given_in_time(monkeypatch):
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    plan = solve(two(), for_two(), time_limit_s=0.5, executor=Never())
    assert plan.status is Status.FEASIBLE


def test_each_part_has_its_share_of_what_all_places_have(monkeypatch):
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    limits_s = []

    class Two(Sharing):
        def places(self) -> int:
            return self.count

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            limits_s.extend(limit_s for _, limit_s in args[-1])
            return super().submit(fn, *args, **kwargs)

    for count, share in ((1, 0.5), (2, 1.0), (9, 1.0)):
        limits_s.clear()
        crew = Two()
        crew.count = count
        solve(two(), for_two(), time_limit_s=100, executor=crew)
        assert limits_s == pytest.approx([100 * share] * 2, rel=0.05)


# ---- futures

FUTURES = (
    {"name": "less", "probability": 0.5, "traffic": 0.5},
    {"name": "more", "probability": 0.5, "traffic": 2},
)


@each_executor
def test_futures_are_the_same_wherever_they_are_solved(executor):
    question = problem(13, futures=FUTURES)
    crew = executor()
    here = solve(question, big_and_small())
    spread = solve(question, big_and_small(), executor=crew)
    assert told(spread) == told(here)
    assert len(crew.bytes) == 2


# ---- processes and clusters, a problem that comes in parts by itself

DAY = {
    "kind": "profile",
    "requests_per_day": 300_000,
    "weights": [1] * 8 + [3] * 8 + [2] * 8,
    "max_blocks": 8,
}
SIZES = [
    {"input_tokens": into, "output_tokens": out, "share": 0.25}
    for into, out in ((300, 60), (900, 200), (2500, 300), (6000, 700))
]


def apart() -> Any:
    """Five workloads of four classes each that share nothing, on the shipped catalog."""
    return problem(
        workloads=[
            {"name": f"w{i}", "llm": llm, "traffic": DAY, "requests": SIZES}
            for i, llm in enumerate(("llama-3.1-8b",) * 3 + ("llama-3.3-70b",) * 2)
        ],
        policy={"share": "none"},
        choices={"only": ["one_provider", "one_gpu_type", "spot"]},
        limits={"providers": {"allow": ["runpod", "lambda"]}},
    )


@pytest.fixture(scope="module")
def apart_here():
    return everything(None)


def everything(executor: Executor | None) -> Any:
    """A plan of parts, choices and a plan over futures."""
    market = load_catalog("market")
    plan = solve(apart(), market, alternatives=0, reproducible=True, executor=executor)
    assert plan.status is Status.OPTIMAL
    assert plan.proof.columns > MOST_COLUMNS  # so that it comes in parts
    beside = choices(apart(), market, plan=plan, executor=executor)
    futures = solve(problem(13, futures=FUTURES), big_and_small(), executor=executor)
    return told(plan), beside.to_dict(), told(futures)


@pytest.mark.slow
def test_processes_give_the_same(apart_here):
    with executor_at("processes", jobs=2) as executor:
        assert everything(executor) == apart_here


@pytest.mark.slow
@pytest.mark.skipif(not there("distributed"), reason="needs Dask: pip install distributed")
def test_dask_gives_the_same(apart_here):
    with dask_cluster() as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        with executor_at(address) as executor:
            assert everything(executor) == apart_here


@pytest.mark.slow
@pytest.mark.skipif(not there("ray"), reason="needs Ray: pip install ray")
def test_ray_gives_the_same(apart_here):
    with executor_at("ray") as executor:
        assert everything(executor) == apart_here
