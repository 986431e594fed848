"""What can be rented and served: GPUs, LLMs, offerings, token prices and measurements.

A catalog is a folder of CSV files (`catalogs/README.md`); `files.py` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from milp_planner.inputs.catalog.billing import Billing as Billing
from milp_planner.inputs.catalog.evidence.ran_in import RanIn
from milp_planner.inputs.catalog.identity.names import (
    find_llm,
    gpu_spelling,
    gpus_with_words,
    names_in_lower_case,
    short_gpu_names,
)
from milp_planner.inputs.catalog.identity.quotes import Quote
from milp_planner.inputs.catalog.identity.sellers import NO_SELLERS, Sellers, Sold
from milp_planner.inputs.catalog.overlaid.counts import UNTOUCHED, OverlayCounts
from milp_planner.inputs.reading.field_types import Id
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass, field
from milp_planner.units import MOST

Positive = Annotated[float, Field(gt=0, le=MOST)]
NonNegative = Annotated[float, Field(ge=0, le=MOST)]
Count = Annotated[int, Field(ge=1, le=MOST)]
CountOrNone = Annotated[int, Field(ge=0, le=MOST)]


class Sourced(Frozen):
    """A fact with its origin."""

    source: str = Field(min_length=1)
    """Where the fact was read: a repository with file, or a web address."""

    as_of: date
    """The day on which the source said so."""

    note: str = ""
    """What a reader should know before trusting the row."""

    override: bool = False
    """True when an overlay added or replaced the row; set on loading, never written in a file."""


class Gpu(Sourced):
    """One accelerator type in one form factor; peaks are dense, not sparse."""

    id: Id
    """Lower-case key with memory and form factor, e.g. `h100-80gb-sxm`."""

    vendor: str
    memory_gib: Positive | None = None
    """Memory as the driver reports it where known, else the nominal figure, in GiB (2^30 bytes)."""

    memory_bandwidth_gb_per_s: Positive | None = None
    bf16_tflops: Positive | None = None
    fp8_tflops: Positive | None = None
    """Dense fp8 peak; None where the GPU has no fp8 unit, which then computes at the bf16 rate."""

    fp32_tflops: Positive | None = None
    """Peak of products of 32-bit floats; None where the GPU's bf16 peak has to tell it."""

    int8_tops: Positive | None = None
    fp4_tflops: Positive | None = None
    compute_capability: Positive | None = None
    """Generation of an NVIDIA GPU: none before 8.0 has bf16; None where it does not matter."""

    tdp_watts: Positive | None = None
    interconnect: str = "pcie"
    """Link between the GPUs of one unit: pcie, pcie_host (no GPU reaches the memory of another: all
    goes through the host's), nvlink, infinity_fabric, roce, neuronlink or ici."""

    interconnect_gb_per_s: Positive | None = None
    """Peak of that link, of one GPU in one direction, in GB/s; None: what its kind usually has."""

    @property
    def is_on_pcie(self) -> bool:
        """Whether the GPUs of a unit are joined by nothing but the host's bus."""
        return self.interconnect in ("pcie", "pcie_host")


