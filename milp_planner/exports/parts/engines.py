"""The command that serves a replica: vLLM, SGLang or TensorRT-LLM, with the plan's settings.

Arguments are those of vLLM 0.33, SGLang 0.5.23 and, by its documentation, TensorRT-LLM 1.0. A test
holds the first two against lists from their packages. To add one, add a function to `COMMANDS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from milp_planner.errors import Fault, InputError, input_error
from milp_planner.exports.parts.pools import Pool
from milp_planner.exports.parts.words import Words
from milp_planner.inputs.problem.deployment import ENGINE_NAMES, DeploymentSettings
from milp_planner.lazily import dataclass

PORT = 8000
LEADER_PORT = 20000
"""Where the nodes of a replica that spans several meet."""

LORA_RANKS = 1, 8, 16, 32, 64, 128, 256, 320, 512
"""What vLLM takes for the largest rank: the next one that is not less."""

NATIVE_FLOATS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""Formats that an engine computes published weights in without another checkpoint."""


@dataclass(frozen=True)
class Command:
    """What starts a replica, or what stands for it where the plan cannot tell."""

    engine: str
    """vllm, sglang or tensorrt-llm; '' where no engine is known."""

    image: str
    program: tuple[str, ...]
    """The words before the arguments."""

    model: str
    """The weights: a repository, or a word to replace."""

    arguments: tuple[tuple[str, ...], ...]
    """Each with its value, where it has one."""

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command, word by word."""
        return (*self.program, *(word for argument in self.arguments for word in argument))

    def value(self, name: str) -> str | None:
        """What stands behind an argument; None where it is not given."""
        return next((a[1] for a in self.arguments if a[0] == name and len(a) > 1), None)


def command_of(pool: Pool, words: Words, copies: int = 1) -> Command:
    """The command of a replica, or of `copies` of them behind one port.

    Where rates are taken at their word no engine is known: image and command are to be replaced.
    """
    settings = pool.settings
    if settings is None:
        image = words.word(
            f"IMAGE-OF-{pool.workload.llm}", f"the image that serves {pool.workload.llm!r}"
        )
        return Command("", image, (), pool.workload.llm, ())
    return COMMANDS[settings.engine](pool, settings, words, copies)


def check_engine(pools: tuple[Pool, ...], engine: str) -> None:
    """Raise InputError naming every pool whose rates stand on another engine, or on none."""
    faults = [
        Fault("", 0, 0, f"workloads.{pool.workload.name}", _why_not(pool.settings, engine), hint)
        for pool in pools
        if pool.settings is None or pool.settings.engine != engine
        for hint in [f"set its deployment.engine to {engine} and solve again"]
    ]
    if faults:
        raise InputError(dict.fromkeys(faults))


def _why_not(settings: DeploymentSettings | None, engine: str) -> str:
    wanted = ENGINE_NAMES[engine]
    if settings is None:
        return f"its rates are taken at their word, no engine is known: it may not be {wanted}"
    return f"its rates are of {ENGINE_NAMES[settings.engine]}, not of {wanted}"


def _vllm(pool: Pool, settings: DeploymentSettings, words: Words, copies: int) -> Command:
    model, format_ = _weights(pool, words, "--quantization", "--dtype")
    k = pool.candidate

    def arguments() -> Iterator[tuple[str, ...]]:
        """In vLLM's words."""
        yield "--served-model-name", *pool.served_names
        yield "--tensor-parallel-size", str(k.tensor_parallel)
        if k.pipeline_parallel > 1:
            yield "--pipeline-parallel-size", str(k.pipeline_parallel)
        if copies > 1:
            yield "--data-parallel-size", str(copies)
        yield from format_
        if settings.kv_format(k.precision) == "fp8":
            yield "--kv-cache-dtype", "fp8"
        yield from _number("--max-model-len", pool.max_length)
        yield from _number("--max-num-seqs", pool.sequences)
        yield "--gpu-memory-utilization", f"{settings.memory_share:g}"
        if settings.expert_parallel:
            yield ("--enable-expert-parallel",)
        if settings.prefix_cache_share:
            yield ("--enable-prefix-caching",)
        if settings.lora is not None:
            yield ("--enable-lora",)
            yield "--max-loras", str(settings.lora.adapters)
            yield "--max-lora-rank", str(_lora_rank(pool, settings.lora.rank))
        if settings.speculative is not None:
            draft = _draft(pool, words), settings.speculative.draft
            config = dict(zip(("model", "num_speculative_tokens"), draft, strict=True))
            yield "--speculative-config", json.dumps(config)
        yield "--host", "0.0.0.0"
        yield "--port", str(PORT)

    tag = f"v{settings.engine_version}" if settings.engine_version else "latest"
    program = ("vllm", "serve", model)
    return Command("vllm", f"vllm/vllm-openai:{tag}", program, model, tuple(arguments()))


