"""The replay and the formulas of queues: closed forms, admissible loads, real traces, and speed.

    python tests/benchmarks/bench_replay.py [closed] [loads] [traces] [speed] [program]

Everything by default; `loads` simulates 200 random queues and takes a quarter of an hour. Closed
forms are told beside the simulated mean and the half-width of its 95 % interval, by 20 batches
without the first tenth. Loads are those at which 99 of 100 requests wait no longer than wished: by
the formulas ÷ simulated. Traces are those of `../shared`, and are left out where that folder is
absent: the Azure conversation hour and the first 2,000 requests of Mooncake's, request by request,
and Mooncake's hour by the minute. Speed is that of the loop in plain Python. The
program is that of `bench_blocks.py`, ten workloads in 24 blocks, without spot, with and without a
wish for the p99 of the wait beside the utilization target: CPU time of this process and its
solvers.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from bench_blocks import ten_workloads
from cpu_time import timed

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from milp_planner import Catalog, Problem, load_catalog, solve
from milp_planner.replaying.arrivals import recorded
from milp_planner.replaying.engine import send
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.traffic.trace import read_requests
from tests.replay.test_engine import erlang_c, exponential, lognormal, mean_and_interval, poisson
from tests.support.queueing import QueueSetting, queue_settings

SHARED = Path(__file__).resolve().parents[3] / "shared"
TRACES = SHARED / "data" / "traces"
AZURE = TRACES / "requests_azure_llm_2023_conv.csv"
MOONCAKE = SHARED / "cases" / "found" / "traffic" / "mooncake_2000.jsonl"
SETTINGS, REQUESTS = 200, 80_000
CHAT = QueueSetting(1, 42, 0.5, 1.0, 1.0, 1.0)
"""A replica of 42 places, 20.5 to 41 ms a token."""


def closed() -> None:
    """Means with a closed form, of 400,000 requests each."""
    print("closed forms: simulated ± half of its 95 % interval, and the formula")
    for name, mean, half, formula in _closed():
        inside = "inside" if abs(mean - formula) <= half else "OUTSIDE"
        print(f"  {name:<24} {mean:9.4f} ± {half:.4f}  {formula:9.4f}  {inside}")


def _closed() -> Iterator[tuple[str, float, float, float]]:
    n = 400_000
    for servers, rate in ((1, 0.7), (8, 6.4), (42, 37.8)):
        arrivals, found = poisson(rate, exponential, [ReplicaSpeed((1.0,) * servers)], n=n)
        wait = mean_and_interval(np.array(found.admitted_s) - arrivals)
        yield f"wait of M/M/{servers}", *wait, erlang_c(servers, rate) / (servers - rate)
    arrivals, found = poisson(0.8, lambda _, n: np.ones(n), [ReplicaSpeed((1.0,))], n=n)
    yield "wait of M/D/1", *mean_and_interval(np.array(found.admitted_s) - arrivals), 2.0
    arrivals, found = poisson(20.0, lognormal(2.0), [ReplicaSpeed((1.0,) * 200)], n=n)
    yield "time in M/G/inf", *mean_and_interval(np.array(found.left_s) - arrivals), 1.0
    shared = ReplicaSpeed(tuple(float(d) for d in range(1, 400)))
    for cv in (0.0, 1.0, 2.0):
        arrivals, found = poisson(0.6, lognormal(cv), [shared], n=n)
        sojourn = mean_and_interval(np.array(found.left_s) - arrivals)
        yield f"time in M/G/1-PS, cv {cv:g}", *sojourn, 1 / 0.4


def loads() -> None:
    """Admissible ÷ simulated load over random queues that the formulas judge."""
    ratios: list[float] = []
    for setting in queue_settings(seed=11):
        if len(ratios) == SETTINGS:
            break
        ratio = setting.admissible_to_simulated(REQUESTS)
        if ratio is not None:
            ratios.append(ratio)
            if not 0.95 <= ratio <= 1.06:
                print(f"  {ratio:.3f}  {setting}", flush=True)
    inside = np.mean([0.95 <= ratio <= 1.06 for ratio in ratios])
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    print(
        f"admissible ÷ simulated load, {len(ratios)} queues: 5 / 50 / 95 % {low:.3f} / "
        f"{middle:.3f} / {high:.3f}; between 0.95 and 1.06 in {inside:.1%}"
    )


def traces() -> None:
    """p99 wait of real arrivals before one replica, with their own tokens and with shuffled."""
    if not TRACES.exists():
        print("traces: ../shared/data/traces is not here")
        return
    azure = recorded(read_requests(AZURE))
    mooncake = recorded(read_requests(MOONCAKE))
    rows = [*mooncake_minutes()]
    found = {
        "Azure conversation": (azure.arrivals_s, azure.output_tokens),
        "Mooncake conversation": (mooncake.arrivals_s, mooncake.output_tokens),
        "Mooncake by the minute": tuple(np.array(values) for values in zip(*rows, strict=True)),
    }
    for name, (arrivals, outputs) in found.items():
        shuffled = np.random.default_rng(3).permutation(outputs)
        for load in (0.75, 0.85):
            own = p99_wait_s(arrivals, outputs, load)
            print(
                f"  {name}, {len(arrivals):,} requests at {load:.0%}: p99 wait {own:.1f} s, "
                f"tokens shuffled {p99_wait_s(arrivals, shuffled, load):.1f} s"
            )


def p99_wait_s(arrivals_s: np.ndarray, output_tokens: np.ndarray, load: float) -> float:
    """Before one replica of 42 places, time stretched until its mean load is that."""
    work_s = output_tokens.sum() * CHAT.speed.decode_step_s[-1] / CHAT.places
    at = (arrivals_s - arrivals_s[0]) * (work_s / load / (arrivals_s[-1] - arrivals_s[0]))
    found = send(at.tolist(), [0.0] * len(at), output_tokens.tolist(), [CHAT.speed])
    return float(np.quantile((np.array(found.admitted_s) - at)[len(at) // 10 :], 0.99))


def mooncake_minutes() -> Iterator[tuple[float, float]]:
    """(arrival, output tokens) at random within each minute, each minute with its own mean size."""
    rng = np.random.default_rng(4)
    with open(TRACES / "profiles.csv", encoding="utf-8") as file:
        minutes = [r for r in csv.DictReader(file) if r["trace"] == "mooncake_fast25_conversation"]
    for minute, row in enumerate(minutes):
        n = int(row["requests"])
        if n:
            mean = float(row["output_tokens"]) / n
            spread = math.sqrt(math.log(2))
            sizes = mean * rng.lognormal(-spread * spread / 2, spread, n)
            yield from zip(60 * (minute + np.sort(rng.random(n))), sizes, strict=True)


def speed() -> None:
    """Seconds of CPU for a million requests at 85 %."""
    for replicas, places in ((1, 42), (8, 42), (32, 128)):
        setting = QueueSetting(replicas, places, 0.5, 1.0, 1.0, 1.0)
        began_s = time.process_time()
        setting.missed(0.85 * setting.full_rate, 1_000_000)
        seconds = time.process_time() - began_s
        print(f"  1,000,000 requests before {replicas} x {places} places: CPU {seconds:.1f} s")


def program() -> None:
    """Seconds of CPU for a plan alone and with three next-best ones, without a wish and with it."""
    catalog, without_spot = load_catalog(), ["dedicated", "autoscaling", "reserved_1y"]
    plain = ten_workloads(None).changed({"limits.billing.allow": without_spot})
    names = [w.name for w in plain.workloads]
    waits = plain.changed({f"workloads.{name}.latency.wait": {"p99": "1s"} for name in names})
    for count in (0, 3):
        alone_s, kept_s = (least_cpu_s(problem, catalog, count) for problem in (plain, waits))
        print(
            f"  ten workloads, 24 blocks, {count} next-best plans: CPU {alone_s:.1f} s, with a p99 "
            f"wait of 1 s {kept_s:.1f} s, {kept_s / alone_s:.1f} times as long"
        )


def least_cpu_s(problem: Problem, catalog: Catalog, alternatives: int) -> float:
    """Seconds of CPU from the problem to its plans, the least of two runs."""
    solved = partial(solve, problem, catalog, alternatives=alternatives, time_limit_s=600)
    runs = [timed(solved) for _ in range(2)]
    assert all(len(run.result.alternatives) == alternatives for run in runs)
    return min(run.cpu_s for run in runs)


SECTIONS: dict[str, Callable[[], None]] = {
    "closed": closed,
    "loads": loads,
    "traces": traces,
    "speed": speed,
    "program": program,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or SECTIONS:
        SECTIONS[chosen]()