class Llm(Sourced):
    """One language model and its architecture. Fields that do not apply are None or 0."""

    id: Id
    same_shape_as: Id | None = None
    """LLM with the same tensors: fields left empty here, and measurements, are taken from it."""

    hf_id: str = ""
    parameters_b: Positive | None = None
    """All parameters, in billions; None when only `recommended_memory_gib` is known."""

    active_parameters_b: Positive | None = None
    """Parameters used per token, in billions; equals `parameters_b` for a dense LLM."""

    layers: Count | None = None
    hidden_size: Count | None = None
    attention_heads: Count | None = None
    kv_heads: Count | None = None
    head_dim: Count | None = None
    attention: str = ""
    """MHA, GQA, MLA, or one of these with `+sliding`, `+chunked`, `+linear`, `+mamba`, `+DSA`."""

    kv_lora_rank: CountOrNone = 0
    qk_nope_head_dim: CountOrNone = 0
    qk_rope_head_dim: CountOrNone = 0
    v_head_dim: CountOrNone = 0
    full_attention_layers: CountOrNone = 0
    windowed_layers: CountOrNone = 0
    linear_layers: CountOrNone = 0
    window_tokens: CountOrNone = 0
    ffn_size: CountOrNone = 0
    moe_layers: CountOrNone = 0
    experts: CountOrNone = 0
    experts_per_token: CountOrNone = 0
    moe_ffn_size: CountOrNone = 0
    shared_expert_ffn: CountOrNone = 0
    vocabulary: CountOrNone = 0
    tied_embeddings: bool = False
    context_tokens: Count | None = None
    native_precision: str = "bf16"
    """Format of the published weights: bf16, fp8, mxfp4, nvfp4 or int4."""

    embedding_b: NonNegative | None = None
    """Parameters of the input embedding, in billions; both tables where they are tied to one.
    Groups without a figure follow from the shapes, attention is what is left."""

    unembedding_b: NonNegative | None = None
    """Output layer, in billions of parameters; 0 where it is the input embedding."""

    attention_b: NonNegative | None = None
    """Attention, linear attention and state-space mixers with their projections, in billions."""

    dense_mlp_b: NonNegative | None = None
    """Feed-forward parts of the layers without experts, in billions of parameters."""

    experts_b: NonNegative | None = None
    """Routed experts of all layers, in billions of parameters."""

    shared_experts_b: NonNegative | None = None
    """Experts that work on every token, in billions of parameters."""

    router_b: NonNegative | None = None
    norms_b: NonNegative | None = None
    vision_b: NonNegative | None = None
    """Towers of other modalities with their projectors, in billions of parameters."""

    stored_as: str = ""
    """Groups whose published format is not `native_precision`: `attention=bf16 router=fp32`."""

    quantisation_block: CountOrNone = 0
    """Width of the blocks of weights that share one scale in the published quantised checkpoint."""

    kv_bytes_per_token_bf16: NonNegative = 0
    """KV cache of the full-attention layers, bytes per token at 2 bytes per element."""

    kv_bytes_windowed_per_token_bf16: NonNegative = 0
    """KV cache of the windowed layers, bytes per token inside the window, at 2 bytes."""

    linear_state_bytes: NonNegative = 0
    """State that the linear and state-space layers keep of one sequence, in bytes, all layers."""

    recommended_memory_gib: Positive | None = None
    """Memory the publisher recommends; used instead of the memory model where it is given."""


COUNT_ASSUMED = "quoted for one GPU, smallest count sold not stated"


class Offering(Sold, Sourced):
    """One thing a provider rents: GPUs together as a unit, in a region, under one billing."""

    name: Id
    """The provider's name for it, in lower case, e.g. `p5.48xlarge`."""

    region: Id
    billing: Billing
    gpu: Id
    gpus_per_unit: Count
    usd_per_hour: NonNegative
    """Price of a whole unit, in US dollars; 0 of `max_units` that are paid already."""

    instance_type: str = ""
    """What the provider calls the unit, to the letter, as its API takes it; empty: not stated."""

    vcpus: Positive | None = None
    host_memory_gib: Positive | None = None
    """Of the host of a unit; None where the source does not say."""

    kilowatts: Positive | None = None
    """What an owned unit draws at full load, cooling included; set from `owned.csv`."""

    idle_usd_per_hour: NonNegative | None = None
    busy_usd_per_hour: NonNegative | None = None
    """Price of an hour of an owned unit without load, and at full load; set from `owned.csv`."""

    stated_in_price: tuple[str, ...] | None = None
    """Of owned units: which of power, facilities and staff is in it; set from `owned.csv`."""

    max_units: CountOrNone | None = None
    """Units that can be had; None where unknown. No public source states it: users fill it in."""

    billed_by: Literal["second", "minute", "hour", "month"] | None = None
    """The shortest time that is paid on demand; None where the source does not say."""

    count_assumed: bool = False
    """True when the source quotes one GPU and does not say the smallest count it sells."""

    price_acknowledged: bool = False
    """True when a price far from its GPU's median has been looked at and is meant."""

    term_months: Count | None = None
    """Of what is `committed`: months that are paid whether or not the unit runs."""

    quote: CountOrNone = 0
    """Which of a problem's quotes it is, counted from 1; 0: of the catalog; never in a file."""
    list_usd_per_hour: Positive | None = None
    """Where a problem's own terms changed the price, what the catalog lists; never in a file."""

    discount: float = 0.0
    """Share taken off the list price by a problem's own terms; never in a file."""

    also_quoted: tuple[Quote, ...] = ()
    """Its other prices, the newest first; set on loading, never written in a file."""

    other_ids: tuple[str, ...] = ()
    """What other sources call it; set on loading."""

    @property
    def id(self) -> str:
        """`provider/name/region`; rows that differ only in billing share it."""
        return f"{self.provider}/{self.name}/{self.region}"

    @property
    def ids(self) -> tuple[str, ...]:
        """Its id, and those that other sources have for it."""
        return (self.id, *self.other_ids)

    @property
    def key(self) -> tuple[str, str]:
        """(id, billing): unique in a catalog."""
        return f"{self.provider}/{self.name}/{self.region}", self.billing

    @property
    def usd_per_gpu_hour(self) -> float:
        """Price per GPU and hour, in US dollars."""
        return self.usd_per_hour / self.gpus_per_unit

    @property
    def price_note(self) -> str:
        """What whoever pays the price should know of it, in words; empty where nothing is."""
        return "; ".join(filter(None, (COUNT_ASSUMED if self.count_assumed else "", self.note)))


