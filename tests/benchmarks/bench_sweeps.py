"""Two hundred scenarios one after another, and on two workers of each kind: what the way costs.

    python tests/benchmarks/bench_sweeps.py [SCENARIOS [PROBLEM]]

The work is the processor time of all scenarios solved one after another, in this process and its
solvers; overhead is what the same sweep takes more of it on an executor, all processes counted,
without and with the start of workers. Rows must be the same. Dask and Ray where they are installed.
Dask looks around once a second, as `milp_planner/questions/README.md` recommends.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cpu_time import cpu_seconds

from milp_planner import executor_at, load_catalog, load_problem, scenario_grid, what_if

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
QUIET = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "10s",
    "distributed.worker.profile.enabled": False,
}
"""What Dask does many times a second without it, whether or not there is work."""


@contextmanager
def processes() -> Iterator[Any]:
    with executor_at("processes", WORKERS) as executor:
        yield executor


@contextmanager
def dask() -> Iterator[Any]:
    import dask as package
    from distributed import LocalCluster

    host = "127.0.0.1"
    with (
        package.config.set(QUIET),
        LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None, host=host) as cluster,
        executor_at(cluster.scheduler_address.replace("tcp", "dask")) as executor,
    ):
        yield executor


@contextmanager
def ray() -> Iterator[Any]:
    import ray as package

    from milp_planner import RayExecutor

    package.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    yield RayExecutor()
    package.shutdown()


KINDS = {"processes": (processes, "os"), "dask": (dask, "distributed"), "ray": (ray, "ray")}


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 200
    problem = load_problem(sys.argv[2] if sys.argv[2:] else ROOT / "problems/three-llms.yaml")
    catalog = load_catalog(problem.catalog)
    grid = scenario_grid(traffic=[round(0.2 + 0.01 * i, 2) for i in range(count)])
    what_if(problem, grid[:1], catalog)  # imports
    began, clock = cpu_seconds(), time.monotonic()
    alone = what_if(problem, grid, catalog).to_dict()
    work, wall = cpu_seconds() - began, time.monotonic() - clock
    print(f"{'one after another':20} CPU {work:6.1f} s, clock {wall:6.1f} s")
    for name, (kind, package) in KINDS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name:20} is not installed")
            continue
        start = cpu_seconds()
        with kind() as executor:
            what_if(problem, grid[:WORKERS], catalog, executor)  # workers have imported
            began, clock = cpu_seconds(), time.monotonic()
            same = what_if(problem, grid, catalog, executor).to_dict() == alone
            took, wall = cpu_seconds() - began, time.monotonic() - clock
            whole = cpu_seconds() - start
        print(
            f"{name:20} CPU {took:6.1f} s, clock {wall:6.1f} s, overhead {took / work - 1:+.1%}, "
            f"with start {whole / work - 1:+.1%}, rows {'the same' if same else 'DIFFER'}"
        )


if __name__ == "__main__":
    main()
