"""`milp-planner diff`: two plans held against each other."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.values import read_share


class DiffFormat(Enum):
    """How the comparison is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def diff_plans(
    old: Annotated[str, typer.Argument(metavar="OLD", help="What solve --json wrote before.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it writes now; - is stdin.")],
    format_: Annotated[
        DiffFormat, typer.Option("--format", "-f", help="text, markdown or json.")
    ] = DiffFormat.TEXT,
    fail_if_increase: Annotated[
        float | None,
        typer.Option(
            parser=read_share,
            metavar="SHARE",
            help="Exit 4 where the bill grows by more, e.g. 5%, or cannot be compared.",
        ),
    ] = None,
) -> int:
    """Say what another plan buys otherwise, and what that does to the bill."""
    from milp_planner.cli.parts.plan_documents import read_plan_document
    from milp_planner.plans.sheet.compared import plan_diff
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.sheets.diff import diff_text, last_line
    from milp_planner.reporting.sheets.markdown import diff_markdown
    from milp_planner.reporting.text.wording import fine_percent

    if old == new == "-":
        raise typer.BadParameter("only one of OLD and NEW can be standard input")
    found = plan_diff(read_plan_document(old), read_plan_document(new))
    match format_:
        case DiffFormat.JSON:
            streams.answer(to_json(found.to_dict()))
        case DiffFormat.MARKDOWN:
            streams.answer(diff_markdown(found))
        case DiffFormat.TEXT:
            streams.answer_report(diff_text(found))
    if fail_if_increase is not None and found.increases_by_more_than(fail_if_increase):
        streams.tell(f"{last_line(found)}; allowed: {fine_percent(fail_if_increase)}")
        return exit_codes.GATE
    return exit_codes.FOUND
