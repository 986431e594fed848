"""`milp-planner calibrate`: a user's own measurements into an overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import deployment_options as options
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.deployment_options import (
    Confidence,
    WhichCatalog,
    read_confidence,
    read_counts,
)
from milp_planner.cli.parts.parameters import AsJson, AsOf, Overlays, Quiet

MOST_GPUS = 64
"""Over all the units of a replica."""


def calibrate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES", help="YAML, CSV, or JSON of vllm bench serve, GuideLLM or AIPerf."
        ),
    ],
    llm: Annotated[str | None, typer.Option(metavar="LLM", help="Where a file names none.")] = None,
    gpu: Annotated[str | None, typer.Option(metavar="GPU", help="Where a file names none.")] = None,
    tp: Annotated[
        str | None, typer.Option(metavar="N", help="GPUs of the replica, or of each stage.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME", help="Weight format, such as fp8.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where a file names none.")
    ] = None,
    engine_version: options.EngineVersion = None,
    tuning: options.TuningName = None,
    kv_precision: options.KvPrecisionName = "auto",
    memory_share: options.MemoryShare = None,
    max_sequences: options.MaxSequences = None,
    prefix_cache_share: options.PrefixCacheShare = None,
    expert_parallel: options.ExpertParallel = False,
    lora: options.LoraAdapters = None,
    speculative: options.DraftTokens = None,
    units_per_replica: options.UnitsPerReplica = None,
    pipeline_parallel: options.PipelineParallel = None,
    gb_per_s_between_units: options.BetweenUnits = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new overlay; without it nothing is written."),
    ] = None,
    confidence: Confidence = "p90",
    as_json: AsJson = False,
    catalog: WhichCatalog = "market",
    overlay: Overlays = None,
    as_of: AsOf = None,
    quiet: Quiet = False,
) -> int:
    """Hold your own measurements against the estimate, and keep them as an overlay."""
    from milp_planner.inputs.problem.deployment import ENGINE_NAMES
    from milp_planner.questions.deployments.calibrate import calibrate as hold_against_estimate
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.calibrate import calibrated_dict, calibrated_text

    setup = options.EngineOptions(
        engine=engine if engine in ENGINE_NAMES else "vllm",  # rows may name any other
        engine_version=engine_version,
        tuning=tuning,
        kv_precision=kv_precision,
        memory_share=memory_share,
        max_sequences=max_sequences,
        prefix_cache_share=prefix_cache_share,
        expert_parallel=expert_parallel,
        lora=lora,
        speculative=speculative,
        units_per_replica=units_per_replica,
        pipeline_parallel=pipeline_parallel,
        gb_per_s_between_units=gb_per_s_between_units,
    )
    found = hold_against_estimate(
        files,
        llm=llm,
        gpu=gpu,
        precision=precision,
        tensor_parallel=_one_count("--tp", tp),
        engine=engine,
        deployment=setup.settings(),
        catalog=catalog,
        overlays=overlay or (),
        out=out,
        confidence=read_confidence(confidence),
        as_of=as_of,
    )
    name = None if out is None else str(out)
    answer = calibrated_dict(found, name) if as_json else None
    streams.answer(to_json(answer) if answer else calibrated_text(found, name))
    streams.warn((w for row in found.rows for w in row.warnings), quiet=quiet)
    return exit_codes.FOUND


def _one_count(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    counts = read_counts(option, text, MOST_GPUS)
    if len(counts) > 1:
        raise typer.BadParameter(f"{option}: one number, that of the replica (is {text})")
    return counts[0]
