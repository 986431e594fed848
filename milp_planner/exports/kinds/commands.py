"""vLLM and SGLang command lines: one file for each pool, with the reason of every number."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial

from milp_planner.exports.parts.engines import (
    Command,
    check_engine,
    command_of,
    node_arguments,
)
from milp_planner.exports.parts.pools import (
    LENGTH_STEP,
    Pool,
    counted,
    plan_lines,
    pool_lines,
    pools_of,
)
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import commented
from milp_planner.plans.records import Plan

WIDE = " \\\n  "


def command_files(plan: Plan, words: Words, engine: str) -> dict[str, str]:
    """`NAME.sh` for each pool; raises InputError for pools of another engine."""
    pools = pools_of(plan)
    check_engine(pools, engine)
    return {f"{pool.name}.sh": _script(pool, words) for pool in pools}


def _script(pool: Pool, words: Words) -> str:
    command = command_of(pool, words)
    k = pool.candidate
    nodes = pool.nodes_per_replica
    reasons = [*plan_lines(pool.plan), "", *pool_lines(pool), "", *argument_lines(pool, command)]
    times, gpus = counted(pool.most, "time"), counted(pool.gpus_per_replica, "GPU")
    run = f"Run it {times}, each on {gpus} of its own"
    if k.gpu_set is not None:
        others = [m.workload for m in k.gpu_set.members if m.workload != k.workload]
        stand = f"{' and '.join(others)} {'stand' if len(others) > 1 else 'stands'}"
        run = (
            f"Run it {times}, each on a GPU on which {stand}, too, named in "
            "CUDA_VISIBLE_DEVICES, with a port of its own"
        )
    if nodes > 1:
        run += f" over {nodes} units: NODE_RANK is 0 to {nodes - 1}, LEADER is where rank 0 runs"
    elif k.replicas_per_unit > 1:
        run += f", {k.replicas_per_unit} to a unit: name them in CUDA_VISIBLE_DEVICES"
    words_ = [" ".join(command.program) if _is_plain(command) else shlex.join(command.program)]
    words_ += [shlex.join(argument) for argument in command.arguments]
    if nodes > 1:
        joined = node_arguments(command.engine, str(nodes), '"$NODE_RANK"', '"$LEADER"')
        words_ += [" ".join(argument) for argument in joined]
        if command.engine == "vllm":
            words_.append('$([ "$NODE_RANK" = 0 ] || echo --headless)')
    text = commented([*reasons, "", f"{run}."])
    return f"#!/bin/sh\n{text}exec {WIDE.join(words_)}\n"


def _is_plain(command: Command) -> bool:
    return shlex.join(command.program) == " ".join(command.program)


def argument_lines(pool: Pool, command: Command) -> Iterator[str]:
    """Why the arguments are what they are, for those that the plan decides."""
    k = pool.candidate
    if pool.max_length is not None:
        yield _length_line(pool, pool.max_length)
    settings = pool.settings
    if pool.sequences is not None and settings is not None:
        asked = settings.max_sequences
        why = (
            "as many as the planned rate has in flight; more make every one slower"
            if asked is None
            else f"deployment.max_sequences; the plan has {pool.in_flight} in flight"
        )
        yield f"Sequences {pool.sequences}: {why}."
    if settings is not None:
        yield (
            f"Memory share {settings.memory_share:g} and a KV cache in "
            f"{settings.kv_format(k.precision)}: the plan's memory is reckoned with both."
        )
        if settings.prefix_cache_share:
            yield (
                f"Prefix caching: the plan counts on {settings.prefix_cache_share:.3g} of the "
                "input to be found there."
            )
    if command.engine and settings is not None and settings.engine_version is None:
        yield "The problem names no version of the engine: pin the one that you measured."


def _length_line(pool: Pool, length: int) -> str:
    """Where the longest request that is taken comes from, and when to change it."""
    llm, context = pool.workload.llm, pool.context_tokens
    longest = (
        f"the longest class of requests has {pool.longest:,.6g} tokens on average, input and "
        "output together"
    )
    if length <= pool.longest + LENGTH_STEP:
        most = "" if context is None else f"; {llm} takes {context:,}"
        return f"Length {length:,}: {longest}. Raise it to your longest request{most}."
    why = (
        f"all that {llm} takes"
        if length == context
        else f"so much the cache surely holds at the planned rate; {llm} takes {context:,}"
    )
    return f"Length {length:,}: {why}. Lower it to your longest request: {longest}."


vllm_files = partial(command_files, engine="vllm")
sglang_files = partial(command_files, engine="sglang")
