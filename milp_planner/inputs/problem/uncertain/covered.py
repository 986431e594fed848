"""What is planned for one month that is known, or not together with futures: refused by name."""

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
    if (at := _says_when_short(problem)) is not None:
        if problem.horizon is not None:
            message = "over months what is short is not shared out"
            raise RecordError(message, at=at, hint=PRICED)
        _short_in_futures(problem, at)
    for i, w in enumerate(problem.workloads):
        if w.latency.judges_queues:
            message = f"{over} waits are not kept yet; leave wait and request out"
            raise RecordError(message, at=("workloads", i, "latency"))


def _says_when_short(problem: Any) -> tuple[str, ...] | None:
    """The key that lets less than everything be served; None where none does."""
    budget = problem.limits.budget
    if problem.policy.when_short not in (None, "fail"):
        return "policy", "when_short"
    if budget is not None and budget.when_short != "fail":
        return "limits", "budget", "when_short"
    return None


def _short_in_futures(problem: Any, at: tuple[str, ...]) -> None:
    """Raises RecordError for what says otherwise what a future that is short leaves out."""
    if problem.policy.when_short == "fail":
        message = "over futures money is not told from all else that is short"
        hint = "leave policy.when_short out, so that whatever is short may leave something out"
        raise RecordError(message, at=at, hint=hint)
    if problem.policy.active_penalties.shortfall is not None:
        message = "over futures what is left unserved has a price or an order, not both"
        hint = "leave out when_short, or policy.penalties.shortfall and the preset that sets it"
        raise RecordError(message, at=at, hint=hint)
    risk = problem.risk
    if risk is None or risk.measure == "expected":
        return
    if risk.of != "cost":
        message = f"with when_short futures serve less or more, which {risk.of} does not tell apart"
        hint = f"write of: cost, or {PRICED}"
        raise RecordError(message, at=("risk", "of"), hint=hint)
    if risk.weight == 1:
        message = "with when_short the average counts as well"
        raise RecordError(message, at=("risk", "weight"), hint="write a weight below 1, as 99%")