class TokenPrice(Sold, Sourced):
    """One LLM behind a provider's API, paid per token."""

    llm: Id
    region: Id = "global"
    usd_per_m_input_tokens: NonNegative
    usd_per_m_output_tokens: NonNegative
    usd_per_m_cached_tokens: NonNegative | None = None
    max_requests_per_minute: Positive | None = None
    """What the provider accepts of one account, whichever workloads ask."""

    discount: float = 0.0
    """Share taken off the list prices by a problem's own terms; never in a file."""

    billing: Literal["per_token"] = "per_token"

    @property
    def price_note(self) -> str:
        """The row's note, in the shipped catalogs the provider's name for the LLM."""
        return self.note

    @property
    def id(self) -> str:
        """`provider/llm/region`."""
        return f"{self.provider}/{self.llm}/{self.region}"

    @property
    def ids(self) -> tuple[str, ...]:
        """Its id alone."""
        return (self.id,)

    @property
    def key(self) -> tuple[str, str]:
        """(id, billing): unique in a catalog."""
        return self.id, self.billing


class Measurement(RanIn, Sourced):
    """One measured serving point of one replica (stages of `tensor_parallel` GPUs)."""

    llm: str
    """LLM id; `*` on a `raw` row stands for any LLM with no `raw` row on any GPU."""

    gpu: Id
    precision: str
    tensor_parallel: Count
    engine: str = ""
    regime: str = "fixed_concurrency"
    """`fixed_concurrency` (closed loop: latency usable), `offline_max`, `static_batch`, ..."""

    input_tokens: Positive | None = None
    output_tokens: Positive | None = None
    concurrency: Positive | None = None
    """Requests in flight in the replica."""

    output_tokens_per_second: Positive
    """Generated tokens per second of the whole replica; on a `raw` row, all tokens."""

    ttft_s: Positive | None = None
    tpot_s: Positive | None = None
    basis: Literal["measured", "raw"] = "measured"
    """`raw`: a nominal rate per GPU, to be multiplied by the pattern's efficiency and batching."""

    line: CountOrNone = 0
    """Its line in `measurements.csv`, 0 when built in code; set on loading, never written."""

    @property
    def key(self) -> tuple[object, ...]:
        """What was measured, without the result: unique in a catalog."""
        return (
            *(self.llm, self.gpu, self.precision, self.tensor_parallel, self.engine, self.regime),
            *(self.input_tokens, self.output_tokens, self.concurrency, self.basis, *self.joined),
        )

    @property
    def gpus(self) -> int:
        """GPUs of the replica, over all its stages."""
        return self.tensor_parallel * self.joined[1]


