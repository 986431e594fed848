"""Refuses what `policy.share: units` does not cover: no wish is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import CandidateList
from milp_planner.candidates.sharing.shared_units import sizes_divide
from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policies import shares_gpus, shares_units
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.shared_scope import not_covered

PATH = "policy.share"

MOST_ON_GPUS = 12
"""Workloads up to which all sets of three are listed in seconds."""


def sharing_faults(problem: Problem) -> Iterator[Fault]:
    """What the problem asks for beside shared units, and cannot have with them."""
    if problem.policy.share not in ("units", "gpus"):
        return
    for path, why in sorted(dict(not_covered(problem)).items()):
        yield located(problem, _fault(f"is not planned together with {path} yet: {why}", path))

    if shares_gpus(problem) and len(problem.workloads) > MOST_ON_GPUS:
        message = (
            f"{len(problem.workloads)} workloads: sets of LLMs that share a GPU are looked at for "
            f"{MOST_ON_GPUS} at most"
        )
        hint = "write share: units, or plan the small LLMs in a problem of their own"
        yield located(problem, Fault("", 0, 0, PATH, message, hint))


def size_faults(problem: Problem, candidates: CandidateList) -> Iterator[Fault]:
    """GPU counts of replicas that may stand on one unit, and of which neither divides the other."""
    sizes = sorted({k.gpus_per_unit for k in candidates.candidates if k.part_of_unit})
    if not sizes_divide(sizes):
        said = ", ".join(map(str, sizes))
        message = (
            f"replicas of {said} GPUs may stand on one unit, and not each of these counts divides "
            "the larger ones: whether they fit is not known"
        )
        fault = _fault(message, "workloads.tensor_parallel")
        yield located(problem, fault)
    running = {row.offering for row in problem.current_fleet} if shares_units(problem) else set()
    joined = sorted({k.offering.id for k in candidates.candidates if k.units_joined > 1} & running)
    if joined:
        message = (
            f"units of {joined[0]} run today, and whether a replica joins several of them or "
            "others share each is not told"
        )
        yield located(problem, _fault(message, "current_fleet"))


def refuse_shared(problem: Problem, question: str) -> None:
    """Raise InputError where units are shared and a question cannot be answered for that."""
    if shares_units(problem):
        fault = _fault(f"{question} is not answered for shared units yet", "")
        raise InputError([located(problem, fault)])


def _fault(message: str, other: str) -> Fault:
    hint = f"leave out {other}, or write share: none" if other else "write share: none"
    return Fault(file="", line=0, column=0, path=PATH, message=message, hint=hint)
