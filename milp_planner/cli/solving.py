"""`milp-planner solve`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milp_planner.cli import exit_codes, streams
from milp_planner.cli.loading import read_catalog, read_problem
from milp_planner.cli.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    DifferBy,
    Overlays,
    ProblemFile,
    Quiet,
    Solver,
    read_alternatives,
    read_days,
    read_duration_s,
    read_gap,
    read_usd,
)
from milp_planner.cli.signals import signals_exit_at_once

if TYPE_CHECKING:
    from milp_planner.inputs.problem import Problem
    from milp_planner.planning.plan import Plan

SUFFIX_FORMATS = {".json": "json", ".csv": "csv"}


def solve(
    file: ProblemFile,
    as_json: AsJson = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="text, json or csv; default: by --output."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the plan here.")
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(parser=read_duration_s, metavar="TIME", help="Stop after, e.g. 60s."),
    ] = None,
    gap: Annotated[
        float | None,
        typer.Option(parser=read_gap, metavar="SHARE", help="Good enough, e.g. 1%."),
    ] = None,
    alternatives: Annotated[
        int | None,
        typer.Option(parser=read_alternatives, metavar="N", help="Next-best plans to look for."),
    ] = None,
    differ_by: Annotated[
        DifferBy | None, typer.Option(help="What must differ between alternatives.")
    ] = None,
    per_workload: Annotated[
        bool, typer.Option("--per-workload", help="Alternatives must differ for each workload.")
    ] = False,
    solver: Annotated[
        Solver | None, typer.Option(help="Which engines; default: both, one certifies the other.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(parser=read_usd, metavar="USD", help="Exit 4 above this cost per month."),
    ] = None,
    max_price_age: Annotated[
        float | None,
        typer.Option(parser=read_days, metavar="DAYS", help="Exit 4 on older prices, e.g. 60d."),
    ] = None,
    fail_on_estimates: Annotated[
        bool, typer.Option("--fail-on-estimates", help="Exit 4 if a rate used is not measured.")
    ] = False,
    require_optimal: Annotated[
        bool, typer.Option("--require-optimal", help="Exit 5 if stopped before the proof.")
    ] = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    reproducible: Annotated[
        bool, typer.Option("--reproducible", help="Leave out seconds: equal bytes every time.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Find the cheapest fleet, with proof."""
    with signals_exit_at_once():
        from milp_planner.planning.planner import solve as find_plan
    from milp_planner.reporting.formats import FORMATS
    from milp_planner.reporting.options import ReportOptions

    format_name = chosen_format(format_, as_json, output)
    streams.check_output(output, [file])
    problem = with_alternatives(read_problem(file), alternatives, differ_by, per_workload)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    with streams.progress(f"planning {problem.name}", quiet=quiet):
        plan = find_plan(problem, known, time_limit_s=time_limit, gap=gap, solver=solver)
    streams.warn(plan.warnings, quiet=quiet)
    gates = Gates(max_cost, max_price_age, fail_on_estimates, as_of or date.today())
    failed = tuple(gates.failures(plan))
    report = ReportOptions(reproducible=reproducible, failed_gates=failed)
    _put(FORMATS[format_name](plan, report), format_name, output)
    for failure in failed:
        streams.tell(failure)
    return exit_code(plan, bool(failed), require_optimal)


def _put(text: str, format_name: str, output: Path | None) -> None:
    if output is not None:
        streams.write_file(output, text)
    elif format_name == "text":
        streams.answer_report(text)
    else:
        streams.answer(text)


def chosen_format(name: str | None, as_json: bool, output: Path | None) -> str:
    """The format asked for: by name, by --json, by the output's suffix, else text."""
    from milp_planner.reporting.formats import FORMATS

    if as_json and name not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {name} contradict each other")
    by_suffix = SUFFIX_FORMATS.get(output.suffix.lower(), "text") if output else "text"
    chosen = name or ("json" if as_json else by_suffix)
    if chosen not in FORMATS:
        raise typer.BadParameter(f"--format: {chosen!r} is not one of {', '.join(FORMATS)}")
    return chosen


def with_alternatives(
    problem: Problem, count: int | None, differ_by: DifferBy | None, per_workload: bool
) -> Problem:
    """The problem with what the command line says about alternatives."""
    asked = {
        name: value
        for name, value in (
            ("count", count),
            ("differ_by", None if differ_by is None else differ_by.value),
            ("per_workload", per_workload or None),
        )
        if value is not None
    }
    if not asked:
        return problem
    alternatives = problem.alternatives.model_copy(update=asked)
    return problem.model_copy(update={"alternatives": alternatives})


def exit_code(plan: Plan, gate_failed: bool, require_optimal: bool) -> int:
    """What the shell is told about a plan; a missing proof is told before a failed gate."""
    from milp_planner.planning.plan import Status

    if plan.status is Status.INFEASIBLE:
        return exit_codes.INFEASIBLE
    if plan.status is Status.NO_PLAN:
        return exit_codes.NO_PLAN
    if require_optimal and not is_proven(plan):
        streams.tell("Not proven: the solvers stopped before the proof that --require-optimal asks")
        return exit_codes.UNPROVEN
    return exit_codes.GATE if gate_failed else exit_codes.FOUND


def is_proven(plan: Plan) -> bool:
    """True when the plan is optimal, or within a gap that was asked for."""
    asked = plan.provenance.gap_asked
    return plan.gap is not None and (plan.gap == 0 or 0 < plan.gap <= asked)


@dataclass(frozen=True)
class Gates:
    """What a plan must keep to be let through; each is off unless given."""

    max_cost_usd: float | None
    max_price_age_days: float | None
    fail_on_estimates: bool
    today: date

    def failures(self, plan: Plan) -> Iterator[str]:
        """Every gate that fails, in words with both numbers."""
        if plan.status.has_plan:
            yield from self._cost(plan)
            yield from self._age(plan)
            yield from self._estimates(plan)

    def _cost(self, plan: Plan) -> Iterator[str]:
        from milp_planner.planning.plan import Status, exceeds
        from milp_planner.reporting.wording import usd

        limit, cost = self.max_cost_usd, plan.cash_usd_per_month
        if limit is None or cost is None or not exceeds(cost, limit):
            return
        which = "cheapest plan" if plan.status is Status.OPTIMAL else "best plan found"
        yield (
            f"Over the limit: the {which} costs {usd(cost)} per month, "
            f"{usd(cost - limit)} above --max-cost {limit:.10g}."
        )

    def _age(self, plan: Plan) -> Iterator[str]:
        limit = self.max_price_age_days
        if limit is None:
            return
        offerings = {p.candidate.offering.key: p.candidate.offering for p in plan.purchases}
        ages = {key: (self.today - o.as_of).days for key, o in offerings.items()}
        old = sorted(key for key, age in ages.items() if age > limit)
        if old:
            plural = "s" if len(old) > 1 else ""
            days = max(ages[key] for key in old)
            yield (
                f"Old prices: prices of {len(old)} used offering{plural} are up to {days} days old "
                f"(limit {limit:g}): {', '.join(offering for offering, _ in old)}"
            )

    def _estimates(self, plan: Plan) -> Iterator[str]:
        if not self.fail_on_estimates:
            return
        points = [point for p in plan.purchases for point in p.candidate.serving_points]
        estimates = [point for point in points if point.source != "measured"]
        if estimates:
            sources = ", ".join(sorted({point.source for point in estimates}))
            yield (
                f"Estimates: {len(estimates)} of {len(points)} throughput rows used are "
                f"not measured ({sources})."
            )
