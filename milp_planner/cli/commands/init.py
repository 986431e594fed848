"""`milp-planner init`: a commented example problem."""

from __future__ import annotations

from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import STDIN

EXAMPLE = "example.yaml"


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


def example() -> str:
    """The commented example problem."""
    from importlib.resources import files

    return files("milp_planner.cli").joinpath(EXAMPLE).read_text(encoding="utf-8")
