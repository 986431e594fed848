"""Problem x Catalog -> candidates, and one reason with numbers for every offering turned down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from milp_planner.candidates.configurations import (
    Configuration,
    undominated,
    undominated_parts,
)
from milp_planner.candidates.filters import why_left_out
from milp_planner.candidates.hosts import why_no_power, why_poor_host
from milp_planner.candidates.own_terms import too_dear
from milp_planner.candidates.prices import api_usd_per_request
from milp_planner.candidates.records import Candidate, RatePoint
from milp_planner.candidates.shapes import ReplicaShape, replica_shapes, why_no_shape
from milp_planner.candidates.users import Replica, infrascale_point, users_point
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement, Offering, TokenPrice
from milp_planner.inputs.problem.deployment import MeasuredRate
from milp_planner.inputs.problem.policies import has_batches, most_replicas_asked, shares_units
from milp_planner.inputs.problem.records import (
    Limits,
    Problem,
    Workload,
    deployment_changes,
)
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.lazily import dataclass, field, replace
from milp_planner.serving.derate import planning_quantile
from milp_planner.serving.rates.throughput import (
    OperatingPoint,
    Rejection,
    ServingModel,
    default_precisions,
)
from milp_planner.traffic.month import Demand, RequestClass


def model_warnings(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """What the serving model says about its own range, once each."""
    return tuple(dict.fromkeys(w for k in candidates for p in k.points for w in p.warnings))


def excluded_by(limits: Limits, offering: Offering | TokenPrice) -> str:
    """Why the limits rule the offering out, at the price that it has, or nothing."""
    if why := why_unpayable(limits, offering):
        return why
    if getattr(offering, "max_units", None) == 0:
        return "0 units can be had (max_units)"
    return (
        why_left_out(limits, offering)
        or too_dear(limits, offering)
        or why_poor_host(limits, offering)
        or why_no_power(limits, offering)
    )


def why_unpayable(limits: Limits, offering: Offering | TokenPrice) -> str:
    """Why the problem allows no such way to pay, or nothing."""
    mode, allowed = BILLING_MODES[offering.billing], limits.billing.allow
    by_default = mode.by_default or bool(getattr(offering, "quote", 0))
    if offering.billing in allowed if allowed else by_default:
        return ""
    return f"billing {offering.billing} is not in limits.billing.allow"


@dataclass
class Rates:
    """What every offering can do for one workload; configurations are computed once per GPU."""

    catalog: Catalog
    model: ServingModel
    problem: Problem
    workload: Workload
    demand: Demand
    _known: dict[tuple[str, int], list[Configuration] | str] = field(default_factory=dict)
    _found: dict[tuple[str, int], list[Configuration]] = field(default_factory=dict)
    """All that fit on a unit of so many GPUs of a type, worth having or not."""

    _raw_by_shape: dict[tuple[str, int], dict[tuple[float | None, float | None], Measurement]] = (
        field(default_factory=dict)
    )
    _points: dict[tuple[str, str, ReplicaShape], tuple[RatePoint, ...] | Rejection] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        (name,) = self.workload.llms
        llm = self.catalog.llm(name)
        self.llm_id = name if llm is None else llm.id
        self.stated = stated_rates(self.catalog, self.workload)
        if self.stated is not None:
            return
        assert llm is not None, "prepare() has checked the names"
        self.llm: Llm = llm
        self.raw = raw_rows(self.catalog, self.llm)
        for row in self.raw:
            shapes = self._raw_by_shape.setdefault((row.gpu, row.tensor_parallel), {})
            shapes.setdefault((row.input_tokens, row.output_tokens), row)

    def candidates(self, offering: Offering | TokenPrice) -> list[Candidate] | str:
        """The candidates of an offering, or the reason why there is none."""
        if isinstance(offering, TokenPrice):
            if self.demand.unit == "users":
                return "a price per token promises no speed per user"
            return [self._per_token(offering)]
        found = self.configurations(offering.gpu, offering.gpus_per_unit)
        if isinstance(found, str):
            return found
        most = offering.max_units
        had = [c for c in found if most is None or c.shape.settings.units_joined <= most]
        if not had:
            joined = found[0].shape.settings.units_joined
            return f"{joined} units are joined, and {most} can be had (max_units)"
        return [self._candidate(offering, one) for one in had]

    def parts(self, offering: Offering) -> Iterator[Candidate]:
        """Replicas that may stand on a unit of the offering together with those of others."""
        found = self._found.get((offering.gpu, offering.gpus_per_unit), [])
        alone = [c for c in found if c.shape.settings.units_joined == 1]
        for one in alone if self._may_all_count else undominated_parts(alone):
            yield self._candidate(offering, one, is_part=True)

    def _candidate(
        self, offering: Offering, one: Configuration, *, is_part: bool = False
    ) -> Candidate:
        settings = one.shape.settings
        are_parts = is_part or self._are_parts(offering.gpus_per_unit)
        is_part = are_parts and settings.units_joined == 1
        return Candidate(
            workload=self.workload.name,
            offering=offering,
            precision=one.precision,
            tensor_parallel=one.shape.tensor_parallel,
            replicas_per_unit=1 if is_part else one.shape.replicas_on(offering.gpus_per_unit),
            points=one.points,
            shares=tuple(q.share for q in self.demand.classes),
            classes=self.demand.classes,
            deployment=settings.label if self.follows_deployment else "",
            units_joined=settings.units_joined,
            pipeline_parallel=settings.stages,
            part_of_unit=is_part,
        )

    def configurations(self, gpu_id: str, gpus: int) -> list[Configuration] | str:
        """What is worth having on a unit of `gpus` GPUs, or why nothing is."""
        if (gpu_id, gpus) not in self._known:
            self._known[gpu_id, gpus] = self._configurations(gpu_id, gpus)
        return self._known[gpu_id, gpus]

    def _configurations(self, gpu_id: str, gpus: int) -> list[Configuration] | str:
        if self.stated is not None:
            return self._stated(self.stated, gpu_id, gpus)
        gpu = self.catalog.gpus[gpu_id]
        found: list[Configuration] = []
        refused: list[Rejection] = []
        for precision in self.precisions(gpu):
            for shape in self.shapes(gpus):
                key = gpu_id, precision, shape
                if key not in self._points:
                    self._points[key] = self._rate_points(gpu, precision, shape)
                points = self._points[key]
                if isinstance(points, Rejection):
                    refused.append(points)
                else:
                    found.append(Configuration(precision, shape, points))
        if found:
            return self._worth_having(found, gpu_id, gpus)
        if refused:
            return nearest(refused).reason
        return why_no_shape(self.workload, self.llm.attention_heads, gpus)

    def _worth_having(
        self, found: list[Configuration], gpu_id: str, gpus: int
    ) -> list[Configuration]:
        """Those that no other beats."""
        self._found[gpu_id, gpus] = found
        if self._may_all_count:
            return found
        asked = most_replicas_asked(self.problem, self.workload)
        if not self._are_parts(gpus):
            return list(undominated(found, gpus, asked))
        joined = [one for one in found if one.shape.settings.units_joined > 1]
        alone = [one for one in found if one.shape.settings.units_joined == 1]
        return [*undominated_parts(alone), *undominated(joined, gpus, asked)]

    @property
    def _may_all_count(self) -> bool:
        """True where waits count, so that a slower replica may hold more requests, or where work
        can wait, of which it may do more."""
        return self.workload.latency.judges_queues or has_batches(self.problem)

    def _are_parts(self, gpus: int) -> bool:
        """True where replicas may stand on a unit together with those of other workloads."""
        return shares_units(self.problem) and gpus > 1

    def precisions(self, gpu: Gpu) -> tuple[str, ...]:
        """The weight formats to try: the user's, or the LLM's own and fp8 where the GPU has it."""
        if self.raw:
            return ("raw",)
        if self.workload.precision is not None:
            return self.workload.precision
        return default_precisions(self.llm, gpu)

    def shapes(self, gpus: int) -> Iterator[ReplicaShape]:
        """Shapes of a replica that fit a unit of `gpus` GPUs, or the units that are joined."""
        if self.raw:
            sizes = sorted({row.tensor_parallel for row in self.raw})
            settings = self.workload.deployment
            yield from (ReplicaShape(size, settings) for size in sizes if size <= gpus)
            return
        yield from replica_shapes(self.workload, self.llm.attention_heads, gpus)

    def answers(self, gpu: Gpu, precision: str, shape: ReplicaShape) -> list[RatePoint | Rejection]:
        """What a replica serves of each class, or why it cannot."""
        answer = RATES[self.kind]
        return [answer(self, gpu, precision, shape, q) for q in self.demand.classes]

    def _rate_points(
        self, gpu: Gpu, precision: str, shape: ReplicaShape
    ) -> tuple[RatePoint, ...] | Rejection:
        """A point per class, of rate 0 where it cannot be served; why none can."""
        found = [
            _of_replica(one, gpu, precision, shape)
            if isinstance(one, Rejection) and not self.raw  # nominal reasons name the GPU
            else one
            for one in self.answers(gpu, precision, shape)
        ]
        refused = [one for one in found if isinstance(one, Rejection)]
        if len(refused) == len(found):
            return nearest(refused)
        return tuple(unservable(one.reason) if isinstance(one, Rejection) else one for one in found)

    def _modelled(
        self, gpu: Gpu, precision: str, shape: ReplicaShape, q: RequestClass
    ) -> RatePoint | Rejection:
        latency = self.workload.latency
        found = self.model.operating_point(
            self.llm,
            gpu,
            precision,
            shape.tensor_parallel,
            q.input_tokens,
            q.output_tokens,
            tpot_limit_s=latency.tpot_limit_s,
            ttft_limit_s=latency.ttft_limit_s,
            quantile=planning_quantile(self.problem.policy.confidence_share),
            settings=shape.settings,
        )
        return found if isinstance(found, Rejection) else rate_point(found)

    @property
    def kind(self) -> str:
        """Where the rates come from: a key of `RATES`, or `stated`."""
        if self.stated is not None:
            return "stated"
        if self.demand.unit == "users":
            return self.problem.policy.serving_model
        return "raw" if self.raw else "modelled"

    @property
    def follows_deployment(self) -> bool:
        """Whether the rates hold for an engine and its settings, or are taken at their word."""
        return self.kind in ("modelled", "default")

    def _users(
        self, gpu: Gpu, precision: str, shape: ReplicaShape, q: RequestClass
    ) -> RatePoint | Rejection:
        traffic, latency = self.workload.traffic, self.workload.latency
        assert isinstance(traffic, ConcurrentUsers), "users are their unit"
        if self.raw:
            return Rejection(f"{gpu.id}: a nominal rate says nothing of the speed of a user")
        quantile = planning_quantile(self.problem.policy.confidence_share)
        size = q.input_tokens, q.output_tokens
        replica = self.model, self.llm, gpu, precision, shape.tensor_parallel
        settings = shape.settings
        wishes = traffic, latency.tpot_limit_s
        asked = Replica(*replica, *size, *wishes, quantile, settings, latency.ttft_limit_s)
        return users_point(asked)

    def _infrascale(
        self, gpu: Gpu, precision: str, shape: ReplicaShape, q: RequestClass
    ) -> RatePoint | Rejection:
        traffic = self.workload.traffic
        assert isinstance(traffic, ConcurrentUsers), "users are their unit"
        size = q.input_tokens, q.output_tokens
        replica = self.llm, gpu, precision, shape.tensor_parallel
        return infrascale_point(*replica, *size, traffic)

    def _stated(
        self, stated: Mapping[tuple[str, int], MeasuredRate], gpu_id: str, gpus: int
    ) -> list[Configuration] | str:
        """The replicas that the workload's own rates name on this GPU."""
        mine = [(size, stated[gpu, size]) for gpu, size in sorted(stated) if gpu == gpu_id]
        if not mine:
            return f"{gpu_id}: the workload's rates name no replica on it"
        found = [
            Configuration(
                "as-measured",
                ReplicaShape(size, self.workload.deployment),
                (stated_point(rate),) * len(self.demand.classes),
            )
            for size, rate in mine
            if size <= gpus
        ]
        if not found:
            return f"{gpu_id}: a replica of {mine[0][0]} GPUs does not fit in a unit of {gpus}"
        return self._worth_having(found, gpu_id, gpus)

    def _raw(
        self, gpu: Gpu, precision: str, shape: ReplicaShape, q: RequestClass
    ) -> RatePoint | Rejection:
        tp = shape.tensor_parallel
        if deployment_changes(self.workload.deployment) - {"prefix_cache_share"}:
            return Rejection(f"{gpu.id}: a nominal rate knows no deployment")
        memory = self.llm.recommended_memory_gib
        if memory is not None and gpu.memory_gib is not None and memory > gpu.memory_gib * tp:
            return Rejection(f"{gpu.id}: needs {memory:g} GB, the GPU has {gpu.memory_gib:g} GB")
        shapes = self._raw_by_shape.get((gpu.id, tp), {})
        row = shapes.get((q.input_tokens, q.output_tokens)) or shapes.get((None, None))
        if row is None:
            size = f"requests of {q.name} tokens"
            return Rejection(f"{gpu.id}: no raw throughput for {self.llm.id}, {size}")
        effective = row.output_tokens_per_second * self.demand.efficiency
        rate = effective * self.demand.batch_multiplier / q.tokens
        return RatePoint(rate, 1.0, None, None, None, False, "raw", row.source, rows=(row,))

    def _per_token(self, price: TokenPrice) -> Candidate:
        return Candidate(
            workload=self.workload.name,
            offering=price,
            precision="provider",
            tensor_parallel=0,
            replicas_per_unit=0,
            points=(),
            shares=tuple(q.share for q in self.demand.classes),
            usd_per_request=tuple(
                api_usd_per_request(
                    price,
                    q.input_tokens,
                    q.output_tokens,
                    self.workload.deployment.prefix_cache_share,
                )
                for q in self.demand.classes
            ),
        )


