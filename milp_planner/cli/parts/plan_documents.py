"""Documents that `solve` wrote, read back: of a plan (`--json`), or of a sheet."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milp_planner.plans.records import Plan
    from milp_planner.plans.sheet.records import Sheet


def read_plan_document(file: str) -> Plan | Sheet:
    """The plan or sheet in a JSON file; `-` is standard input.

    Raises InputError, with the file's name, for anything else.
    """
    from milp_planner.errors import InputError, input_error
    from milp_planner.inputs.reading.files import MOST_BYTES, decoded, read_text, too_large
    from milp_planner.inputs.reading.strict_json import parse_json
    from milp_planner.plans.records import Plan
    from milp_planner.plans.sheet.records import Sheet

    name = "standard input" if file == "-" else file
    if file == "-":
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise input_error(too_large(MOST_BYTES), file=name)
        text = decoded(content, name)
    else:
        text = read_text(file)
    document = parse_json(text, name)
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


def read_plan_only(file: str) -> Plan:
    """The plan in a JSON file; raises InputError for the document of a sheet, too."""
    from milp_planner.errors import input_error
    from milp_planner.plans.records import Plan

    found = read_plan_document(file)
    if not isinstance(found, Plan):
        hint = "solve --json writes one"
        raise input_error("is the document of a sheet, not of a plan", file=file, hint=hint)
    return found
