"""A plan out of its document: what `plan.to_dict()` or `solve --json` wrote, read back.

The document holds a plan for people and programs to look at, not to solve again. So not all comes
back as it was:

* rebuilt from names and sums: request classes (sizes to the digits of their names), hours paid in
  a block (those of the block), the LLM and wishes of an alternative's workloads (the plan's own);
* not in the document, and therefore empty: work per unit and block, what was turned down row by
  row, warnings of single rates, rates and routes of alternatives;
* not in the document, and therefore not a number: prices per token (what they cost is there), of
  an alternative's workloads the capacity, and the unserved share where it may not be 0, and the
  unserved share of the plan that need not survive a loss.

What the document only sums up is kept as it stands, in `Plan.as_read`, and is written so again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.candidates.batch.documents import hours_on, read_runs
from milp_planner.candidates.records import Candidate, RatePoint
from milp_planner.candidates.sharing.documents import gpu_set_of, price_of_unit, read_shared
from milp_planner.errors import InputError, input_error
from milp_planner.inputs.catalog.overlaid.counts import OverlayCounts
from milp_planner.inputs.catalog.records import COUNT_ASSUMED, Offering, TokenPrice
from milp_planner.inputs.reading.validation import validate_python
from milp_planner.lazily import dataclass, field, replace
from milp_planner.plans.consequences import (
    CommitmentUse,
    DocumentParts,
    Loss,
    ResilienceCost,
    StalePrices,
    UnitChange,
)
from milp_planner.plans.deployed.documents import read_clock, read_deployed
from milp_planner.plans.diagnosis import Change, Diagnosis, Misfit
from milp_planner.plans.document import DOCUMENT_VERSION
from milp_planner.plans.futures.documents import why_no_plan
from milp_planner.plans.reasons import Said
from milp_planner.plans.records import (
    Band,
    EngineReport,
    Plan,
    Proof,
    Provenance,
    Purchase,
    Route,
    Status,
    WorkloadPlan,
    read_from,
)
from milp_planner.plans.schema import (
    AlternativePart,
    ChangePart,
    ClassPart,
    DiagnosisPart,
    PlanDocument,
    ProofPart,
    ProvenancePart,
    PurchasePart,
    ResiliencePart,
    RoutePart,
    StalePricesPart,
    WorkloadPart,
)
from milp_planner.serving.operating_point import EngineRate
from milp_planner.traffic.month import RequestClass, TimeBlock
from milp_planner.units import shown

NOT_KNOWN = math.nan
WITHOUT_SIZES = 0.5, 0.5  # a request is then one token, half of it input
VERSION_KEY = "document_version"

CandidateKey = tuple[str, str, str, str, int, str, bool | str]


def read_plan(document: Mapping[str, Any]) -> Plan:
    """The plan that the document holds.

    Raises ArgumentError for anything but a mapping, InputError with every fault for a document
    of another kind or version, for keys that no plan has, and for values that cannot be.
    """
    _check_version(document)
    read = validate_python(PlanDocument, dict(document))
    blocks = tuple(TimeBlock(block.name, block.hours) for block in read.blocks)
    reader = _Reader(read, blocks)
    purchases = tuple(reader.purchases())
    return Plan(
        name=read.name,
        status=Status(read.status),
        score_usd_per_month=read.score_usd_per_month,
        cash_usd_per_month=read.cash_usd_per_month,
        lower_bound_usd_per_month=read.bound_usd_per_month,
        costs=read.costs_usd_per_month,
        purchases=purchases,
        shared_units=read_shared(read.shared_units, purchases, blocks),
        routes=tuple(reader.routes()),
        workloads=tuple(_workload(part) for part in read.workloads),
        blocks=blocks,
        block_by_hour=read_clock(read.block_by_hour, len(blocks)),
        proof=_proof(read.proof),
        provenance=_provenance(read.provenance),
        alternatives=tuple(reader.alternative(part) for part in read.alternatives),
        alternatives_notes=tuple(map(Said, read.alternatives_note.splitlines())),
        reasons=tuple(map(Said, read.reasons)),
        diagnosis=None if read.diagnosis is None else _diagnosis(read.diagnosis),
        warnings=tuple(map(Said, read.warnings)),
        changes=tuple(
            UnitChange(part.workload, part.offering, part.billing, part.today, part.planned)
            for part in read.changes_from_today
        ),
        batch_runs=tuple(read_runs(read.batch_work, purchases, blocks, reader._classes)),
        commitments=tuple(
            CommitmentUse(**part.model_dump(exclude={"unused", "share"}))
            for part in read.commitments
        ),
        futures=None if read.futures is None else read.futures.record(),
        worst_losses=() if read.resilience is None else tuple(_losses(read.resilience)),
        resilience=None if read.resilience is None else _resilience(read.resilience, read),
        stale_prices=None if read.stale_prices is None else _stale(read.stale_prices),
        not_included=tuple(read.not_included),
        as_read=DocumentParts(
            alternatives=tuple(document["alternatives"]),
            turned_down=document["turned_down"],
            measure_next=document["measure_next"],
        ),
    )


def _check_version(document: Mapping[str, Any]) -> None:
    if VERSION_KEY not in document:
        message, hint = why_no_plan(document)
        raise input_error(message, path="document", hint=hint)
    version = document[VERSION_KEY]
    if version != DOCUMENT_VERSION or isinstance(version, bool):
        text = f"this planner reads version {DOCUMENT_VERSION} (is {shown(version)})"
        raise input_error(text, path=VERSION_KEY)


@dataclass
class _Reader:
    """The parts that name one another: candidates, request classes and blocks."""

    read: PlanDocument
    blocks: tuple[TimeBlock, ...]
    _classes: dict[str, tuple[RequestClass, ...]] = field(default_factory=dict)
    """By workload."""

    _candidates: dict[CandidateKey, Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for w in self.read.workloads:
            self._classes[w.name] = tuple(self._classes_of(w))

    def purchases(self) -> Iterator[Purchase]:
        """What is bought; the candidates are kept for the routes."""
        for i, part in enumerate(self.read.purchases):
            if part.workload not in self._classes:
                text = f"{shown(part.workload)} is not among the workloads"
                raise input_error(text, path=f"purchases[{i}].workload")
            yield (bought := self._purchase(part, part.classes, f"purchases[{i}]"))
            key, k = _key(part), bought.candidate  # older routes do not say whether it is shared
            self._candidates = {(*key[:-1], False): k, **self._candidates, key: k}

    def routes(self) -> Iterator[Route]:
        """Who serves what; after the purchases."""
        blocks = {block.name: block for block in self.blocks}
        for i, part in enumerate(self.read.routes):
            candidate, block = self._candidates.get(_key(part)), blocks.get(part.block)
            if candidate is None:
                raise input_error("nothing of it is among the purchases", path=f"routes[{i}]")
            if block is None:
                text = f"{shown(part.block)} is not among the blocks"
                raise input_error(text, path=f"routes[{i}].block")
            (request_class,) = (q for q in self._classes[part.workload] if q.name == part.class_)
            yield Route(candidate, request_class, block, part.share, part.peak_requests_per_second)

    def alternative(self, part: AlternativePart) -> Plan:
        """A next-best plan, as far as the document tells it."""
        at = f"alternatives[{part.rank - 2}]."
        missing = [w.name for w in self.read.workloads if w.name not in part.bands]
        if missing:
            raise input_error(f"has no band of {', '.join(map(shown, missing))}", path=f"{at}bands")
        rows = enumerate(part.purchases)
        purchases = tuple(self._purchase(row, (), f"{at}purchases[{i}]") for i, row in rows)
        return Plan(
            name=self.read.name,
            status=Status(part.status),
            score_usd_per_month=part.score_usd_per_month,
            cash_usd_per_month=part.cash_usd_per_month,
            lower_bound_usd_per_month=part.bound_usd_per_month,
            costs={},
            purchases=purchases,
            shared_units=read_shared(part.shared_units, purchases, self.blocks, at),
            routes=(),
            workloads=tuple(_workload_of(part, w) for w in self.read.workloads),
            blocks=self.blocks,
            proof=Proof(certified=part.certified, certified_by=()),
            provenance=_provenance(self.read.provenance),
        )

    def _purchase(self, part: PurchasePart, classes: Sequence[ClassPart], path: str) -> Purchase:
        known = self._classes.get(part.workload, ())
        candidate = Candidate(
            workload=part.workload,
            offering=_offering(part, path),
            precision=part.precision,
            tensor_parallel=part.tensor_parallel,
            replicas_per_unit=part.replicas_per_unit,
            units_joined=part.units_joined,
            pipeline_parallel=part.pipeline_parallel,
            part_of_unit=bool(part.part_of_gpus),
            gpu_set=gpu_set_of(part.gpu_set),
            deployment=part.deployment,
            llm=part.llm,
            points=tuple(_point(q, part.replicas_per_unit) for q in classes),
            shares=tuple(q.share for q in classes),
            classes=known if len(known) == len(classes) else (),
        )
        units = _units_by_block(part, path)
        if len(units) != len(self.blocks):
            text = f"has {len(units)} blocks, the plan {len(self.blocks)}"
            raise input_error(text, path=f"{path}.units_by_block")
        return Purchase(
            candidate,
            units,
            hours_on(self.read.batch_work if classes else (), part, self.blocks),
            part.cash_usd_per_month,
            part.requests_share,
            price_age_days=part.price_age_days,
            shared_rent_usd=part.cash_usd_per_month if part.part_of_gpus else None,
        )

    def _classes_of(self, w: WorkloadPart) -> Iterator[RequestClass]:
        """The classes that are routed, in their order; shares as stated where it is plain whose."""
        mine = [route for route in self.read.routes if route.workload == w.name]
        names = list(dict.fromkeys(route.class_ for route in mine))
        lists = [p.classes for p in self.read.purchases if p.workload == w.name and p.classes]
        stated = [q.share for q in lists[0]] if lists and len(lists[0]) == len(names) else None
        for i, name in enumerate(names):
            rates = [r.peak_requests_per_second / r.share for r in mine if r.class_ == name]
            peak = w.peak_requests_per_second or NOT_KNOWN
            share = stated[i] if stated else max(rates) / peak
            yield RequestClass(name, *_sizes(name), share)


def _key(part: PurchasePart | RoutePart) -> CandidateKey:
    rented, shape = (part.offering, part.billing), (part.precision, part.tensor_parallel)
    return part.workload, *rented, *shape, part.llm, part.gpu_set or bool(part.part_of_gpus)


def _sizes(name: str) -> tuple[float, float]:
    """`1500/300`, and `1500/300#2` where two classes share a name -> (1500, 300)."""
    try:
        inputs, _, outputs = name.split("#")[0].partition("/")
        return float(inputs), float(outputs)
    except ValueError:  # `token` and `request`, where no sizes are stated
        return WITHOUT_SIZES


def _units_by_block(part: PurchasePart, path: str) -> tuple[int, ...]:
    try:
        return tuple(int(units) for units in part.units_by_block.split("; "))
    except ValueError:
        text = f"expected whole numbers with '; ' between them, found {shown(part.units_by_block)}"
        raise input_error(text, path=f"{path}.units_by_block") from None


def _offering(part: PurchasePart, path: str) -> Offering | TokenPrice:
    """The row of the catalog; what the document does not tell of it is as if not stated."""
    provider, _, rest = part.offering.partition("/")
    name, _, region = rest.rpartition("/")
    if part.billing == "per_token":
        return TokenPrice.model_construct(  # unchecked: no price is known
            provider=provider,
            llm=name,
            region=region,
            usd_per_m_input_tokens=NOT_KNOWN,
            usd_per_m_output_tokens=NOT_KNOWN,
            source=part.price_source,
            as_of=part.price_as_of,
            override=part.price_override,
            note=part.price_note,
        )
    is_assumed = part.price_note.split("; ")[0] == COUNT_ASSUMED
    row = {
        "provider": provider,
        "name": name,
        "region": region,
        "billing": part.billing,
        "term_months": part.term_months,
        "gpu": part.gpu,
        "gpus_per_unit": part.part_of_gpus or part.gpus_per_unit // part.units_joined,
        "instance_type": part.instance_type,
        "usd_per_hour": _per_unit(part, part.usd_per_unit_hour),
        "list_usd_per_hour": _per_unit(part, part.list_usd_per_unit_hour),
        "count_assumed": is_assumed,
        "source": part.price_source,
        "as_of": part.price_as_of,
        "override": part.price_override,
        "note": part.price_note.removeprefix(COUNT_ASSUMED * is_assumed).removeprefix("; "),
    }
    try:
        return validate_python(Offering, row)
    except InputError as error:
        raise InputError(
            replace(fault, path=f"{path}.{fault.path}") for fault in error.faults
        ) from None


def _point(part: ClassPart, replicas_per_unit: int) -> RatePoint:
    return RatePoint(
        requests_per_second=_divided(part.unit_requests_per_second, replicas_per_unit),
        derate=part.derate,
        concurrency=part.concurrency_per_replica,
        tpot_s=part.tpot_s,
        ttft_s=part.ttft_s,
        ttft_measured=part.ttft_measured,
        source=part.source,
        detail=part.detail,
        engine=part.engine,
        engines=tuple(EngineRate(**one.model_dump()) for one in part.engines),
    )


def _divided(product: float, count: int) -> float:
    """The float that times `count` gives `product`: the quotient, or one beside it."""
    quotient = product / count if count else NOT_KNOWN
    near = (quotient, math.nextafter(quotient, 0.0), math.nextafter(quotient, math.inf))
    return next((value for value in near if value * count == product), quotient)


def _per_unit(part: PurchasePart, usd: float | None) -> float | None:
    """The price of a unit of the offering: of one of those joined, or of one that others share."""
    if usd is not None and part.part_of_gpus:
        return price_of_unit(usd, part.gpus_per_unit, part.part_of_gpus)
    return None if usd is None else _divided(usd, part.units_joined)


def _workload(part: WorkloadPart) -> WorkloadPlan:
    known = part.model_dump(exclude={"penalties_usd_per_month", "usd_per_million_tokens"})
    known["deployed"] = read_deployed(part.deployed, part.name)
    return WorkloadPlan(**known, penalties=part.penalties_usd_per_month)


def _workload_of(part: AlternativePart, w: WorkloadPart) -> WorkloadPlan:
    """A workload in an alternative: what all plans share, its band, and what is paid for it."""
    is_served = part.usd_per_million_tokens is not None  # told only where nothing is unserved
    return WorkloadPlan(
        name=w.name,
        llm=w.llm,
        peak_requests_per_second=w.peak_requests_per_second,
        capacity_requests_per_second=NOT_KNOWN,
        utilization=None,
        band=Band(part.bands[w.name]),
        utilization_limit=w.utilization_limit,
        tpot_s=None,
        tpot_wish_s=w.tpot_wish_s,
        ttft_s=None,
        ttft_wish_s=w.ttft_wish_s,
        ttft_verified=False,
        strict=w.strict,
        shortfall_share=0.0 if is_served else NOT_KNOWN,
        tokens_per_month=w.tokens_per_month,
        cash_usd_per_month=sum(
            p.cash_usd_per_month for p in part.purchases if p.workload == w.name
        ),
        unit=w.unit,
    )


def _proof(part: ProofPart) -> Proof:
    return Proof(
        certified=part.certified,
        certified_by=tuple(part.certified_by),
        unconfirmed=part.unconfirmed,
        engines=tuple(EngineReport(**engine.model_dump()) for engine in part.engines),
        notes=tuple(part.notes),
        seconds=part.seconds,
        rows=part.rows,
        columns=part.columns,
    )


def _provenance(part: ProvenancePart) -> Provenance:
    return Provenance(
        planner_version=part.planner_version,
        catalog_name=part.catalog.name,
        catalog_version=part.catalog.version,
        catalog_sha256=part.catalog.sha256,
        overrides=part.catalog.overrides,
        overlaid=OverlayCounts(
            part.catalog.rows_added, part.catalog.rows_replaced, part.catalog.rows_retired
        ),
        problem_sha256=part.problem_sha256,
        oldest_price=part.oldest_price or "",
        seed=part.seed,
        time_limit_s=part.time_limit_s,
        gap_asked=part.gap_asked,
    )


def _losses(part: ResiliencePart) -> Iterator[Loss]:
    for loss in part.worst_losses:
        told = loss.model_dump(exclude={"share", "utilization"})
        yield Loss(**{**told, "stands_by": tuple(loss.stands_by)})


def _resilience(part: ResiliencePart, read: PlanDocument) -> ResilienceCost | None:
    if part.proven is None or read.score_usd_per_month is None:
        return None
    return ResilienceCost(
        read.score_usd_per_month,
        part.score_without_usd_per_month,
        part.proven,
        unserved=max((w.shortfall_share for w in read.workloads), default=0.0),
        unserved_without=NOT_KNOWN,
    )


def _stale(part: StalePricesPart) -> StalePrices:
    return StalePrices(
        part.stale_after_days, part.oldest_days, part.usd_per_month, part.cash_usd_per_month
    )


def _diagnosis(part: DiagnosisPart) -> Diagnosis:
    return Diagnosis(
        headline=Said(part.headline),
        fits=tuple(Misfit(**fit.model_dump()) for fit in part.fits),
        conflict=tuple((entry.path, entry.value) for entry in part.conflict),
        is_smallest=part.is_smallest,
        changes=tuple(map(_change, part.changes)),
        combination=tuple(map(_change, part.combination)),
        combination_usd_per_month=part.combination_usd_per_month,
        not_reached=tuple(part.not_reached),
    )


def _change(part: ChangePart) -> Change:
    return Change(**part.model_dump(exclude={"is_enough"}))


read_from.register(Mapping, read_plan)