def stated_rates(
    catalog: Catalog, workload: Workload
) -> dict[tuple[str, int], MeasuredRate] | None:
    """(GPU, GPUs per replica) to its rate, where the workload states them itself."""
    if workload.rates is None:
        return None
    return {
        (catalog.gpus_named(rate.gpu)[0], rate.gpus_per_replica): rate for rate in workload.rates
    }


def stated_point(rate: MeasuredRate) -> RatePoint:
    """A rate that the problem states: taken at its word, without latency."""
    known = rate.requests_per_second, 1.0, rate.in_flight
    return RatePoint(*known, None, None, False, "measured", "stated in the problem")


def rate_point(found: OperatingPoint) -> RatePoint:
    """The serving model's answer in the planner's terms."""
    return RatePoint(
        requests_per_second=found.planned_requests_per_second,
        derate=found.derate,
        concurrency=found.concurrency,
        tpot_s=found.tpot_s,
        ttft_s=found.ttft_s,
        ttft_measured=found.ttft_measured,
        source=found.source,
        detail=found.source_detail,
        warnings=tuple(getattr(found, "warnings", ())),
        engine=found.engine,
        engines=found.engines,
        rows=found.rows,
    )


def unservable(reason: str) -> RatePoint:
    """The point of a class that a replica cannot serve."""
    return RatePoint(0.0, 1.0, None, None, None, False, "none", reason)


