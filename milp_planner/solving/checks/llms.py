"""Refuses what is not known to be right where any of several LLMs may serve a workload."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policies import shares_gpus
from milp_planner.inputs.problem.records import Problem, Workload


def any_llm_faults(problem: Problem) -> Iterator[Fault]:
    """What a problem asks for beside a choice of LLMs, and cannot have with it."""
    for i, w in enumerate(problem.workloads):
        if isinstance(w.llm, AnyLlm):
            for path, message in _not_covered(problem, w):
                yield located(problem, Fault("", 0, 0, path.format(f"workloads[{i}]"), message))


def _not_covered(problem: Problem, w: Workload) -> Iterator[tuple[str, str]]:
    """(path, `{}` for the workload's; why)."""
    if w.rates is not None:
        yield "{}.rates", "rates do not say which LLM they are of; name one llm"
    for wish in w.latency.queue_wishes:
        why = "one queue before replicas of several LLMs is not judged yet; name one llm"
        yield f"{{}}.latency.{wish.metric}", why
    if shares_gpus(problem):
        yield (
            "policy.share",
            f"gpus is not planned together with any_of yet ({w.name}); name one llm",
        )
    if problem.policy.serving_model == "infrascale":
        yield "policy.serving_model", f"infrascale's formulas are of one LLM ({w.name}); name it"


def refuse_any_llm(problem: Problem, question: str) -> None:
    """Raise InputError where LLMs are chosen and a question cannot be answered for that."""
    for i, w in enumerate(problem.workloads):
        if isinstance(w.llm, AnyLlm):
            message = f"{question} is not answered where LLMs are chosen (any_of) yet"
            raise InputError([located(problem, Fault("", 0, 0, f"workloads[{i}].llm", message))])
