"""How to plan: utilization, penalties, and what holds for all workloads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.catalog.records import Billing
from milp_planner.inputs.reading.field_types import (
    Ceiling,
    Confidence,
    PenaltyUsd,
    ShareOrNone,
    UsefulShare,
)
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import (
    HOURS_PER_MONTH,
    SECONDS_PER_DAY,
    Days,
    PositiveNumber,
    Seconds,
    Share,
    WholeNumber,
    YesNo,
)

DEFAULT_OF = {"target": 0.75, "ceiling": None}
"""Of a utilization that nobody states."""


class Utilization(Frozen):
    """How full a fleet may be planned."""

    target: UsefulShare = 0.75
    """Highest utilization at the peak that costs no penalty; hard while `ceiling` equals it."""

    ceiling: Ceiling | None = None
    """Highest utilization allowed at all; above the target only at a penalty. Default: target."""

    by: Literal["target", "queues"] = "target"
    """`queues`: no target; how full a pool may run is what its wishes for the wait allow."""

    @model_validator(mode="after")
    def _queues_know_no_target(self) -> Self:
        if self.by == "queues":
            for key in ("target", "ceiling"):
                if key in self.model_fields_set and getattr(self, key) != DEFAULT_OF[key]:
                    raise RecordError(
                        "queues take its place; leave it out, or leave out by: queues",
                        at=(key,),
                        clashes_with=("by",),
                    )
        return self

    @model_validator(mode="after")
    def _ceiling_is_not_below_target(self) -> Self:
        if self.ceiling is not None and self.ceiling < self.target:
            raise ValueError(f"ceiling {self.ceiling:g} is below the target {self.target:g}")
        return self

    @property
    def planned(self) -> float:
        """The target; all of it where queues decide."""
        return 1.0 if self.by == "queues" else self.target

    @property
    def highest(self) -> float:
        """The ceiling, or the target where none is given; all of it where queues decide."""
        if self.by == "queues":
            return 1.0
        return self.target if self.ceiling is None else self.ceiling


class OverloadPenalty(Frozen):
    """A ramp on the utilization above a threshold, not capped."""

    above: ShareOrNone = 0.90
    usd_at_full_load: PenaltyUsd = 20_000


class ScalingPenalty(Frozen):
    """A price per GPU beyond a count, over the workload's whole fleet."""

    above_gpus: Annotated[WholeNumber, Field(ge=0)] = 8
    usd_per_gpu: PenaltyUsd = 50_000
    per: Literal["workload"] = "workload"


class StrictLatencyPenalty(Frozen):
    """A price on the high band for workloads with a strict requirement."""

    below_s: Seconds = Field(default=0.3, validation_alias="below", serialization_alias="below")
    usd: PenaltyUsd = 30_000


class ShortfallPenalty(Frozen):
    """A price on requests left unserved; without it none may be."""

    usd_per_million_requests: PenaltyUsd


class Penalties(Frozen):
    """Prices on soft outcomes; each is off unless given."""

    overload: OverloadPenalty | None = None
    scaling: ScalingPenalty | None = None
    strict_latency: StrictLatencyPenalty | None = None
    shortfall: ShortfallPenalty | None = None


REFERENCE_PENALTIES = Penalties(
    overload=OverloadPenalty(), scaling=ScalingPenalty(), strict_latency=StrictLatencyPenalty()
)
"""The three published penalties of the InferenceAtlas reference."""


class StartUp(Frozen):
    """How long units take before they serve, from the moment that they are paid for."""

    offering: Annotated[str, Field(min_length=1, max_length=200)] = "*"
    """Id of an offering, or a pattern."""

    billing: Billing | None = None
    """Of one billing only."""

    ready_after_s: Annotated[Seconds, Field(le=SECONDS_PER_DAY)] = Field(
        validation_alias="ready_after", serialization_alias="ready_after"
    )
    """Until the LLM is loaded; of units that are off at times."""


