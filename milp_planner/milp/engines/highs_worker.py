"""HiGHS in a process of its own: reads requests on stdin, one a line, and answers each on stdout.

Run as a script under `python -I -S`: it imports nothing of the planner and of highspy only the
compiled core, so that it starts in some 40 ms of CPU, NumPy and all else left out. One worker
serves run after run; `highs.py` starts it, watches it and kills it.

    {"mps": "…", "options": {…}, …}   a program to solve: see `_solve` for the answer
    stop                              end the run that is going on, with what it has
    end of file                       whoever asked is gone: leave at once
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

MEMORY_RAN_OUT = "memory"
"""What a run that got no memory answers in place of a status."""

UNREADABLE = "unreadable"

LEAST_TIME_LIMIT_S = 0.001  # HiGHS takes 0 as an error in some calls
STOP = "stop"


def load_core(path: str) -> Any:
    """HiGHS's compiled module from its file, without the package around it."""
    name = "highspy._core"
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    core = importlib.util.module_from_spec(spec)
    loader.exec_module(core)
    return core


def bound_memory(most_bytes: int) -> None:
    """Let this process have so much address space and no more, where the system can hold it to."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


def main() -> None:
    """Serve until stdin ends: the compiled module's path and the memory bound are arguments."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints from here on does not get in between
    bound_memory(int(sys.argv[2]))
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(requests, stop), daemon=True).start()
    core = load_core(sys.argv[1])
    while True:
        request = requests.get()
        try:
            answer = _solve(core, request, stop.is_set)
        except MemoryError:
            answer = {"status": MEMORY_RAN_OUT}
        except Exception as error:
            answer = {"status": f"{type(error).__name__}: {error}"}
        json.dump(answer, answers)
        answers.write("\n")
        answers.flush()


def _listen(requests: queue.SimpleQueue[dict[str, Any]], stop: threading.Event) -> None:
    """Hand on what stdin says; a thread of its own, because a run keeps the other one."""
    for line in sys.stdin:
        if line.strip() == STOP:
            stop.set()
        else:
            stop.clear()
            requests.put(json.loads(line))
    os._exit(0)


def _solve(core: Any, request: dict[str, Any], is_stopped: Callable[[], bool]) -> dict[str, Any]:
    """What HiGHS says of one program: status, figures, names and values of the columns."""
    started_s = time.monotonic()
    highs = core._Highs()
    for name, value in request["options"].items():
        highs.setOptionValue(name, value)
    # The time limit is set after reading: HiGHS counts reading and then fails to read.
    if highs.readModel(request["mps"]) == core.HighsStatus.kError:
        return {"status": UNREADABLE, "version": highs.version()}
    if highs.getNumCol() <= request["few_columns"]:
        for name, value in request["options_for_few"].items():
            highs.setOptionValue(name, value)
    left_s = request["time_limit_s"] - (time.monotonic() - started_s)
    highs.setOptionValue("time_limit", max(left_s, LEAST_TIME_LIMIT_S))
    _let_stop(core, highs, is_stopped)
    highs.run()
    return _answer(core, highs, request["options"].get("solve_relaxation", False))


def _let_stop(core: Any, highs: Any, is_stopped: Callable[[], bool]) -> None:
    """Have HiGHS ask now and then whether it is to stop."""

    def asked(kind: Any, message: str, said: Any, answer: Any, data: Any) -> None:
        if is_stopped():
            answer.user_interrupt = True

    kinds = core.cb.HighsCallbackType
    highs.setCallback(asked, None)
    for kind in (
        kinds.kCallbackMipInterrupt,
        kinds.kCallbackSimplexInterrupt,
        kinds.kCallbackIpmInterrupt,
    ):
        highs.startCallback(kind)


def _answer(core: Any, highs: Any, relaxed: bool) -> dict[str, Any]:
    info = highs.getInfo()
    lp = highs.getLp()
    feasible = info.primal_solution_status == core.SolutionStatus.kSolutionStatusFeasible
    whole = bool(len(lp.integrality_)) and not relaxed
    bound = float(info.mip_dual_bound)
    return {
        "status": highs.getModelStatus().name,
        "version": highs.version(),
        "iterations": max(0, info.simplex_iteration_count),
        "objective": info.objective_function_value if feasible else None,
        "bound": bound if whole and abs(bound) < core.kHighsInf else None,
        "whole": whole,
        "names": list(lp.col_names_) if feasible else [],
        "values": list(highs.getSolution().col_value) if feasible else [],
    }


if __name__ == "__main__":
    main()