@dataclass(frozen=True)
class Catalog:
    """Everything known about what can be rented, as immutable records."""

    name: str
    version: str
    sha256: str
    """Hash of the files that the catalog was read from; '' when built in code."""

    gpus: Mapping[str, Gpu]
    llms: Mapping[str, Llm]
    sellers: Sellers = NO_SELLERS
    llm_aliases: Mapping[str, str] = field(default_factory=dict)
    gpu_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Spellings that stand for one GPU id, or for several and are then ambiguous."""

    offerings: tuple[Offering, ...] = ()
    token_prices: tuple[TokenPrice, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    overrides: int = 0
    """Rows that overlays added or replaced."""

    overlaid: OverlayCounts = UNTOUCHED
    """The same apart, and how many rows of the lowest layer are gone."""

    retired: tuple[tuple[Offering | TokenPrice, str], ...] = ()
    """Prices that overlays took away, each with what did so, in words."""

    made_on: date | None = None
    """The day the youngest manifest states; None when built in code."""

    read_on: date | None = None
    """The day taken for today on reading; None when built in code."""

    notes: tuple[str, ...] = ()
    """What was read but cannot be used, such as offerings without a price."""

    @cached_property
    def measurements_by_llm(self) -> dict[str, tuple[Measurement, ...]]:
        """Measurements by LLM id; LLMs of the same shape share theirs."""
        groups: dict[str, list[Measurement]] = {}
        for row in self.measurements:
            groups.setdefault(self._shape(row.llm), []).append(row)
        llms = {*self.llms, *(row.llm for row in self.measurements)}
        shapes = ((llm, self._shape(llm)) for llm in sorted(llms))
        return {llm: tuple(groups[shape]) for llm, shape in shapes if shape in groups}

    @cached_property
    def providers(self) -> tuple[str, ...]:
        """Everyone who rents GPUs or sells tokens here, in order."""
        renting = {offering.provider for offering in self.offerings}
        return tuple(sorted(renting | {price.provider for price in self.token_prices}))

    @cached_property
    def offering_ids(self) -> dict[str, tuple[str, ...]]:
        """Ids of what is sold by every id that a source has for it; several in several places."""
        ids: dict[str, dict[str, None]] = {}
        rows: tuple[Offering | TokenPrice, ...] = (*self.offerings, *self.token_prices)
        for row in rows:
            for known in row.ids:
                ids.setdefault(known, {})[row.id] = None
        return {known: (known,) if known in of else tuple(of) for known, of in ids.items()}

    def llm(self, name: str) -> Llm | None:
        """The LLM by id, alias or the name of one of its checkpoints; None when there is none."""
        exact = self.llms.get(self.llm_aliases.get(name, name))
        return exact or self.llms.get(find_llm(name, self._llm_names))

    @cached_property
    def _llm_names(self) -> dict[str, str]:
        return names_in_lower_case(self.llms, self.llm_aliases)

    def gpus_named(self, name: str) -> tuple[str, ...]:
        """The GPU ids that a spelling may stand for: one when it is clear, none when unknown."""
        spelled = gpu_spelling(name)
        if name in self.gpus or spelled in self.gpus:
            return (name if name in self.gpus else spelled,)
        return self.gpu_aliases.get(spelled) or gpus_with_words(name, self.gpus)

    def _shape(self, llm: str) -> str:
        known = self.llms.get(llm)
        return known.same_shape_as or llm if known else llm

    @staticmethod
    def of(
        *,
        gpus: Iterable[Gpu],
        llms: Iterable[Llm],
        offerings: Iterable[Offering] = (),
        token_prices: Iterable[TokenPrice] = (),
        measurements: Iterable[Measurement] = (),
        name: str = "in-code",
        version: str = "0",
    ) -> Catalog:
        """A catalog built in code, rows in a fixed order."""
        gpus_by_id = {gpu.id: gpu for gpu in sorted(gpus, key=lambda g: g.id)}
        return Catalog(
            name=name,
            version=version,
            sha256="",
            gpus=gpus_by_id,
            gpu_aliases=short_gpu_names(gpus_by_id),
            llms={llm.id: llm for llm in sorted(llms, key=lambda m: m.id)},
            offerings=tuple(sorted(offerings, key=lambda o: o.key)),
            token_prices=tuple(sorted(token_prices, key=lambda p: p.key)),
            measurements=tuple(measurements),
        )
