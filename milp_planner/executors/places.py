"""executor_at(): an executor by its name, as `--executor` takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

from milp_planner.errors import PlannerError, input_error
from milp_planner.inputs.reading.arguments import check_number

WHERE: Final = ("threads", "processes", "dask://HOST:PORT", "ray://HOST:PORT", "ray")
"""The names that `executor_at` takes."""

MOST_JOBS: Final = 64


@contextlib.contextmanager
def executor_at(where: str, jobs: int = 2) -> Iterator[Executor]:
    """A context that gives an executor for `what_if`, `solve`, `choices` and `decision_sheet`, and
    closes it at its end.

    where: `threads` or `processes` of this machine, `jobs` of them (1 to 64); `dask://HOST:PORT`,
    the scheduler of a Dask cluster; `ray://HOST:PORT`, the client server of a Ray cluster; `ray`,
    one that is started here. A cluster's workers need the same version of milp-planner, and jobs
    says nothing to it. Returns an Executor of `concurrent.futures`. An exception in the block,
    Ctrl-C too, ends what runs on this machine.

    Raises InputError for another name, PlannerError where Dask or Ray is not installed
    (`pip install 'milp-planner[dask]'`, `'milp-planner[ray]'`), or nobody answers in 10 s.

    >>> from milp_planner import executor_at, load_problem, scenario_grid, what_if
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> with executor_at("threads", jobs=2) as executor:
    ...     found = what_if(problem, scenario_grid(traffic=[1, 2000]), executor=executor)
    >>> [row.cash_usd for row in found.rows]
    [1260.0, 2520.0]
    """
    check_number("jobs", jobs, least=1, most=MOST_JOBS, whole=True)
    scheme, _, address = where.partition("://")
    if where == "threads":
        with _threads(jobs) as executor:
            yield executor
    elif where == "processes":
        with _processes(jobs) as executor:
            yield executor
    elif scheme == "dask" and address:
        with _dask(address) as executor:
            yield executor
    elif where == "ray" or (scheme == "ray" and address):
        with _ray(where) as executor:
            yield executor
    else:
        raise input_error(
            f"expected {', '.join(WHERE[:-1])} or {WHERE[-1]}, found {where[:80]!r}",
            path="executor",
        )


@contextlib.contextmanager
def _threads(jobs: int) -> Iterator[Executor]:
    executor = ThreadPoolExecutor(jobs)
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    from milp_planner.executors.processes import Processes

    executor = Processes(jobs)
    try:
        yield executor
    finally:
        executor.stop()  # nobody waits any more for what still runs
        executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise _not_installed("Dask", "dask") from None
    from milp_planner.executors.clusters import REACHED_S, DaskExecutor

    try:
        client = Client(f"tcp://{address}", timeout=REACHED_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _nobody("Dask scheduler", address, error) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=REACHED_S)
        except TimeoutError:
            raise PlannerError(
                f"the Dask scheduler at {address} has no worker; start some "
                f"(`dask worker tcp://{address}`) and ask again"
            ) from None
        yield DaskExecutor(client)


@contextlib.contextmanager
def _ray(where: str) -> Iterator[Executor]:
    try:
        import ray
    except ImportError:
        raise _not_installed("Ray", "ray") from None
    from milp_planner.executors.clusters import RayExecutor

    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    here: dict[str, Any] = {"include_dashboard": False} if where == "ray" else {"address": where}
    try:
        ray.init(**here, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise _nobody("Ray cluster", where.removeprefix("ray://"), error) from None
    try:
        yield RayExecutor()
    finally:
        ray.shutdown()


def _not_installed(name: str, extra: str) -> PlannerError:
    return PlannerError(f"{name} is not installed: pip install 'milp-planner[{extra}]'")


def _nobody(what: str, address: str, error: BaseException) -> PlannerError:
    why = " ".join(str(error).split())[:200]
    return PlannerError(f"no {what} answers at {address}: {why or type(error).__name__}")
