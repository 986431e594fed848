"""What is planned for one month that is known, and for nothing else: refused by name."""

from __future__ import annotations

from typing import Any

from milp_planner.errors import RecordError

PRICE = "policy: {penalties: {shortfall: {usd_per_million_requests: 5000}}}"
PRICED = f"price what is left unserved instead: {PRICE}"


def one_month_alone(problem: Any, over: str) -> None:
    """Raises RecordError with the key, and with what to write in its place.

    over: `over futures` or `over months`.
    """
    if problem.objective == "gpus":
        message = f"{over} it is cost that counts; leave out objective: gpus"
        raise RecordError(message, at=("objective",))
    if (share := problem.policy.share) in ("units", "gpus"):
        message = f"{over} units are not shared yet; leave out share: {share}"
        raise RecordError(message, at=("policy", "share"))
    message = f"{over} what is short is not shared out"
    if problem.policy.when_short not in (None, "fail"):
        raise RecordError(message, at=("policy", "when_short"), hint=PRICED)
    budget = problem.limits.budget
    if budget is not None and budget.when_short != "fail":
        raise RecordError(message, at=("limits", "budget", "when_short"), hint=PRICED)
    for i, w in enumerate(problem.workloads):
        if w.latency.judges_queues:
            message = f"{over} waits are not kept yet; leave wait and request out"
            raise RecordError(message, at=("workloads", i, "latency"))
