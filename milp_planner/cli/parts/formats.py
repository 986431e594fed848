"""In which format an answer is written: by name, by --json, else by the ending of its file.

To add an ending, name it in the `ENDINGS` of its command, with its format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from milp_planner.cli.parts import streams
from milp_planner.errors import PlannerError

STDOUT = Path("-")


def chosen_format(
    name: str | None,
    as_json: bool,
    output: Path | None,
    endings: Mapping[str, str],
    known: Sequence[str],
    default: str = "text",
) -> str:
    """The format asked for; where only an unknown ending is given, `check_ending` refuses it."""
    if as_json and name not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {name} contradict each other")
    by_ending = default if output is None else endings.get(output.suffix.lower(), default)
    chosen = name if name is not None else "json" if as_json else by_ending
    if chosen not in known:
        raise typer.BadParameter(f"--format: {chosen!r} is not one of {', '.join(known)}")
    return chosen


def check_ending(output: Path | None, is_named: bool, endings: Mapping[str, str]) -> None:
    """Refuse a file whose ending names no format, unless one is named; devices have no ending."""
    if output is None or is_named or output.suffix.lower() in endings:
        return
    if output.exists() and not output.is_file():
        return
    ending = f"the ending {output.suffix} is not known" if output.suffix else "has no ending"
    raise PlannerError(
        f"--output {output}: {ending}; give one of {', '.join(endings)}, or say --format"
    )


def tell_written(output: Path | None, *, has_plan: bool, quiet: bool) -> None:
    """Say on stderr what was written, and that it tells why there is no plan where that is so."""
    if output is not None and not quiet:
        streams.tell(f"wrote {output}{'' if has_plan else ', which says why there is no plan'}")
