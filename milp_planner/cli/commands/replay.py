"""`milp-planner replay`: the fleet of a plan serves requests one by one."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import inputs_of, read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    Overlays,
    ProblemFile,
    Quiet,
    TimeLimit,
)
from milp_planner.cli.parts.values import read_duration_s

if TYPE_CHECKING:
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.replaying.engine import ReplayRouter
    from milp_planner.replaying.records import Replay, ReplayLoss, ReplayWish

TIME_LIMIT_S = 60.0
HOUR_S = 3600.0
WISH = re.compile(
    r"(?:(?P<who>[^:=]+):)?(?P<metric>[a-z]+)(?:\.(?P<p>p\d\d(?:\.\d)?))?=(?P<time>.+)"
)
LOSS = re.compile(r"(?P<kind>provider|region|offering):(?P<name>.+)")


class RouterName(StrEnum):
    """Which replica a request is sent to."""

    LEAST = "least"
    TWO = "two"
    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    CENTRAL = "central"


def replay(
    file: ProblemFile,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A plan of it, as solve --json wrote it; else solved."),
    ] = None,
    requests: Annotated[int, typer.Option(metavar="N", help="How many in all.")] = 100_000,
    router: Annotated[RouterName, typer.Option(help="Which replica takes a request.")] = (
        RouterName.LEAST
    ),
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    seeds: Annotated[int, typer.Option(help="Replays that intervals are over.")] = 5,
    wish: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC.P=TIME",
            help="A further wish, such as wait.p99=1s; chat:ttft=2s is a mean. May be repeated.",
        ),
    ] = None,
    lose: Annotated[
        str | None,
        typer.Option(metavar="KIND:NAME", help="What is lost, such as provider:runpod."),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(parser=read_duration_s, metavar="TIME", help="When, such as 14h; default 1h."),
    ] = None,
    for_: Annotated[
        float | None,
        typer.Option("--for", parser=read_duration_s, metavar="TIME", help="Default: 1h."),
    ] = None,
    ready_after: Annotated[
        float | None,
        typer.Option(
            parser=read_duration_s, metavar="TIME", help="From switching on to the first request."
        ),
    ] = None,
    interruptions: Annotated[
        float, typer.Option(metavar="N", help="Of each spot replica, a day.")
    ] = 0.0,
    burstiness: Annotated[
        float, typer.Option(help="Variation of the gaps; 1 is Poisson, 2 bursty.")
    ] = 1.0,
    output_cv: Annotated[float, typer.Option(help="Variation of the output tokens.")] = 1.0,
    expected_speed: Annotated[
        bool,
        typer.Option("--expected-speed", help="Replicas as fast as expected, not as planned on."),
    ] = False,
    autoscaler: Annotated[
        bool,
        typer.Option("--autoscaler", help="A threshold autoscaler instead of the plan's hours."),
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A log in CSV: its own arrivals and tokens are sent."),
    ] = None,
    trace_scale: Annotated[
        float, typer.Option(metavar="FACTOR", help="So many times its requests in the same time.")
    ] = 1.0,
    tighten: Annotated[
        bool,
        typer.Option("--tighten", help="Solve for less utilization until every wish is kept."),
    ] = False,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hour by hour, as CSV.")
    ] = None,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Send requests through a plan's fleet; exit 4 where a wish is not kept."""
    from milp_planner.questions.replay import replay as replay_plan
    from milp_planner.questions.solve import solve
    from milp_planner.questions.tighten import tighten as tighten_plan
    from milp_planner.replaying.autoscaler import ScalingRules
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.replay import (
        replay_dict,
        replay_text,
        timeline_csv,
    )
    from milp_planner.reporting.text.wording import usd

    wishes = [_wish(text) for text in wish or ()]
    losses = () if lose is None else (_loss(lose, at or HOUR_S, for_ or HOUR_S),)
    problem = read_problem(file)
    streams.check_output(timeline, inputs_of(problem, file, catalog, overlay))
    known = read_catalog(problem, file, catalog, overlay, as_of)
    if tighten and plan is not None:
        raise typer.BadParameter("--tighten solves again; leave out --plan")

    def replayed(chosen: Plan, asked: Problem) -> Replay:
        return replay_plan(
            chosen,
            asked,
            known,
            requests=requests,
            router=cast("ReplayRouter", str(router)),
            seed=seed,
            seeds=seeds,
            wishes=wishes,
            losses=losses,
            ready_after_s=ready_after or 0.0,
            interruptions_per_day=interruptions,
            burstiness=burstiness,
            output_cv=output_cv,
            expected_speed=expected_speed,
            trace=trace,
            trace_scale=trace_scale,
            autoscaler=ScalingRules() if autoscaler else None,
            time_limit_s=time_limit or TIME_LIMIT_S,
        )

    with streams.progress(f"replaying {problem.name}", quiet=quiet):
        if tighten:
            last = tighten_plan(problem, replayed, known)
            found, targets = last.replay, last.targets
        else:
            chosen = solve(problem, known, alternatives=0) if plan is None else _read_plan(plan)
            found = replayed(chosen, problem) if chosen.status.has_plan else None
            targets = ()
    if found is None:
        at_target = f" at a target of {targets[-1]:.1%}" if len(targets) > 1 else ""
        streams.tell(f"No plan to replay{at_target}; milp-planner solve says why.")
        return exit_codes.INFEASIBLE
    if len(targets) > 1:
        tried = ", ".join(f"{target:.1%}" for target in targets)
        streams.tell(
            f"Utilization targets tried: {tried}; the plan of the last one costs "
            f"{usd(last.plan.cash_usd_per_month or 0.0)} per month."
        )
    if timeline is not None:
        streams.write_file(timeline, timeline_csv(found))
    streams.answer(to_json(replay_dict(found)) if as_json else replay_text(found))
    return exit_codes.FOUND if found.keeps_all_wishes else exit_codes.GATE


def _wish(text: str) -> ReplayWish:
    from milp_planner.replaying.records import METRICS, ReplayMetric, ReplayWish

    found = WISH.fullmatch(text)
    if found is None or found["metric"] not in METRICS:
        metrics = ", ".join(METRICS)
        raise typer.BadParameter(
            f"--wish: {text!r} is none; write wait.p99=1s, or chat:ttft=2s for the mean of one "
            f"workload; of {metrics}"
        )
    share = None if found["p"] is None else float(found["p"][1:]) / 100
    metric = cast("ReplayMetric", found["metric"])
    return ReplayWish(metric, read_duration_s(found["time"]), share, found["who"] or "")


def _loss(text: str, at_s: float, for_s: float) -> ReplayLoss:
    from milp_planner.replaying.records import ReplayLoss

    found = LOSS.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"--lose: {text!r} is none; write provider:NAME, region:NAME or offering:ID"
        )
    return ReplayLoss(found["kind"], found["name"], at_s, for_s)  # type: ignore[arg-type]


def _read_plan(path: Path) -> Plan:
    import json

    from milp_planner.errors import PlannerError
    from milp_planner.plans.records import Plan

    try:
        return Plan.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PlannerError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise PlannerError(f"{path}: is no plan as solve --json writes it ({error})") from None
