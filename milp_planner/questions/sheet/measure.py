"""What to measure first, with the command that does it and the figure that it must print.

The commands are those of vLLM: `vllm serve`, and `vllm bench serve` with random requests of the
planned sizes and a fixed number in flight, which prints `Request throughput (req/s)` and `Mean TPOT
(ms)` (https://docs.vllm.ai/en/latest/cli/bench/serve/). What a lower figure would mean is solved as
`calibrate --problem` would solve it: with the measurement as a row of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput, RatePoint
from milp_planner.deadline import OutOfTime
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Llm, Measurement
from milp_planner.inputs.problem.comparisons import ChoicesAsked
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.plans.measure_next import ESTIMATES, spend_by_route
from milp_planner.plans.records import Plan, Route
from milp_planner.plans.sheet.other_parts import IfSlower, ToMeasure
from milp_planner.questions.deployments.calibrate import setup_of, with_own
from milp_planner.questions.sheet.of_plan import bought
from milp_planner.serving.derate import planning_quantile
from milp_planner.serving.rates.throughput import OperatingPoint, ServingModel
from milp_planner.solving.prepare import prepare
from milp_planner.solving.re_solve import Resolver, score_of
from milp_planner.solving.results import NOT_SOLVED, SearchResult

SLOWER = 0.20
"""How much less a measurement may print for the plan that is told."""

MOST_MEASURED = 3
MOST_SOLVED = 1
"""Measurements of which it is solved what a lower figure means: those with the most at stake."""

PROMPTS_PER_FLIGHT = 10
"""Requests sent for each in flight: the warm-up then weighs little."""

ENGINE = "vllm"
QUANTIZED = {"fp8": " --quantization fp8"}
"""What `vllm serve` is told where the weights are published in another format."""


def measures_of(
    plan: Plan, instance: PlanningInput, today: date, resolver: Resolver | None = None
) -> tuple[ToMeasure, ...]:
    """The rates with the most at stake, each with its commands.

    instance: the problem, its blocks and its catalog. today: of the measurements. resolver: what
    solves what becomes of the plan; without it that is not told.
    """
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
        _to_measure(
            _Run(plan, instance, today, found[key]), resolver if rank < MOST_SOLVED else None
        )
        for rank, key in enumerate(ordered[:MOST_MEASURED])
    )


def not_solved(measures: Sequence[ToMeasure]) -> tuple[ToMeasure, ...]:
    """The same, where no time is left to solve what a lower figure means."""
    late = {"if_slower": _told(NOT_SOLVED, None)}
    first = (one.model_copy(update=late) for one in measures[:MOST_SOLVED])
    return (*first, *measures[MOST_SOLVED:])


class _AtStake(NamedTuple):
    """A rate that the plan rests on, with what is spent on it and lost to not being sure of it."""

    route: Route
    point: RatePoint
    usd: float
    at_stake_usd: float


def _replica(k: Candidate) -> tuple[object, ...]:
    return (k.workload, k.gpu, k.precision, k.tensor_parallel, k.pipeline_parallel)


class _Run(NamedTuple):
    """One measurement to be made of a plan's replica."""

    plan: Plan
    instance: PlanningInput
    today: date
    at_stake: _AtStake

    @property
    def candidate(self) -> Candidate:
        return self.at_stake.route.candidate

    @property
    def llm(self) -> Llm | None:
        k = self.candidate
        return self.instance.catalog.llm(
            k.llm or self.instance.problem.workload(k.workload).llms[0]
        )

    @property
    def settings(self) -> DeploymentSettings:
        return self.instance.problem.workload(self.candidate.workload).deployment

    @property
    def in_flight(self) -> int:
        return max(1, round(self.at_stake.point.concurrency or 1))

    @property
    def planned_requests_per_second(self) -> float:
        """Of one replica, also where the plan counts it in users."""
        demand = self.instance.schedule.demands[self.candidate.workload]
        return self.at_stake.point.requests_per_second * demand.requests_per_unit

    def row(self, requests_per_second: float) -> Measurement:
        """What `calibrate` makes of the file where that is printed, with the planned TPOT."""
        k, q = self.candidate, self.at_stake.route.request_class
        return Measurement.model_validate(
            {
                **setup_of(self.settings),
                "llm": "" if self.llm is None else self.llm.id,
                **{"gpu": k.gpu, "precision": k.precision, "tensor_parallel": k.tensor_parallel},
                **{"input_tokens": q.input_tokens, "output_tokens": q.output_tokens},
                "engine": ENGINE,
                "concurrency": self.in_flight,
                "output_tokens_per_second": requests_per_second * q.output_tokens,
                "tpot_s": self.at_stake.point.tpot_s,
                **{"source": "own measurement", "as_of": self.today},
            }
        )

    @property
    def trusted(self) -> float:
        """The share of an own measurement that plans count on; 1 where it would not be used."""
        k, q = self.candidate, self.at_stake.route.request_class
        if self.llm is None:
            return 1.0
        rows = [self.row(self.planned_requests_per_second)]
        point = ServingModel(with_own(self.instance.catalog, rows)).at(
            self.llm,
            self.instance.catalog.gpus[k.gpu],
            k.precision,
            k.tensor_parallel,
            q.input_tokens,
            q.output_tokens,
            self.in_flight,
            quantile=planning_quantile(self.instance.problem.policy.confidence_share),
            settings=self.settings,
        )
        return point.derate if isinstance(point, OperatingPoint) else 1.0


