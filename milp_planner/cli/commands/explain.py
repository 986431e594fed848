"""`milp-planner explain`: why something is not in the plan, and what each limit costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.clock import command_began_s
from milp_planner.cli.parts.loading import read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    Overlays,
    ProblemFile,
    Quiet,
    SolverName,
    TimeLimit,
    choice_of,
)
from milp_planner.cli.parts.signals import signals_exit_at_once
from milp_planner.cli.parts.values import read_share
from milp_planner.deadline import counted_from

if TYPE_CHECKING:
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.solving.checks.arguments import SolverChoice

OfferingName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Why not this offering? A name or a pattern.")
]
GpuName = Annotated[str | None, typer.Option(metavar="NAME", help="Why not this GPU type?")]
ProviderName = Annotated[str | None, typer.Option(metavar="NAME", help="Why not this provider?")]
AskLimits = Annotated[bool, typer.Option("--limits", help="What does each limit cost?")]


def explain(
    file: ProblemFile,
    offering: OfferingName = None,
    gpu: GpuName = None,
    provider: ProviderName = None,
    share: Annotated[
        float | None,
        typer.Option(
            parser=read_share,
            metavar="SHARE",
            help="Of a workload, that it is to serve, e.g. 30%; a provider: 100%.",
        ),
    ] = None,
    limits: AskLimits = False,
    as_json: AsJson = False,
    time_limit: TimeLimit = None,
    solver: SolverName = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Say why something is not in the plan, and what each limit costs; all by solving again."""
    subjects = {"offering": offering, "gpu": gpu, "provider": provider}
    asked = [name for name, value in subjects.items() if value is not None]
    if len(asked) + limits != 1:
        raise typer.BadParameter("give one of --offering, --gpu, --provider and --limits")
    if limits and share is not None:
        raise typer.BadParameter("--share is of an offering, a GPU type or a provider")
    began_s = command_began_s()
    problem = read_problem(file)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    doing = f"solving {problem.name} again and again"
    with streams.progress(doing, quiet=quiet), counted_from(began_s):
        if limits:
            plan, text, document = _limit_costs(problem, known, time_limit, choice_of(solver))
        else:
            plan, text, document = _why_not(
                problem, known, subjects, share, time_limit, choice_of(solver)
            )
    if as_json:
        from milp_planner.reporting.documents.json import to_json

        streams.answer(to_json(document))
    else:
        streams.answer_report(text)
    return _exit_code_of(plan)


def _limit_costs(
    problem: Problem, known: Catalog, time_limit_s: float | None, solver: SolverChoice | None
) -> tuple[Plan, str, dict[str, Any]]:
    with signals_exit_at_once():
        from milp_planner.questions.reasons.limit_costs import explain_limits
    from milp_planner.reporting.text.plans.table import plan_text
    from milp_planner.reporting.text.questions.explain import limit_costs_text

    costs = explain_limits(problem, known, time_limit_s=time_limit_s, solver=solver)
    has_plan = costs.plan.status.has_plan
    text = limit_costs_text(costs) if has_plan else plan_text(costs.plan)
    return costs.plan, text, costs.to_dict()


def _why_not(
    problem: Problem,
    known: Catalog,
    subjects: dict[str, str | None],
    share: float | None,
    time_limit_s: float | None,
    solver: SolverChoice | None,
) -> tuple[Plan, str, dict[str, Any]]:
    with signals_exit_at_once():
        from milp_planner.questions.reasons.explain import explain as why_not
    from milp_planner.questions.reasons.explain import why_not_dict
    from milp_planner.reporting.text.questions.explain import why_not_text

    why = why_not(
        problem,
        known,
        offering=subjects["offering"],
        gpu=subjects["gpu"],
        provider=subjects["provider"],
        share=share,
        time_limit_s=time_limit_s,
        solver=solver,
    )
    return why.plan, why_not_text(why), why_not_dict(why)


def _exit_code_of(plan: Plan) -> int:
    from milp_planner.plans.records import Status

    if plan.status.has_plan:
        return exit_codes.FOUND
    return exit_codes.INFEASIBLE if plan.status is Status.INFEASIBLE else exit_codes.NO_PLAN
