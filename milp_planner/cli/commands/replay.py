"""`milp-planner replay`: the fleet of a plan serves requests one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts import replay_options as options
from milp_planner.cli.parts.bars import counted_and_read
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
from milp_planner.cli.parts.plan_documents import read_plan_only
from milp_planner.cli.parts.values import read_duration_s

if TYPE_CHECKING:
    from milp_planner.plans.records import Plan
    from milp_planner.replaying.engine import ReplayRouter
    from milp_planner.replaying.records import ReplayLoss, ReplayWish

TIME_LIMIT_S = 60.0
HOUR_S = 3600.0
WISH = re.compile(
    r"(?:(?P<who>[^:=]+):)?(?P<metric>[a-z]+)(?:\.(?P<p>p\d\d(?:\.\d)?))?=(?P<time>.+)"
)
LOSS = re.compile(r"(?P<kind>provider|region|offering):(?P<name>.+)")


def replay(
    file: ProblemFile,
    plan: options.PlanToReplay = None,
    requests: options.RequestCount = 100_000,
    router: options.Router = None,
    seed: options.FirstSeed = 1,
    seeds: options.SeedCount = 5,
    wish: options.FurtherWishes = None,
    lose: options.Lost = None,
    at: options.LostAt = None,
    for_: options.LostFor = None,
    ready_after: options.ReadyAfter = None,
    interruptions: options.Interruptions = None,
    burstiness: options.Burstiness = None,
    output_cv: options.OutputCv = 1.0,
    expected_speed: options.ExpectedSpeed = False,
    autoscaler: options.Autoscaler = False,
    trace: options.TraceFile = None,
    trace_scale: options.TraceScale = 1.0,
    tighten: options.Tighten = False,
    timeline: options.TimelineFile = None,
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

    wishes = [_wish(text) for text in wish or ()]
    losses = () if lose is None else (_loss(lose, at, for_),)
    problem = read_problem(file)
    streams.check_output(timeline, inputs_of(problem, file, catalog, overlay))
    known = read_catalog(problem, file, catalog, overlay, as_of)
    if tighten and plan is not None:
        raise typer.BadParameter("--tighten solves again; leave out --plan")
    replayed = partial(
        replay_plan,
        catalog=known,
        requests=requests,
        router=None if router is None else cast("ReplayRouter", str(router)),
        seed=seed,
        seeds=seeds,
        wishes=wishes,
        losses=losses,
        ready_after_s=ready_after,
        interruptions_per_day=interruptions,
        burstiness=burstiness,
        output_cv=output_cv,
        expected_speed=expected_speed,
        trace=trace,
        trace_scale=trace_scale,
        autoscaler=ScalingRules() if autoscaler else None,
        time_limit_s=time_limit or TIME_LIMIT_S,
    )
    targets: tuple[float, ...] = ()
    with counted_and_read(f"replaying {problem.name}", requests, quiet=quiet) as done:
        replayed = partial(replayed, progress=done)
        if tighten:
            last = tighten_plan(problem, replayed, known)
            chosen, found, targets = last.plan, last.replay, last.targets
        else:
            chosen = (
                solve(problem, known, alternatives=0) if plan is None else read_plan_only(str(plan))
            )
            found = replayed(chosen, problem) if chosen.status.has_plan else None
    if found is None:
        from milp_planner.reporting.text.wording import percent

        at_target = f" at a target of {percent(targets[-1], 1)}" if len(targets) > 1 else ""
        streams.tell(f"No plan to replay{at_target}; milp-planner solve says why.")
        return exit_codes.INFEASIBLE
    _tell_targets(targets, chosen)
    if timeline is not None:
        streams.write_file(timeline, timeline_csv(found))
    streams.answer(to_json(replay_dict(found)) if as_json else replay_text(found))
    return exit_codes.FOUND if found.keeps_all_wishes else exit_codes.GATE


def _tell_targets(targets: Sequence[float], last: Plan) -> None:
    """The targets that were tried, where there were several, and what the last plan costs."""
    from milp_planner.reporting.text.wording import percent, usd

    if len(targets) > 1:
        tried = ", ".join(percent(target, 1) for target in targets)
        streams.tell(
            f"Utilization targets tried: {tried}; the plan of the last one costs "
            f"{usd(last.cash_usd_per_month or 0.0)} per month."
        )


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


def _loss(text: str, at_s: float | None, for_s: float | None) -> ReplayLoss:
    from milp_planner.replaying.records import ReplayLoss

    found = LOSS.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"--lose: {text!r} is none; write provider:NAME, region:NAME or offering:ID"
        )
    at_s, for_s = (HOUR_S if given is None else given for given in (at_s, for_s))
    return ReplayLoss(found["kind"], found["name"], at_s, for_s)  # type: ignore[arg-type]