def _to_measure(run: _Run, resolver: Resolver | None) -> ToMeasure:
    k, q, one = run.candidate, run.at_stake.route.request_class, run.at_stake
    [served] = [w for w in run.plan.workloads if w.name == k.workload]
    planned = run.planned_requests_per_second
    must_print = planned / run.trusted
    return ToMeasure(
        workload=k.workload,
        llm=k.llm or served.llm,
        gpu=k.gpu,
        precision=k.precision,
        tensor_parallel=k.tensor_parallel,
        gpus=k.tensor_parallel * k.pipeline_parallel,
        input_tokens=q.input_tokens,
        output_tokens=q.output_tokens,
        concurrency=run.in_flight,
        requests_per_second=planned,
        must_print_requests_per_second=must_print,
        tpot_s=served.tpot_wish_s,
        usd_per_month=one.usd,
        at_stake_usd_per_month=one.at_stake_usd,
        serve_command=" ".join(_serve(run)),
        bench_command=" ".join(_bench(run)),
        calibrate_command=" ".join(_calibrate(run)),
        if_slower=None if resolver is None else _if_slower(run, resolver, must_print),
    )


def _weights(run: _Run) -> str:
    return (run.llm.hf_id if run.llm else "") or (run.llm.id if run.llm else "LLM")


def _serve(run: _Run) -> Iterator[str]:
    k, settings = run.candidate, run.settings
    native = run.llm.native_precision if run.llm else k.precision
    yield f"vllm serve {_weights(run)}"
    if k.tensor_parallel > 1:
        yield f"--tensor-parallel-size {k.tensor_parallel}"
    if k.pipeline_parallel > 1:
        yield f"--pipeline-parallel-size {k.pipeline_parallel}"
    if k.precision != native and k.precision in QUANTIZED:
        yield QUANTIZED[k.precision].strip()
    if settings.kv_precision == "fp8":
        yield "--kv-cache-dtype fp8"
    if settings.max_sequences is not None:
        yield f"--max-num-seqs {settings.max_sequences}"


def _bench(run: _Run) -> Iterator[str]:
    q = run.at_stake.route.request_class
    yield f"vllm bench serve --model {_weights(run)} --dataset-name random"
    yield f"--random-input-len {round(q.input_tokens)} --random-output-len {round(q.output_tokens)}"
    yield f"--ignore-eos --max-concurrency {run.in_flight}"
    yield f"--num-prompts {PROMPTS_PER_FLIGHT * run.in_flight} --save-result"


def _calibrate(run: _Run) -> Iterator[str]:
    """What says of the file that the benchmark writes what it means for the plan."""
    k, settings = run.candidate, run.settings
    yield "milp-planner calibrate RESULT.json"
    yield f"--llm {'' if run.llm is None else run.llm.id} --gpu {k.gpu}"
    yield f"--precision {k.precision} --tp {k.tensor_parallel}"
    if k.units_joined > 1:
        yield f"--units-per-replica {k.units_joined}"
    if k.pipeline_parallel > 1:
        yield f"--pipeline-parallel {k.pipeline_parallel}"
    if settings.kv_precision != "auto":
        yield f"--kv-precision {settings.kv_precision}"
    if settings.max_sequences is not None:
        yield f"--max-sequences {settings.max_sequences}"
    yield "--problem PROBLEM.yaml"


def _if_slower(run: _Run, resolver: Resolver, must_print: float) -> IfSlower:
    """The best plan where a fifth less is printed."""
    answer = NOT_SOLVED
    if not resolver.is_stopped:
        answer = _measured(run, resolver, must_print * (1 - SLOWER))
    return _told(answer, run.plan)


def _told(answer: SearchResult, plan: Plan | None) -> IfSlower:
    known = answer.plan
    extra_usd = None if known is None or plan is None else score_of(known) - score_of(plan)
    return IfSlower(
        share_less=SLOWER,
        status=answer.status.value,
        cash_usd_per_month=None if known is None else known.cash_usd_per_month,
        extra_usd_per_month=extra_usd,
        fleet=() if known is None else bought(known),
    )


def _measured(run: _Run, resolver: Resolver, requests_per_second: float) -> SearchResult:
    """The best plan with a measurement of one's own."""
    plain = resolver.problem.model_copy(update={"choices": ChoicesAsked()})
    catalog = with_own(resolver.instance.catalog, [run.row(requests_per_second)])
    try:
        with resolver.in_force():
            instance = prepare(plain, catalog)
    except (OutOfTime, InputError):
        return NOT_SOLVED
    return resolver.answer_of(instance, break_ties=True)
