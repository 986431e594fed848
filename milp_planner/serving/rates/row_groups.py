"""Measured rows of one replica and one deployment, as curves against the deployment's estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from milp_planner.inputs.catalog.records import Measurement
from milp_planner.inputs.problem.deployment import (
    DEFAULT_DEPLOYMENT,
    DeploymentSettings,
    Engine,
    Lora,
)
from milp_planner.lazily import dataclass, field
from milp_planner.serving.rates.measured import CLOSED_LOOP, OFFLINE, Curve, Speed, build_curves

SpeedIn = Callable[[float, float, DeploymentSettings], Speed]
"""The estimate of a replica at (input, output tokens) in a deployment, or its stand-in."""

ENGINES = frozenset(get_args(Engine))

COMPARED = ("engine", "tier", "expert_parallel", "prefix_cache_share")
"""What must be the same in two deployments for a row of one to measure the other."""


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows of one replica that ran in one deployment."""

    engine: str
    stated: Mapping[str, Any]
    """Fields of the deployment that the rows state."""

    own: bool
    """The user's, made with the user's deployment."""

    draft_tokens: int
    rows: tuple[Measurement, ...]
    speed_in: SpeedIn
    offline_sequences: Callable[[float, DeploymentSettings], int]
    """Requests of so many tokens that an endless queue keeps in flight in a deployment."""

    _curves: dict[DeploymentSettings, tuple[Curve, ...]] = field(default_factory=dict)

    def ran_in(self, asked: DeploymentSettings) -> DeploymentSettings:
        """The deployment of the rows; what a user's own rows leave out is as asked about."""
        base = asked if self.own else DEFAULT_DEPLOYMENT
        fields = _fields(base) | {"prefix_cache_share": 0.0, "speculative": None, "lora": None}
        replica = {"units_per_replica": None, "pipeline_parallel": None}  # not stated: one
        if "units_per_replica" not in self.stated:
            replica["gb_per_s_between_units"] = None
        return _settings(fields | replica, self.stated)

    def asked_as(self, asked: DeploymentSettings) -> DeploymentSettings:
        """The deployment to predict from the rows: their gain of draft tokens is in them."""
        fields = _fields(asked)
        if self.draft_tokens:
            fields["speculative"] = None
        if not self.own:
            return DeploymentSettings(**fields)
        kept = {name: value for name, value in self.stated.items() if name not in NOT_KEPT}
        return _settings(fields, kept)

    def says_something_of(self, asked: DeploymentSettings) -> bool:
        """Rows with draft tokens say nothing of other numbers of them."""
        drafted = asked.speculative.draft if asked.speculative else 0
        return self.draft_tokens in (0, drafted)

    def ran_with_no_more_memory_than(self, asked: DeploymentSettings) -> bool:
        """Whether what ran there fits in the share of memory asked about, as far as it is known."""
        return self.ran_in(asked).memory_share <= asked.memory_share

    def is_of(self, asked: DeploymentSettings, precision: str) -> bool:
        """Whether the rows measured the very deployment asked about."""
        if self.own:
            return self.engine in ("", asked.engine)
        if self.engine != asked.engine or not self._settings_are_known:
            return False
        ran = self.ran_in(asked)
        versions = {v for v in (ran.engine_version, asked.engine_version) if v}
        drafted = asked.speculative.draft if asked.speculative else 0
        return (
            all(getattr(ran, name) == getattr(asked, name) for name in COMPARED)
            and ran.kv_format(precision) == asked.kv_format(precision)
            and len(versions) < 2
            and self.draft_tokens == drafted
            and asked.lora is None
        )

    def curves(self, asked: DeploymentSettings) -> tuple[Curve, ...]:
        """Closed-loop rows, else those of an endless queue, against the estimate of their own
        deployment: one curve per request size."""
        ran = self.ran_in(asked)
        if ran not in self._curves:

            def speed(input_tokens: float, output_tokens: float) -> Speed:
                return self.speed_in(input_tokens, output_tokens, ran)

            closed = build_curves([r for r in self.rows if r.regime in CLOSED_LOOP], speed)
            sizes = {(c.input_tokens, c.output_tokens) for c in closed}
            queues = build_curves(self._queued(ran), speed)
            kept = [c for c in queues if (c.input_tokens, c.output_tokens) not in sizes]
            self._curves[ran] = (*closed, *kept)
        return self._curves[ran]

    @property
    def _settings_are_known(self) -> bool:
        return (
            self.engine == "tensorrt-llm"
            or "tuning" in self.stated
            or "engine_version" in (self.stated)
        )

    def _queued(self, ran: DeploymentSettings) -> Iterator[Measurement]:
        """Rows of an endless queue, at the concurrency that memory then allows."""
        for row in self.rows:
            if row.regime == OFFLINE and row.input_tokens and row.output_tokens:
                tokens = row.input_tokens + row.output_tokens
                n = float(max(1, self.offline_sequences(tokens, ran)))
                yield row.model_copy(update={"concurrency": n})