def _sglang(pool: Pool, settings: DeploymentSettings, words: Words, copies: int) -> Command:
    model, format_ = _weights(pool, words, "--quantization", "--dtype")
    k = pool.candidate

    def arguments() -> Iterator[tuple[str, ...]]:
        """In SGLang's words."""
        yield "--model-path", model
        yield "--served-model-name", pool.workload.llm
        yield "--tp-size", str(k.tensor_parallel)
        if k.pipeline_parallel > 1:
            yield "--pp-size", str(k.pipeline_parallel)
        if copies > 1:
            yield "--dp-size", str(copies)
        yield from format_
        if settings.kv_format(k.precision) == "fp8":
            yield "--kv-cache-dtype", "fp8_e4m3"
        yield from _number("--context-length", pool.max_length)
        yield from _number("--max-running-requests", pool.sequences)
        yield "--mem-fraction-static", f"{settings.memory_share:g}"
        if settings.expert_parallel:
            yield "--ep-size", str(k.tensor_parallel)
        if settings.lora is not None:
            yield ("--enable-lora",)
            yield "--max-loras-per-batch", str(settings.lora.adapters)
            yield "--max-lora-rank", str(settings.lora.rank)
        if settings.speculative is not None:
            steps = settings.speculative.draft
            yield (
                "--speculative-algorithm",
                words.word(
                    "SPECULATIVE-ALGORITHM",
                    "EAGLE, EAGLE3 or STANDALONE: what the draft model is of",
                ),
            )
            yield "--speculative-draft-model-path", _draft(pool, words)
            yield "--speculative-num-steps", str(steps)
            yield "--speculative-eagle-topk", "1"
            yield "--speculative-num-draft-tokens", str(steps + 1)  # and the one that is verified
        yield ("--enable-metrics",)
        yield "--host", "0.0.0.0"
        yield "--port", str(PORT)

    tag = f"v{settings.engine_version}" if settings.engine_version else "latest"
    program = ("python3", "-m", "sglang.launch_server")
    return Command("sglang", f"lmsysorg/sglang:{tag}", program, model, tuple(arguments()))


def _tensorrt_llm(pool: Pool, settings: DeploymentSettings, words: Words, copies: int) -> Command:
    model, _ = _weights(pool, words, "", "")
    k = pool.candidate

    def arguments() -> Iterator[tuple[str, ...]]:
        yield "--tp_size", str(k.tensor_parallel)
        if k.pipeline_parallel > 1:
            yield "--pp_size", str(k.pipeline_parallel)
        if settings.expert_parallel:
            yield "--ep_size", str(k.tensor_parallel)
        yield from _number("--max_seq_len", pool.max_length)
        yield from _number("--max_batch_size", pool.sequences)
        yield "--kv_cache_free_gpu_memory_fraction", f"{settings.memory_share:g}"
        yield "--host", "0.0.0.0"
        yield "--port", str(PORT)

    version = f" {settings.engine_version}" if settings.engine_version else ""
    image = words.word("TENSORRT-LLM-IMAGE", f"an image with TensorRT-LLM{version}")
    program = ("trtllm-serve", model)
    return Command("tensorrt-llm", image, program, model, tuple(arguments()))


COMMANDS: dict[str, Callable[[Pool, DeploymentSettings, Words, int], Command]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "tensorrt-llm": _tensorrt_llm,
}


def node_arguments(engine: str, size: str, rank: str, leader: str) -> tuple[tuple[str, ...], ...]:
    """What joins the nodes of one replica: how many there are, which this is, who leads."""
    nodes = ("--nnodes", size), ("--node-rank", rank)
    if engine == "sglang":
        return *nodes, ("--dist-init-addr", f"{leader}:{LEADER_PORT}")
    return *nodes, ("--master-addr", leader), ("--master-port", str(LEADER_PORT))


def _number(name: str, value: int | None) -> Iterator[tuple[str, str]]:
    if value is not None:
        yield name, str(value)


def _weights(
    pool: Pool, words: Words, quantization: str, dtype: str
) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The repository of the weights, and what makes the engine serve them in the plan's format."""
    deployed, precision, llm = pool.workload.deployed, pool.candidate.precision, pool.workload.llm
    if deployed is None or not deployed.hf_id:
        return words.word(f"REPOSITORY-OF-{llm}", f"where the weights of {llm!r} lie"), ()
    native, hf_id = deployed.native_precision, deployed.hf_id
    if precision in NATIVE_FLOATS and native in NATIVE_FLOATS:
        return hf_id, ((dtype, NATIVE_FLOATS[precision]),)
    if precision == native:
        return hf_id, ()
    if precision == "fp8" and native in NATIVE_FLOATS:
        return hf_id, ((quantization, "fp8"),)
    meaning = f"a checkpoint of {hf_id} in {precision}: it is published in {native}"
    return words.word(f"{precision}-CHECKPOINT-OF-{llm}", meaning), ()


def _lora_rank(pool: Pool, rank: int) -> int:
    """The least that vLLM takes; raises InputError where that is none."""
    taken = [most for most in LORA_RANKS if most >= rank]
    if not taken:
        said = f"vLLM takes adapters of a rank up to {LORA_RANKS[-1]}, not of {rank}"
        raise input_error(said, path=f"workloads.{pool.workload.name}.deployment.lora.rank")
    return taken[0]


def _draft(pool: Pool, words: Words) -> str:
    llm = pool.workload.llm
    return words.word(f"DRAFT-MODEL-FOR-{llm}", f"the draft model that speeds {llm!r} up")
