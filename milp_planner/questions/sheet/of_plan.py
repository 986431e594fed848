"""The parts of a sheet that tell the plan itself: question, answer, purchases, hours, proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date

from milp_planner.candidates.records import Candidate, PlanningInput, gpus_of_unit
from milp_planner.candidates.sharing.shared_units import SharedUnits, gpus_on
from milp_planner.milp.program.families import limits_of
from milp_planner.plans.consequences import age_days, stale_prices
from milp_planner.plans.document import diagnosis_dict
from milp_planner.plans.records import Plan, Purchase, WorkloadPlan
from milp_planner.plans.sentences import reason_lines
from milp_planner.plans.sheet.no_plan import SheetDiagnosis
from milp_planner.plans.sheet.plan_parts import (
    BlockShown,
    Bought,
    CommitmentShown,
    EngineSaid,
    HoursByUnits,
    LimitAsked,
    ProofShown,
    QuestionAsked,
    SharedUnitShown,
    SheetAnswer,
    SheetPurchase,
    SourcesShown,
    StaleSpend,
    StandingShown,
    WorkloadAsked,
    WorkloadServed,
)
from milp_planner.traffic.month import hours_per_month


def question_of(instance: PlanningInput) -> QuestionAsked:
    """What was asked, in the rates that traffic becomes."""
    problem = instance.problem
    return QuestionAsked(
        workloads=tuple(_asked(instance)),
        limits=tuple(
            LimitAsked(path=limit.path, value=limit.said)
            for limit in limits_of(instance)
            if not limit.by_default
        ),
        utilization_target=problem.policy.utilization.planned,
        hours_per_month=hours_per_month(problem),
        today_usd_per_month=problem.today.usd_per_month,
        objective=problem.objective,
    )


def _asked(instance: PlanningInput) -> Iterator[WorkloadAsked]:
    for w in instance.problem.workloads:
        demand = instance.schedule.demands[w.name]
        requests = [
            instance.schedule.requests_per_month(w.name, t)
            for t in range(len(instance.schedule.blocks))
        ]
        tokens = sum(q.share * (q.input_tokens + q.output_tokens) for q in demand.classes)
        yield WorkloadAsked(
            name=w.name,
            llm=w.llm_words,
            peak=max(demand.peak, default=0.0),
            unit=demand.unit,
            tokens_per_month=sum(requests) * tokens,
            request_sizes=tuple(q.name for q in demand.classes),
            tpot_wish_s=w.latency.tpot_limit_s,
            ttft_wish_s=w.latency.ttft_limit_s,
        )


def bought(plan: Plan) -> tuple[Bought, ...]:
    """The fleet in short."""
    return tuple(
        Bought(
            workload=p.candidate.workload,
            units=p.units,
            gpus_per_unit=p.candidate.gpus_per_unit,
            gpu=p.candidate.gpu,
            provider=p.candidate.provider,
            billing=p.candidate.mode.name,
            requests_share=p.requests_share if p.candidate.mode.per_token else None,
            part_of_gpus=gpus_of_unit(p.candidate) if p.candidate.part_of_unit else 0,
        )
        for p in plan.purchases
    )


def answer_of(plan: Plan, today: date, stale_after_days: float) -> SheetAnswer:
    """The answer in figures, with what rests on prices that are old on a day."""
    penalties = dict.fromkeys(name for w in plan.workloads for name in w.penalties)
    return SheetAnswer(
        status=plan.status.value,
        cash_usd_per_month=plan.cash_usd_per_month,
        score_usd_per_month=plan.score_usd_per_month,
        lower_bound_usd_per_month=plan.lower_bound_usd_per_month,
        gap=plan.gap,
        usd_per_million_tokens=plan.usd_per_million_tokens,
        gpus=plan.gpus,
        providers=plan.providers,
        fleet=bought(plan),
        commitment_usd=sum(p.commitment_usd for p in plan.purchases),
        penalties_usd_per_month={
            name: sum(w.penalties.get(name, 0.0) for w in plan.workloads) for name in penalties
        },
        stale_prices=_stale(plan, today, stale_after_days),
        commitments=tuple(
            CommitmentShown(**asdict(one), unused=one.unused, share=one.share)
            for one in plan.commitments
        ),
        reasons=tuple(reason_lines(plan)),
    )


def _stale(plan: Plan, today: date, stale_after_days: float) -> StaleSpend | None:
    paid = [(p.candidate.offering, p.cash_usd_per_month) for p in plan.purchases]
    found = stale_prices(paid, plan.cash_usd_per_month or 0.0, stale_after_days, today)
    if found is None:
        return None
    return StaleSpend(
        **asdict(found),
        share=found.share,
        rise=found.rise,
        if_risen_usd_per_month=found.if_risen_usd_per_month,
    )


def diagnosis_of(plan: Plan) -> SheetDiagnosis | None:
    """What would give a plan, where there is none and it was asked."""
    if plan.diagnosis is None:
        return None
    return SheetDiagnosis.model_validate(diagnosis_dict(plan.diagnosis))


def purchases_of(plan: Plan, today: date) -> tuple[SheetPurchase, ...]:
    """Every purchase, with the age of its price on a day."""
    return tuple(_purchase(p, today) for p in plan.purchases)


def _purchase(p: Purchase, today: date) -> SheetPurchase:
    k = p.candidate
    return SheetPurchase(
        workload=k.workload,
        units=p.units,
        gpus=p.gpus,
        gpus_per_unit=k.gpus_per_unit,
        gpu=k.gpu,
        precision=k.precision,
        tensor_parallel=k.tensor_parallel,
        pipeline_parallel=k.pipeline_parallel,
        units_joined=k.units_joined,
        replicas=p.units * k.replicas_per_unit,
        provider=k.provider,
        offering=k.offering.id,
        region=k.region,
        billing=k.mode.name,
        unit_hours_per_month=p.unit_hours,
        usd_per_gpu_hour=None if k.mode.per_token else k.usd_per_hour / max(1, k.gpus_per_unit),
        cash_usd_per_month=p.cash_usd_per_month,
        requests_share=p.requests_share,
        commitment_usd=p.commitment_usd,
        price_date=k.offering.as_of.isoformat(),
        price_age_days=age_days(k.offering, today),
        price_note=k.offering.price_note,
        rate_sources=k.sources,
        hours_by_block=p.hours_by_block,
        units_by_block=p.units_by_block,
        part_of_gpus=gpus_of_unit(k) if k.part_of_unit else 0,
    )


def shared_of(plan: Plan) -> tuple[SharedUnitShown, ...]:
    """Which replicas stand on which of the units that they share."""
    return tuple(row for one in plan.shared_units for row in _shared(plan, one))


def _shared(plan: Plan, one: SharedUnits) -> Iterator[SharedUnitShown]:
    k = one.candidate
    for blocks, units, contents in one.alike:
        in_all = len(blocks) == len(plan.blocks)
        yield SharedUnitShown(
            offering=k.offering.id,
            provider=k.provider,
            billing=k.mode.name,
            gpu=k.gpu,
            gpus_per_unit=k.gpus_per_unit,
            blocks=() if in_all else tuple(plan.blocks[t].name for t in blocks),
            units=units,
            idle_gpus=k.gpus_per_unit - gpus_on(contents),
            stands=tuple(
                StandingShown(
                    workload=replica.workload,
                    replicas=count,
                    precision=replica.precision,
                    tensor_parallel=replica.tensor_parallel,
                    **_part_of_gpu(replica),
                )
                for replica, count in contents
            ),
        )


def _part_of_gpu(k: Candidate) -> dict[str, float]:
    if k.gpu_set is None:
        return {}
    shares = k.gpu_set.time_share(k.workload), k.gpu_set.memory_share(k.workload)
    return dict(zip(("time_share", "memory_share"), shares, strict=True))


def workloads_of(plan: Plan) -> tuple[WorkloadServed, ...]:
    """How each workload fares."""
    return tuple(_served(w) for w in plan.workloads)


def _served(w: WorkloadPlan) -> WorkloadServed:
    return WorkloadServed(
        name=w.name,
        llm=w.llm,
        peak=w.peak_requests_per_second,
        capacity=w.capacity_requests_per_second,
        unit=w.unit,
        utilization=w.utilization,
        utilization_limit=w.utilization_limit,
        band=w.band.value,
        tpot_s=w.tpot_s,
        tpot_wish_s=w.tpot_wish_s,
        ttft_s=w.ttft_s,
        ttft_wish_s=w.ttft_wish_s,
        ttft_verified=w.ttft_verified,
        shortfall_share=w.shortfall_share,
        cash_usd_per_month=w.cash_usd_per_month,
        usd_per_million_tokens=w.usd_per_million_tokens,
    )


def hours_of(plan: Plan) -> HoursByUnits:
    """When units run; the units themselves stand beside the purchases."""
    return HoursByUnits(
        blocks=tuple(BlockShown(name=b.name, hours=b.hours) for b in plan.blocks),
        block_by_hour=plan.block_by_hour,
        billing_idle_usd_per_month=plan.billing_idle_usd,
        capacity_idle=plan.capacity_idle,
    )


def proof_of(plan: Plan, *, reproducible: bool = False) -> ProofShown:
    """How the answer is known; without seconds where equal questions must give equal bytes."""
    proof = plan.proof
    return ProofShown(
        certified=proof.certified,
        certified_by=proof.certified_by,
        unconfirmed=proof.unconfirmed,
        engines=tuple(
            EngineSaid(name=e.name, version=e.version, status=e.status) for e in proof.engines
        ),
        notes=proof.notes,
        rows=proof.rows,
        columns=proof.columns,
        seconds=None if reproducible else proof.seconds,
        seed=plan.provenance.seed,
        gap_asked=plan.provenance.gap_asked,
    )


def sources_of(plan: Plan) -> SourcesShown:
    """What the answer was made from."""
    origin = plan.provenance
    return SourcesShown(
        catalog_name=origin.catalog_name,
        catalog_version=origin.catalog_version,
        catalog_sha256=origin.catalog_sha256,
        overrides=origin.overrides,
        oldest_price=origin.oldest_price,
        problem_sha256=origin.problem_sha256,
        planner_version=origin.planner_version,
        not_included=plan.not_included,
    )