def raw_rows(catalog: Catalog, llm: Llm) -> tuple[Measurement, ...]:
    """Raw throughput rows of an LLM; the `*` rows only where it has none of its own."""
    by_llm = catalog.measurements_by_llm
    own = tuple(row for row in by_llm.get(llm.id, ()) if row.basis == "raw")
    return own or tuple(row for row in by_llm.get("*", ()) if row.basis == "raw")


RATES: dict[str, Callable[[Rates, Gpu, str, ReplicaShape, RequestClass], RatePoint | Rejection]] = {
    "modelled": Rates._modelled,
    "raw": Rates._raw,
    "default": Rates._users,
    "infrascale": Rates._infrascale,
}
"""Where the rate of a replica comes from: rows and the estimate, nominal rates, or users held."""


def nearest(refused: Sequence[Rejection]) -> Rejection:
    """The closest to serving: too slow beats too big, and the last tried is the largest."""
    slow = [one for one in refused if one.times_missed or one.fastest_tpot_s]
    return (slow or refused)[-1]


def _of_replica(found: Rejection, gpu: Gpu, precision: str, shape: ReplicaShape) -> Rejection:
    """The rejection with the replica's name before its reason."""
    return replace(found, reason=f"{gpu.id} {shape.label} {precision}: {found.reason}")
