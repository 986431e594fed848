"""What a deployment is made of besides LLM, GPU and weight format: engine, settings and extras.

Every field acts on memory, speed, price or on which measurements are believed; none is assumed to
be better than the engine's own default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import NonNegativeNumber, PositiveNumber, Share, WholeNumber, YesNo

Engine = Literal["vllm", "sglang", "tensorrt-llm"]
KvPrecision = Literal["auto", "bf16", "fp8"]
Tuning = Literal["default", "tuned"]
Tier = Literal["default", "tuned", "old"]

ENGINE_NAMES = {"vllm": "vLLM", "sglang": "SGLang", "tensorrt-llm": "TensorRT-LLM"}

MEMORY_SHARE = 0.90
"""The default of vLLM's --gpu-memory-utilization and of TensorRT-LLM's free_gpu_memory_fraction."""

MOST_UNITS_JOINED = 8

FIRST_V1_RELEASE = (0, 8)
"""vLLM 0.8.0 made its V1 engine the default: other limits of the batch, less host time."""

FIRST_RELEASE_OF_2025 = (0, 7)
"""vLLM 0.7.0 is of January 2025; releases before it are the `old` tier."""


class Lora(Frozen):
    """Adapters held beside the weights; they take memory."""

    adapters: Annotated[WholeNumber, Field(ge=1, le=10_000)]
    """Adapters held on the GPUs at once."""

    rank: Annotated[WholeNumber, Field(ge=1, le=1024)]


class Speculative(Frozen):
    """Draft tokens verified in one step. The gain is stated by the user, never assumed."""

    acceptance: Annotated[Share, Field(gt=0, lt=1)]
    """Chance that a draft token is accepted, given that those before it were."""

    draft: Annotated[WholeNumber, Field(ge=1, le=16)]
    """Tokens drafted per step."""

    @property
    def tokens_per_step(self) -> float:
        """Tokens that a step yields on average: (1 − a^(k+1)) / (1 − a).

        a the acceptance, k the drafted tokens (Leviathan et al., "Fast Inference from Transformers
        via Speculative Decoding", 2023, equation 1).
        """
        a: float = self.acceptance
        return (1 - a ** (self.draft + 1)) / (1 - a)


class DeploymentSettings(Frozen):
    """The engine that serves a workload, and how it is set up."""

    engine: Engine = "vllm"
    engine_version: Annotated[str, Field(pattern=r"^\d{1,4}(\.\d{1,4}){1,3}$")] | None = None
    """Such as 0.11.0; measurements of another version are then another deployment's. Default: a
    release of today. vLLM before 0.8 batches at most 256 sequences, before 0.7 it is slower."""

    kv_precision: KvPrecision = "auto"
    """Format of the KV cache. auto: fp8 in TensorRT-LLM under fp8 and 4-bit float weights, fp32
    under fp32 weights, else bf16."""

    memory_share: Annotated[Share, Field(ge=0.1)] = MEMORY_SHARE
    """Share of each GPU's memory that the engine may take; in TensorRT-LLM of what the weights
    leave."""

    max_sequences: Annotated[WholeNumber, Field(ge=1, le=65_536)] | None = None
    """Most requests in flight in a replica; default: the engine's own limit."""

    tuning: Tuning | None = None
    """tuned: a vendor's recipe. Default: default settings; TensorRT-LLM is compiled, so tuned."""

    prefix_cache_share: Annotated[Share, Field(lt=1)] = 0.0
    """Share of the input tokens found in the prefix cache: no prefill for them here, and the price
    of cached tokens at an API that has one."""

    lora: Lora | None = None
    speculative: Speculative | None = None
    expert_parallel: YesNo = False
    """True: the experts of a mixture are spread whole over the GPUs of a replica."""

    units_per_replica: Annotated[WholeNumber, Field(ge=1, le=MOST_UNITS_JOINED)] | None = None
    """Units of one offering that a replica is spread over, all their GPUs; default: as many as a
    stated `tensor_parallel` takes, else 1."""

    pipeline_parallel: Annotated[WholeNumber, Field(ge=1, le=MOST_UNITS_JOINED)] | None = None
    """Stages of a joined replica: 1, or one per unit. Default: both are tried."""

    gb_per_s_between_units: Annotated[PositiveNumber, Field(le=10_000)] | None = None
    """Network of each GPU to the other units in one direction, in GB/s; default: assumed."""

    @model_validator(mode="after")
    def _compiled_engines_are_tuned(self) -> Self:
        if self.engine == "tensorrt-llm" and self.tuning == "default":
            raise RecordError(
                "tensorrt-llm is compiled for its LLM and has no default settings; leave it out",
                at=("tuning",),
            )
        return self

    @model_validator(mode="after")
    def _stages_are_units(self) -> Self:
        if self.pipeline_parallel not in (None, 1, self.units_joined):
            raise RecordError(
                f"a stage is a whole unit: 1, or the {self.units_joined} of units_per_replica",
                at=("pipeline_parallel",),
            )
        if self.gb_per_s_between_units is not None and self.units_joined == 1:
            raise RecordError(
                "nothing is sent between units unless units_per_replica joins 2 or more",
                at=("gb_per_s_between_units",),
            )
        return self

    @property
    def units_joined(self) -> int:
        """Units of one offering that make a replica."""
        return self.units_per_replica or 1

    @property
    def stages(self) -> int:
        """Pipeline stages of a replica."""
        return self.pipeline_parallel or 1

    def joined(self, units: int, stages: int) -> DeploymentSettings:
        """The same over so many units, in so many pipeline stages."""
        update = {"units_per_replica": units, "pipeline_parallel": stages}
        return self.model_copy(update=update)

    @property
    def tier(self) -> Tier:
        """Which kernels and host times to expect."""
        if self.engine == "tensorrt-llm" or self.tuning == "tuned":
            return "tuned"
        return "old" if self.is_before(FIRST_RELEASE_OF_2025) else "default"

    def is_before(self, release: tuple[int, ...]) -> bool:
        """Whether it is a vLLM older than `release`; one without a version is of today."""
        if self.engine != "vllm" or self.engine_version is None:
            return False
        return tuple(int(part) for part in self.engine_version.split(".")) < release

    def kv_format(self, precision: str) -> str:
        """Format of the KV cache under weights in `precision`: bf16, fp8 or fp32."""
        if self.kv_precision != "auto":
            return self.kv_precision
        if precision == "fp32":  # an engine caches what it computes in
            return "fp32"
        compact = precision in FP8_CACHE_UNDER and self.engine == "tensorrt-llm"
        return "fp8" if compact else "bf16"

    @property
    def label(self) -> str:
        """In the reader's words: `vLLM, default settings`; what is not default follows."""
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        version = f" {self.engine_version}" if self.engine_version else ""
        yield f"{ENGINE_NAMES[self.engine]}{version}"
        yield "tuned" if self.tier == "tuned" else "default settings"
        if self.kv_precision != "auto":
            yield f"{self.kv_precision} KV cache"
        if self.memory_share != MEMORY_SHARE:
            yield f"{self.memory_share:.0%} of the memory"
        if self.max_sequences is not None:
            yield f"at most {self.max_sequences:,} sequences"
        if self.expert_parallel:
            yield "experts spread over the GPUs"
        if self.units_joined > 1:
            yield f"{self.units_joined} units joined"
            if self.gb_per_s_between_units is not None:
                yield f"{self.gb_per_s_between_units:g} GB/s per GPU between them"
        if self.stages > 1:
            yield f"pipeline parallel {self.stages}"
        if self.prefix_cache_share:
            yield f"{self.prefix_cache_share:.0%} of the input cached"
        if self.lora is not None:
            yield f"{self.lora.adapters} LoRA adapters of rank {self.lora.rank}"
        if self.speculative is not None:
            s = self.speculative
            yield f"{s.draft} draft tokens, {s.acceptance:.0%} accepted as stated"


FP8_CACHE_UNDER = frozenset({"fp8", "nvfp4", "mxfp4"})
"""Weight formats whose TensorRT-LLM checkpoints name an fp8 KV cache."""

DEFAULT_DEPLOYMENT = DeploymentSettings()


LlmName = Annotated[str, Field(min_length=1, max_length=120)]


class MeasuredRate(Frozen):
    """What one replica on one GPU type was measured to serve, taken at its word."""

    gpu: Annotated[str, Field(min_length=1, max_length=120)]
    gpus_per_replica: Annotated[WholeNumber, Field(ge=1, le=64)] = 1
    requests_per_second: PositiveNumber
    """Of the whole replica, at full load."""

    in_flight: Annotated[WholeNumber, Field(ge=1, le=100_000)] | None = None
    """Requests in flight in the replica at that rate; without it nothing tells how they queue."""

    memory_gib_per_gpu: Annotated[PositiveNumber, Field(le=1_000_000)] | None = None
    """Memory of each GPU that the replica takes at that rate, all its engine is given, in GiB;
    without it nothing tells what fits beside it."""


class QualityFile(Frozen):
    """A CSV file of figures of quality, such as a table of your own tests or of a leaderboard."""

    file: Annotated[str, Field(min_length=1, max_length=4096)]
    """Relative to the folder of the problem's file; a row for each LLM, others do not matter."""

    llm_column: Annotated[str, Field(min_length=1, max_length=200)] = "llm"
    """Its column of LLMs, by any name that the catalog knows."""

    quality_column: Annotated[str, Field(min_length=1, max_length=200)] = "quality"
    """Its column of figures, where more is better."""


class AnyLlm(Frozen):
    """LLMs any of which may serve a workload, and how good the answers must be."""

    any_of: tuple[LlmName, ...] = Field(min_length=1, max_length=20)
    quality: dict[LlmName, NonNegativeNumber] = Field(default_factory=dict)
    """Of every LLM named, on any one scale: your own figures; none are invented."""

    quality_from: QualityFile | None = None
    """A file that states those which `quality` does not."""

    at_least: PositiveNumber | None = None
    """What the quality must be on average over the requests that are served."""

    each: PositiveNumber | None = None
    """What the quality of every LLM that serves must be."""

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        twice = [name for name in self.any_of if self.any_of.count(name) > 1]
        if twice:
            raise RecordError(f"{twice[0]} is named twice", at=("any_of",))
        for name in self.quality:
            if name not in self.any_of:
                raise RecordError(f"{name} is not in any_of", at=("quality", name))
        return self

    @model_validator(mode="after")
    def _wishes_can_be_kept(self) -> Self:
        if not (self.quality_from and self.not_stated) and (fault := self.wish_fault()):
            key, message = fault
            raise RecordError(message, at=(key,))
        return self

    @property
    def not_stated(self) -> tuple[str, ...]:
        """The LLMs of which no quality is stated here."""
        return tuple(name for name in self.any_of if name not in self.quality)

    def wish_fault(self) -> tuple[str, str] | None:
        """(key, why) of a wish for quality that cannot be judged, or kept; None where all can."""
        for key in ("at_least", "each"):
            wish = getattr(self, key)
            if wish is None:
                continue
            for name in self.not_stated:
                return key, f"needs the quality of every LLM, and that of {name} is not stated"
            best = max(self.quality.values())
            if best < wish:
                return key, f"no LLM here is as good: the best is {best:g} (is {wish:g})"
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that may serve."""
        least = self.each
        if least is None:
            return self.any_of
        return tuple(n for n in self.any_of if self.quality.get(n, least) >= least)
