"""`milp-planner calibrate`: a user's own measurements into an overlay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milp_planner.cli.parts import deployment_options as options
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.deployment_options import (
    Confidence,
    read_confidence,
    read_counts,
)
from milp_planner.cli.parts.loading import read_problem
from milp_planner.cli.parts.parameters import AsJson, AsOf, CatalogName, Overlays, Quiet

if TYPE_CHECKING:
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.questions.deployments.calibrate import Calibrated
    from milp_planner.questions.deployments.replanned import Replanned

MOST_GPUS = 64
"""Over all the units of a replica."""


def calibrate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="YAML, CSV, or what a benchmark wrote or printed: vLLM, SGLang, GuideLLM, ...",
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
    input_: Annotated[
        float | None,
        typer.Option("--input", metavar="TOKENS", help="Where a file does not say: of a request."),
    ] = None,
    output: Annotated[
        float | None,
        typer.Option("--output", metavar="TOKENS", help="Where a file does not say: of a request."),
    ] = None,
    concurrency: Annotated[
        float | None,
        typer.Option(metavar="N", help="Where a file does not say: requests in flight."),
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
    problem: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Say what the plan of this problem becomes."),
    ] = None,
    confidence: Confidence = "p90",
    as_json: AsJson = False,
    catalog: CatalogName = None,
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
    asked = None if problem is None else read_problem(problem)
    found = hold_against_estimate(
        files,
        llm=llm,
        gpu=gpu,
        precision=precision,
        tensor_parallel=_one_count("--tp", tp),
        engine=engine,
        input_tokens=input_,
        output_tokens=output,
        concurrency=concurrency,
        deployment=setup.settings(),
        catalog=_catalog_of(asked, catalog),
        overlays=overlay or (),
        out=out,
        confidence=read_confidence(confidence),
        as_of=as_of,
    )
    name = None if out is None else str(out)
    moved = None if asked is None else _moved(asked, found, quiet=quiet)
    answer = calibrated_dict(found, name, moved) if as_json else None
    streams.answer(to_json(answer) if answer else calibrated_text(found, name, moved))
    streams.warn((w for row in found.rows for w in row.warnings), quiet=quiet)
    return exit_codes.FOUND


def _catalog_of(problem: Problem | None, named: str | None) -> str:
    """The catalog that the command line names, else the problem's own, else market."""
    from milp_planner.inputs.problem.load import home_of

    if named is not None or problem is None:
        return named if named is not None else "market"
    folder = home_of(problem) / problem.catalog
    return str(folder) if folder.is_dir() else problem.catalog


def _moved(problem: Problem, found: Calibrated, *, quiet: bool) -> Replanned:
    from milp_planner.questions.deployments.replanned import replanned

    with streams.progress(f"planning {problem.name} before and after", quiet=quiet):
        return replanned(problem, found)


def _one_count(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    counts = read_counts(option, text, MOST_GPUS)
    if len(counts) > 1:
        raise typer.BadParameter(f"{option}: one number, that of the replica (is {text})")
    return counts[0]
