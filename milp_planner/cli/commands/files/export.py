"""`milp-planner export`: a plan as the files that other tools deploy, scale, route and bill by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams

FORMAT_NAMES = (
    "vllm",
    "sglang",
    "kubernetes",
    "llm-d",
    "production-stack",
    "aibrix",
    "skyserve",
    "dstack",
    "keda",
    "hpa",
    "karpenter",
    "dynamo",
    "httproute",
    "litellm",
    "focus",
)
"""Those of `exports.formats.FORMATS`, which is slow to import; a test holds them together."""


def export(
    format_: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"One of {', '.join(FORMAT_NAMES)}.")
    ],
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="What solve --json wrote; - is stdin.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go; a new folder."),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier export wrote there.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 4 where a word of a file has to be replaced.")
    ] = False,
) -> int:
    """Write a plan as files of other tools: manifests, autoscalers, routes, cost rows."""
    from milp_planner.cli.parts.plan_documents import read_plan_only

    written = read_plan_only(plan).export(format_, output, overwrite=overwrite)
    for word, meaning in written.to_replace.items():
        streams.tell(f"replace {word}: {meaning}")
    count = len(written.files)
    streams.tell(f"{count} files in {output}; README.md lists them")
    return exit_codes.GATE if strict and written.to_replace else exit_codes.FOUND