class Policy(Frozen):
    """How to plan."""

    preset: Literal["inference-atlas"] | None = None
    """`inference-atlas`: the reference's penalties where the problem does not set its own."""

    serving_model: Literal["default", "infrascale"] = "default"
    """`infrascale`: that tool's published formulas, for traffic of concurrent users alone."""

    utilization: Utilization = Utilization()
    penalties: Penalties = Penalties()
    confidence: Confidence = "p90"
    """How sure to be of an estimate: p90 plans on what 90 of 100 replicas reach or exceed."""

    hours_per_month: Annotated[PositiveNumber, Field(ge=1, le=744)] = HOURS_PER_MONTH
    switch_off_dedicated: YesNo | None = None
    """Whether on-demand units are off, and unpaid, in blocks in which their workload has no load;
    default: those that the catalog says are billed by the second, the minute or the hour."""

    routing: Literal["shared", "per_offering"] = "shared"
    """What wishes for waits are kept behind. `shared`: one least-in-flight router before all
    replicas of a workload; `per_offering`: an endpoint and a queue for each offering."""

    share: Literal["none", "units", "gpus"] | None = None
    """`units`: replicas of several workloads may stand on one unit of several GPUs; `gpus`: small
    LLMs of two or three workloads on one GPU, too; `none`: a unit belongs to one workload. Default:
    they share units where that costs less, and no GPUs."""

    start_up: tuple[StartUp, ...] = ()
    """Units that are off at times are paid for so long before they serve; the last entry that
    matches an offering holds."""

    when_short: Literal["fail", "fair", "priority"] | None = None
    """What is served where not everything can be, whatever is short: budget, quotas, or the units
    that there are. Default: what `limits.budget.when_short` says; `fail` beside that: money alone
    may be short."""

    power_by_load: YesNo = False
    """Owned units that state what they draw idle and at full load pay power for the load that they
    carry, not for an average."""

    spot_loss: Share = 0.0
    """Share of spot work that is lost and run again; it costs that share of the spot rent."""

    stale_after_days: Days = Field(
        default=90.0, validation_alias="stale_after", serialization_alias="stale_after"
    )
    """Prices older than this are warned of beside the headline, with the money at stake."""

    @property
    def active_penalties(self) -> Penalties:
        """The penalties in force, the preset's filled in."""
        if self.preset is None:
            return self.penalties
        given = {name: getattr(self.penalties, name) for name in Penalties.model_fields}
        preset = {name: getattr(REFERENCE_PENALTIES, name) for name in Penalties.model_fields}
        return Penalties(**{name: given[name] or preset[name] for name in given})

    @property
    def confidence_share(self) -> float:
        """`confidence` as a number between 0 and 1."""
        if isinstance(self.confidence, str):
            return int(self.confidence[1:]) / 100
        return self.confidence


FULL = Utilization(target=1.0)


def with_objective(problem: Any) -> Any:
    """The problem, once its objective fits what else it says.

    Under InfraScale's formulas the fewest GPUs are counted as that tool counts them, at full load,
    unless the problem states a utilization. Raises RecordError for what contradicts the objective.
    """
    if problem.objective != "gpus":
        return problem
    if problem.policy.active_penalties.shortfall is not None:
        raise RecordError(
            "with a price on unserved requests the fewest GPUs are none at all; leave out "
            "policy.penalties.shortfall, or plan by cost",
            at=("objective",),
        )
    if problem.alternatives.within is not None:
        raise RecordError(
            "a band of cost says nothing of plans with the fewest GPUs; leave out "
            "alternatives.within, or plan by cost",
            at=("objective",),
        )
    policy = problem.policy
    if policy.serving_model == "infrascale" and "utilization" not in policy.model_fields_set:
        problem.__dict__["policy"] = policy.model_copy(update={"utilization": FULL})
    return problem


def with_requirements_read(problem: Any) -> Any:
    """The problem, once something reads each latency requirement; else RecordError."""
    if problem.policy.active_penalties.strict_latency is None:
        for i, w in enumerate(problem.workloads):
            if w.latency.requirement_s is not None:
                raise RecordError(
                    "nothing keeps it: it only steers policy.penalties.strict_latency, which "
                    "is not set; write ttft for the first token's time, tpot for each further "
                    "one's, request for all of it, or set that penalty",
                    at=("workloads", i, "latency", "requirement"),
                )
    return problem


def with_units_to_join(problem: Any) -> Any:
    """The problem, once there are units where some are to be joined; RecordError where not."""
    if problem.limits.billing.allow == ("per_token",):
        for i, w in enumerate(problem.workloads):
            if w.deployment.units_joined > 1:
                raise RecordError(
                    "units are joined only where GPUs are rented, and limits.billing.allow has "
                    "per_token alone; leave it out, or allow dedicated",
                    at=("workloads", i, "deployment", "units_per_replica"),
                )
    return problem


def with_names_apart(problem: Any) -> Any:
    """The problem, once no two workloads have one name; else RecordError."""
    first: dict[str, int] = {}
    for i, w in enumerate(problem.workloads):
        if w.name in first:
            raise RecordError(
                f"two workloads are named {w.name!r}",
                at=("workloads", i, "name"),
                clashes_with=("workloads", first[w.name], "name"),
            )
        first[w.name] = i
    return problem
