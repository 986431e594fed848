"""Refuses power by load where nothing states it, or where it is not known to be right."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem

PATH = "policy.power_by_load"


def power_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    """What keeps power from being counted by load."""
    if not problem.policy.power_by_load:
        return
    if all(row.idle_usd_per_hour is None for row in catalog.offerings):
        message = "no owned unit states what it draws idle and at full load"
        hint = "write idle_watts and full_watts in owned.csv, or leave it out"
        yield located(problem, Fault("", 0, 0, PATH, message, hint))
    if problem.policy.active_penalties.overload is not None:
        yield located(problem, _beside("policy.penalties.overload"))
    for w in problem.workloads:
        for wish in w.latency.queue_wishes:
            yield located(problem, _beside(f"workloads.{w.name}.latency.{wish.metric}"))


def _beside(other: str) -> Fault:
    message = f"is not planned together with {other} yet: who works when is decided there, too"
    return Fault("", 0, 0, PATH, message, f"leave out {other}, or leave this out")


def refuse_power_by_load(problem: Problem, question: str) -> None:
    """Raise InputError where power counts by load and a question cannot be answered for that."""
    if problem.policy.power_by_load:
        message = f"{question} is not answered where power counts by load yet"
        raise InputError([located(problem, Fault("", 0, 0, PATH, message))])
