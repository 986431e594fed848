"""A calendar in each of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milp_planner.plans.calendars.records import Calendar

JSON_FORMATS = ("json", "sheet-json")
TEXT_FORMATS = ("sheet", "text")
HTML, MARKDOWN = "html", "markdown"
CALENDAR_FORMATS = (*JSON_FORMATS, *TEXT_FORMATS, MARKDOWN, HTML)

WIDTH = 80
"""Columns of what is printed."""


def calendar_written(calendar: Calendar, format_name: str) -> str:
    """The calendar in one of its formats; each is slow to import, and the others not needed."""
    if format_name in JSON_FORMATS:
        from milp_planner.reporting.documents.json import to_json

        return to_json(calendar.to_dict())
    if format_name == HTML:
        from milp_planner.reporting.html.calendar import calendar_page

        return calendar_page(calendar)
    if format_name == MARKDOWN:
        from milp_planner.reporting.sheets.calendar import calendar_markdown

        return calendar_markdown(calendar)
    from milp_planner.reporting.text.plans.calendar import calendar_text

    return calendar_text(calendar, WIDTH)