def grouped(
    rows: Iterable[Measurement],
    speed_in: SpeedIn,
    offline_sequences: Callable[[float, DeploymentSettings], int],
) -> tuple[RowGroup, ...]:
    """Rows of one replica by owner and deployment: a curve through two would be nobody's."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in rows:
        stated = stated_in(row)
        key = row.override, row.engine, row.draft_tokens, tuple(sorted(stated.items(), key=str))
        groups.setdefault(key, []).append(row)
    return tuple(
        _group(found, speed_in, offline_sequences)
        for _, found in sorted(groups.items(), key=lambda item: str(item[0]))
    )


def stated_in(row: Measurement) -> dict[str, Any]:
    """The fields of its deployment that a row states."""
    stated: dict[str, Any] = {}
    if row.engine in ENGINES:
        stated["engine"] = row.engine
    if row.engine_version and row.engine in ENGINES:
        stated["engine_version"] = row.engine_version
    if row.tuning and row.engine != "tensorrt-llm":
        stated["tuning"] = row.tuning
    if row.kv_precision:
        stated["kv_precision"] = row.kv_precision
    if row.expert_parallel:
        stated["expert_parallel"] = True
    if row.prefix_cache_share:
        stated["prefix_cache_share"] = row.prefix_cache_share
    for name in IF_STATED:
        if getattr(row, name) is not None:
            stated[name] = getattr(row, name)
    if row.lora_adapters:
        stated["lora"] = Lora(adapters=row.lora_adapters, rank=1)
    return stated


def _group(
    rows: Sequence[Measurement],
    speed_in: SpeedIn,
    offline_sequences: Callable[[float, DeploymentSettings], int],
) -> RowGroup:
    first = rows[0]
    return RowGroup(
        engine=first.engine,
        stated=stated_in(first),
        own=first.override,
        draft_tokens=first.draft_tokens,
        rows=tuple(rows),
        speed_in=speed_in,
        offline_sequences=offline_sequences,
    )


OF_JOINED_UNITS = ("units_per_replica", "pipeline_parallel", "gb_per_s_between_units")

IF_STATED = ("memory_share", "max_sequences", *OF_JOINED_UNITS)

NOT_KEPT = (
    *("prefix_cache_share", "lora"),
    *("memory_share", "max_sequences", "gb_per_s_between_units"),
)
"""What rows state and the deployment asked about answers for: its gains, and its limits."""


def _fields(settings: DeploymentSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in type(settings).model_fields}


def _settings(fields: Mapping[str, Any], stated: Mapping[str, Any]) -> DeploymentSettings:
    """`fields` with what is stated on top; what belongs to one engine goes with it."""
    merged = {**fields, **stated}
    if merged["engine"] != fields["engine"]:
        for name in ("engine_version", "tuning"):
            merged[name] = stated.get(name)
    if merged["engine"] == "tensorrt-llm" and merged["tuning"] == "default":
        merged["tuning"] = None
    return DeploymentSettings(**merged)
