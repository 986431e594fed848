"""The plan as plain text: the answer first, every total the sum of its rows, no boxes.

It survives a paste into a chat or a sheet, and never asks how wide the terminal is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from milp_planner.candidates.records import Candidate
from milp_planner.plans.measure_next import measure_next
from milp_planner.plans.reasons import BatchesDone, FewestGpusFirst, LlmsChosen, NoFleet
from milp_planner.plans.records import Plan, Provenance, Purchase, Status, WorkloadPlan
from milp_planner.plans.sentences import first_reason, reason_lines, sentence
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.text.plans.alternatives import alternative_lines
from milp_planner.reporting.text.plans.amounts import cash_rows, penalty_rows, shown_decimals
from milp_planner.reporting.text.plans.engines import engine_lines
from milp_planner.reporting.text.plans.fleet_facts import (
    UNITS,
    change_lines,
    commitment_lines,
    resilience_lines,
    stale_lines,
)
from milp_planner.reporting.text.plans.futures import futures_answer, futures_lines
from milp_planner.reporting.text.plans.hours import when_lines
from milp_planner.reporting.text.plans.proofs import FOR_GPUS, proof_words
from milp_planner.reporting.text.plans.shared import shared_lines
from milp_planner.reporting.text.price_ages import age_words
from milp_planner.reporting.text.wording import (
    apportion,
    columns,
    count,
    duration,
    escape,
    fine_percent,
    hours,
    money,
    number,
    percent,
    plural,
    prices,
    usd,
    usd_per_million,
)

SHA_DIGITS = 8


def plan_text(plan: Plan, options: ReportOptions = DEFAULTS) -> str:
    """The whole report, ending in a line break."""
    return _joined(
        [
            [headline(plan, options), *stale_lines(plan), *resilience_lines(plan)],
            [] if plan.futures is None else [*futures_lines(plan.futures)],
            *sections(plan, options),
        ]
    )


def body_text(plan: Plan, options: ReportOptions = DEFAULTS) -> str:
    """The report below its headline, ending in a line break."""
    return _joined(sections(plan, options))


def _joined(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def sections(plan: Plan, options: ReportOptions) -> list[list[str]]:
    """The lines below the headline, in sections; one that has nothing to say is empty."""
    return [
        [*_reason_lines(plan)],
        [*_fleet_lines(plan)],
        [*shared_lines(plan)],
        [*commitment_lines(plan), *change_lines(plan)],
        [*_workload_lines(plan)],
        [*_price_lines(plan)],
        [*alternative_lines(plan)],
        [*_range_lines(options)],
        [*_footer_lines(plan)],
    ]


def report_of_fleet(plan: Plan) -> list[str]:
    """The fleet table and how each workload fares, without proof or alternatives."""
    prices_told = [*_price_lines(plan)]
    gap = [""] if prices_told else []
    return [*_fleet_lines(plan), "", *_workload_lines(plan), *gap, *prices_told]


def headline(plan: Plan, options: ReportOptions) -> str:
    """The answer on one line."""
    answer = _no_answer(plan) if plan.cash_usd_per_month is None else _answer(plan)
    if plan.futures is not None:
        answer = futures_answer(plan.futures, proven=plan.status is Status.OPTIMAL)
    return f"{answer}      {', '.join(_proof_words(plan, options))}".rstrip()


def _answer(plan: Plan) -> str:
    cash, score = plan.cash_usd_per_month, plan.score_usd_per_month
    assert cash is not None
    assert score is not None
    word = "Optimal plan" if plan.status is Status.OPTIMAL else "Best plan found"
    if any(isinstance(warning, FewestGpusFirst) for warning in plan.warnings):
        word += FOR_GPUS
    per_token = plan.usd_per_million_tokens
    tokens = "" if per_token is None else f" ({usd_per_million(per_token)} per 1M tokens)"
    penalties = sum(amount for _, amount in penalty_rows(plan))
    extra = f", and {usd(penalties)} of penalties" if penalties else ""
    return f"{word}: {usd(cash, shown_decimals(plan))} per month{tokens}{extra}"


def _no_answer(plan: Plan) -> str:
    if plan.status is Status.NO_PLAN:
        return "No plan found before the solvers stopped, which does not prove that there is none."
    reason = first_reason(plan) or sentence(NoFleet())
    return f"No plan: {escape(reason).rstrip('.')}."


def _proof_words(plan: Plan, options: ReportOptions) -> Iterator[str]:
    yield from proof_words(plan.proof, plan.status, plan.gap, plan.provenance.gap_asked)
    if plan.status in (Status.FEASIBLE, Status.NO_PLAN) and plan.bound is not None:
        yield f"no plan scores below {usd(plan.bound)}"
    if not options.reproducible and plan.proof.engines:
        yield f"{plan.proof.seconds:.1f} s"


def _reason_lines(plan: Plan) -> Iterator[str]:
    yield from (f"  {escape(reason)}" for reason in reason_lines(plan)[1:])
    if plan.status is Status.INFEASIBLE and plan.turned_down:
        turned_down = plural(len(plan.turned_down), "offering")
        yield f"  {turned_down} turned down; milp-planner candidates gives each its reason."


def _fleet_lines(plan: Plan) -> list[str]:
    if plan.cash_usd_per_month is None:
        return []
    shown_hours = any(_is_part_time(p) for p in plan.purchases)
    shown_ages = any(p.price_age_days is not None for p in plan.purchases)
    head = ["workload", "units", "GPUs", "replicas", "offering", "region", "billing"]
    head += ["unit-h"] * shown_hours + ["$/GPU-h"] + ["age"] * shown_ages + ["$/month"]
    rows = [head, *_purchase_rows(plan, shown_hours, shown_ages), *_sum_rows(plan, len(head))]
    return columns(rows, "<><<<<<" + ">" * (shown_hours + shown_ages) + ">>")


def _is_part_time(p: Purchase) -> bool:
    return bool(p.units) and p.unit_hours < p.units * sum(p.hours_by_block) * (1 - 1e-9)


def _purchase_rows(plan: Plan, shown_hours: bool, shown_ages: bool) -> Iterator[list[str]]:
    decimals = shown_decimals(plan)
    cash = apportion([amount for _, amount in cash_rows(plan)], decimals)
    hourly = iter(prices([_gpu_price(p) for p in plan.purchases if p.units]))
    named = ""
    for p, amount in zip(plan.purchases, cash, strict=False):
        k = p.candidate
        row = ["" if k.workload == named else escape(k.workload), *_what(p), escape(k.offering.id)]
        row += [escape(k.region), escape(k.offering.billing)]
        row += [hours(p.unit_hours) if p.units else "-"] * shown_hours
        row.append(next(hourly) if p.units else "-")
        age = "" if p.price_age_days is None else age_words(p.price_age_days)
        yield [*row, *[age] * shown_ages, money(amount, decimals)]
        named = k.workload


def _gpu_price(p: Purchase) -> float:
    return p.candidate.usd_per_hour / max(1, p.candidate.gpus_per_unit)


def _what(p: Purchase) -> list[str]:
    """Units, GPUs and replicas of a purchase."""
    k = p.candidate
    if k.mode.per_token:
        return ["-", f"{fine_percent(p.requests_share)} of requests", "per token"]
    if k.part_of_unit:
        kind = f"{p.units} x {escape(k.precision)} tp {k.tensor_parallel}{_stages(k)}"
        gpus = f"{p.gpus} x {escape(k.gpu)}"
        if k.gpu_set is not None:
            gpus = f"{k.gpu_set.of(k.workload).time_percent} % of {gpus}"
        return ["shared", gpus, kind]
    replicas = p.units * k.replicas_per_unit
    gpus = f"{p.units} x {k.gpus_per_unit} x" if k.gpus_per_unit > 1 else f"{p.units} x"
    return [
        count(p.units),
        f"{gpus} {escape(k.gpu)}",
        f"{replicas} x {_llm(k)}{escape(k.precision)} tp {k.tensor_parallel}" + _stages(k),
    ]


def _llm(k: Candidate) -> str:
    """The LLM that it serves, where that is chosen among several."""
    return f"{escape(k.llm)} " if k.llm else ""


def _stages(k: Candidate) -> str:
    """Pipeline stages and joined units, where there are any."""
    stages = f" x pp {k.pipeline_parallel}" if k.pipeline_parallel > 1 else ""
    return stages + (f" on {k.units_joined} joined" if k.units_joined > 1 else "")


def _sum_rows(plan: Plan, width: int) -> Iterator[list[str]]:
    """What is paid beside the purchases, the cash, the penalties, and the score."""
    decimals = shown_decimals(plan)
    paid = cash_rows(plan)
    amounts = apportion([amount for _, amount in paid], decimals)
    beside = [(name, x) for (name, _), x in zip(paid, amounts, strict=True) if name]
    penalties = penalty_rows(plan)
    fines = apportion([amount for _, amount in penalties], decimals)
    sums = [*beside, ("cash" if penalties else "", sum(amounts))]
    if penalties:
        sums += [(name, fine) for (name, _), fine in zip(penalties, fines, strict=True)]
        sums += [("score", sum(amounts) + sum(fines))]
    for label, amount in sums:
        row = [""] * width
        row[4], row[-1] = label, money(amount, decimals)
        yield row


def _workload_lines(plan: Plan) -> Iterator[str]:
    if plan.cash_usd_per_month is None:
        return
    width = max((len(escape(w.name)) for w in plan.workloads), default=0)
    for w in plan.workloads:
        first, *rest = _facts(plan, w)
        yield f"  {escape(w.name):{width}}  {first}"
        yield from (f"  {'':{width}}  {line}" for line in rest)


def _facts(plan: Plan, w: WorkloadPlan) -> Iterator[str]:
    yield f"{escape(w.llm)}: " + ", ".join([_load(plan, w), _tpot(w), _ttft(w)])
    mine = list(plan.purchases_of(w.name))
    chosen = (r for r in plan.warnings if isinstance(r, BatchesDone | LlmsChosen))
    done = (one for one in chosen if one.workload == w.name)
    yield from (escape(sentence(one)) for one in done)
    if w.shortfall_share > 0:
        yield f"{fine_percent(w.shortfall_share)} of the peak is left unserved"
    sources = _throughput_sources(mine)
    if sources:
        yield f"throughput: {sources}{_deployments(mine)}"
    yield from engine_lines(mine)
    unmeasured = measure_next(plan)
    if unmeasured is not None and unmeasured.workload == w.name:
        yield f"Measure one to tighten it: {escape(unmeasured.text)}."
    bound = sum(p.commitment_usd for p in mine)
    if bound:
        yield f"commitment: {usd(bound)}, paid whether or not the units run"
    yield from when_lines(plan, mine)
    if len(plan.workloads) > 1 and w.usd_per_million_tokens is not None:
        yield f"{usd_per_million(w.usd_per_million_tokens)} per 1M tokens"


def _price_lines(plan: Plan) -> Iterator[str]:
    """What the sources say of the prices paid: one line for each remark, with who it is about."""
    told: dict[str, dict[str, None]] = {}
    for p in plan.purchases:
        if p.candidate.offering.price_note:
            told.setdefault(p.candidate.offering.price_note, {})[p.candidate.offering.id] = None
    if told:
        yield "About these prices"
    for note, offerings in told.items():
        yield f"  {escape(', '.join(offerings))}: {escape(note)}"


def _range_lines(options: ReportOptions) -> Iterator[str]:
    if options.confidence_range is not None:
        from milp_planner.reporting.text.confidence import range_lines

        yield from range_lines(options.confidence_range)


def _load(plan: Plan, w: WorkloadPlan) -> str:
    unit = UNITS.get(w.unit, w.unit)
    peak = f"peak {number(w.peak_requests_per_second)} {unit}"
    if w.is_batch:
        return f"work that can wait, {number(w.peak_requests_per_second)} {unit} if spread evenly"
    if not any(plan.purchases_of(w.name)):
        return f"{peak}, nothing bought for it"
    if w.utilization is None:
        return f"{peak}, served per token, utilization not assessed"
    full = f"{peak} of {number(w.capacity_requests_per_second)} planned capacity"
    target = f"target {percent(w.utilization_limit)}"
    return f"{full}, utilization {percent(w.utilization)} ({escape(w.band)}, {target})"


def _tpot(w: WorkloadPlan) -> str:
    wish = "" if w.tpot_wish_s is None else f" (wish {duration(w.tpot_wish_s)})"
    if w.tpot_s is None:
        return f"tpot not known{wish}"
    return f"tpot {duration(w.tpot_s)} at full load{wish}"


def _ttft(w: WorkloadPlan) -> str:
    if w.ttft_wish_s is None:
        return "ttft not asked"
    wish = f"wish {duration(w.ttft_wish_s)}"
    if w.ttft_verified and w.ttft_s is not None:
        return f"ttft {duration(w.ttft_s)} measured ({wish})"
    estimate = "" if w.ttft_s is None else f", estimate {duration(w.ttft_s)}"
    return f"ttft not verified ({wish}{estimate})"


def _deployments(purchases: Sequence[Purchase]) -> str:
    """`; vLLM, default settings`: what the rates hold for."""
    found = dict.fromkeys(p.candidate.deployment for p in purchases if p.candidate.deployment)
    return "".join(f"; {escape(deployment)}" for deployment in found)


def _throughput_sources(purchases: Sequence[Purchase]) -> str:
    """`1 of 2 rows measured, planned at 0.95 of it; 1 of 2 rows estimated, planned at 0.83`."""
    points = [point for p in purchases for point in p.candidate.serving_points]
    derates: dict[str, list[float]] = {}
    for point in points:
        derates.setdefault(point.source, []).append(point.derate)
    return "; ".join(
        f"{len(of_source)} of {plural(len(points), 'row')} {escape(source)}, "
        f"planned at {_range(of_source)} of it"
        for source, of_source in sorted(derates.items(), key=lambda item: _rank(item[0]))
    )


_LADDER = ("measured", "published", "calibrated", "estimated", "raw")


def _rank(source: str) -> tuple[int, str]:
    return (_LADDER.index(source) if source in _LADDER else len(_LADDER), source)


def _range(values: Iterable[float]) -> str:
    shown = sorted({f"{value:.2f}" for value in values})
    return shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"


def _footer_lines(plan: Plan) -> Iterator[str]:
    yield from (f"Note: {escape(note)}" for note in plan.proof.notes)
    if plan.proof.engines:
        engines = ", ".join(f"{e.name} {e.version} {e.status}" for e in plan.proof.engines)
        size = f"{plural(plan.proof.rows, 'row')}, {plural(plan.proof.columns, 'column')}"
        yield f"Solvers: {escape(engines)}; {size}; seed {plan.provenance.seed}."
    if plan.status.has_plan:
        yield f"Not included: {', '.join(plan.not_included)}."
    yield catalog_line(plan.provenance)


def catalog_line(origin: Provenance) -> str:
    """What the answer was made from."""
    sha = f" (sha {origin.catalog_sha256[:SHA_DIGITS]})" if origin.catalog_sha256 else ""
    parts = [f"Catalog {escape(origin.catalog_name)} {escape(origin.catalog_version)}{sha}"]
    if origin.oldest_price:
        parts.append(f"oldest price {escape(origin.oldest_price)}")
    if origin.overlaid.said:
        parts.append(origin.overlaid.said)
    parts.append(f"problem sha {origin.problem_sha256[:SHA_DIGITS]}")
    return f"{', '.join(parts)}. milp-planner {escape(origin.planner_version)}."
