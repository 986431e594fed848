"""Documents that `solve` wrote, read back: of a plan (`--json`), or of a sheet."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milp_planner.plans.records import Plan
    from milp_planner.plans.sheet.records import Sheet


def read_plan_document(file: str) -> Plan | Sheet:
    """The plan or sheet in a JSON file; `-` is standard input.

    Raises InputError, with the file's name, for anything else.
    """
    from milp_planner.errors import InputError, input_error
    from milp_planner.inputs.reading.strict_json import parse_json
    from milp_planner.plans.records import Plan
    from milp_planner.plans.sheet.records import Sheet

    name = "standard input" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        document = parse_json(content.decode("utf-8"), name)
    except OSError as error:
        raise input_error(f"cannot be read: {error.strerror}", file=name) from None
    except UnicodeDecodeError:
        raise input_error("is not UTF-8 text", file=name) from None
    if not isinstance(document, dict):
        raise input_error(
            "is not the document of a plan", file=name, hint="solve --json writes one"
        )
    try:
        if "sheet_version" in document:
            return Sheet.from_dict(document)
        return Plan.from_dict(document)
    except InputError as error:
        raise InputError([replace(fault, file=name) for fault in error.faults]) from None
