"""What to measure first, with the command that does it and the figure that it must print.

The commands are those of vLLM: `vllm serve`, and `vllm bench serve` with random requests of the
planned sizes and a fixed number in flight, which prints `Request throughput (req/s)` and `Mean TPOT
(ms)` (https://docs.vllm.ai/en/latest/cli/bench/serve/).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput, RatePoint
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.plans.measure_next import ESTIMATES, spend_by_route
from milp_planner.plans.records import Plan, Route
from milp_planner.plans.sheet.other_parts import IfSlower, ToMeasure
from milp_planner.questions.sheet.of_plan import bought
from milp_planner.solving.re_solve import Resolver, score_of
from milp_planner.solving.results import NOT_SOLVED

SLOWER = 0.20
"""How much less a measurement may print for the plan that is told."""

MOST_MEASURED = 3
PROMPTS_PER_FLIGHT = 10
"""Requests sent for each in flight: the warm-up then weighs little."""

QUANTIZED = {"fp8": " --quantization fp8"}
"""What `vllm serve` is told where the weights are published in another format."""


def measures_of(
    plan: Plan, catalog: Catalog, resolver: Resolver | None = None
) -> tuple[ToMeasure, ...]:
    """The rates with the most at stake, each with its command; what becomes of the plan is solved
    where there is a resolver."""
    found: dict[tuple[object, ...], _AtStake] = {}
    for route, point, usd in spend_by_route(plan):
        if point.source not in ESTIMATES or not point.concurrency:
            continue
        key = (*_replica(route.candidate), route.request_class.name)
        one = found.get(key, _AtStake(route, point, 0.0, 0.0))
        at_stake = one.at_stake_usd + usd * (1 - point.derate)
        found[key] = _AtStake(route, point, one.usd + usd, at_stake)
    ordered = sorted(found, key=lambda key: (-found[key].at_stake_usd, str(key)))
    return tuple(
        _to_measure(plan, catalog, found[key], resolver) for key in ordered[:MOST_MEASURED]
    )


class _AtStake(NamedTuple):
    """A rate that the plan rests on, with what is spent on it and lost to not being sure of it."""

    route: Route
    point: RatePoint
    usd: float
    at_stake_usd: float


def _replica(k: Candidate) -> tuple[object, ...]:
    return (k.workload, k.gpu, k.precision, k.tensor_parallel, k.pipeline_parallel)


def _to_measure(
    plan: Plan, catalog: Catalog, one: _AtStake, resolver: Resolver | None
) -> ToMeasure:
    route, point = one.route, one.point
    k, q = route.candidate, route.request_class
    [served] = [w for w in plan.workloads if w.name == k.workload]
    llm = catalog.llm(served.llm)
    weights = (llm.hf_id if llm else "") or served.llm
    in_flight = max(1, round(point.concurrency or 1))
    native = llm.native_precision if llm else k.precision
    return ToMeasure(
        workload=k.workload,
        llm=served.llm,
        gpu=k.gpu,
        precision=k.precision,
        tensor_parallel=k.tensor_parallel,
        gpus=k.tensor_parallel * k.pipeline_parallel,
        input_tokens=q.input_tokens,
        output_tokens=q.output_tokens,
        concurrency=in_flight,
        requests_per_second=point.requests_per_second,
        tpot_s=served.tpot_wish_s,
        usd_per_month=one.usd,
        at_stake_usd_per_month=one.at_stake_usd,
        serve_command=" ".join(_serve(k, weights, native)),
        bench_command=" ".join(_bench(weights, q.input_tokens, q.output_tokens, in_flight)),
        if_slower=None if resolver is None else _if_slower(resolver, plan, route, point),
    )


def _serve(k: Candidate, weights: str, native: str) -> Iterator[str]:
    yield f"vllm serve {weights}"
    if k.tensor_parallel > 1:
        yield f"--tensor-parallel-size {k.tensor_parallel}"
    if k.pipeline_parallel > 1:
        yield f"--pipeline-parallel-size {k.pipeline_parallel}"
    if k.precision != native and k.precision in QUANTIZED:
        yield QUANTIZED[k.precision].strip()


def _bench(weights: str, input_tokens: float, output_tokens: float, in_flight: int) -> list[str]:
    return [
        f"vllm bench serve --model {weights} --dataset-name random",
        f"--random-input-len {round(input_tokens)} --random-output-len {round(output_tokens)}",
        f"--ignore-eos --max-concurrency {in_flight}",
        f"--num-prompts {PROMPTS_PER_FLIGHT * in_flight} --save-result",
    ]


def _if_slower(resolver: Resolver, plan: Plan, route: Route, point: RatePoint) -> IfSlower:
    """The best plan where this replica serves this class a fifth slower than planned."""
    answer = NOT_SOLVED
    if not resolver.is_stopped:
        slower = slowed(resolver.instance, route, 1 - SLOWER)
        answer = resolver.answer_of(slower, break_ties=True)
    known = answer.plan
    return IfSlower(
        share_less=SLOWER,
        status=answer.status.value,
        cash_usd_per_month=None if known is None else known.cash_usd_per_month,
        extra_usd_per_month=None if known is None else score_of(known) - score_of(plan),
        fleet=() if known is None else bought(known),
    )


def slowed(instance: PlanningInput, route: Route, factor: float) -> PlanningInput:
    """The same with every candidate of one replica serving one request class at another rate."""
    mine = _replica(route.candidate)

    def changed(k: Candidate) -> Candidate:
        if _replica(k) != mine or k.mode.per_token:
            return k
        at = k.classes.index(route.request_class)
        points = tuple(
            replace(p, requests_per_second=p.requests_per_second * factor) if i == at else p
            for i, p in enumerate(k.points)
        )
        return replace(k, points=points)

    candidates = tuple(changed(k) for k in instance.candidates.candidates)
    return replace(instance, candidates=replace(instance.candidates, candidates=candidates))
