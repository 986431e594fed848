"""`milp-planner init` and `schema`: help with writing a problem."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import STDIN

EXAMPLE = "example.yaml"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def init(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to; - writes to standard output.")
    ] = "problem.yaml",
) -> int:
    """Write a commented example problem; never overwrites."""
    if file == STDIN:
        streams.answer(example())
        return exit_codes.FOUND
    streams.write_new_file(file, example())
    streams.tell(f"wrote {file}; next: milp-planner solve {file}")
    return exit_codes.FOUND


def schema() -> int:
    """Print the JSON Schema of the problem file."""
    from milp_planner.reporting.documents.json import to_json

    streams.answer(to_json(problem_schema()))
    return exit_codes.FOUND


def example() -> str:
    """The commented example problem."""
    from importlib.resources import files

    return files("milp_planner.cli").joinpath(EXAMPLE).read_text(encoding="utf-8")


def problem_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the problem file, with the keys as they are written there."""
    from milp_planner.inputs.problem.records import Problem

    written = Problem.model_json_schema(by_alias=True)
    required = ["schema_version", *written.pop("required", [])]
    return {"$schema": DIALECT, **written, "required": list(dict.fromkeys(required))}
