"""A calendar of commitments in Markdown, as a pull request shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from milp_planner.plans.calendars.records import Calendar, FutureCalendar
from milp_planner.reporting.sheets.markdown import MOST_CHARACTERS, MOST_IN_CELL, joined, md, table
from milp_planner.reporting.text.plans.calendar import (
    ALIGN,
    beside_months,
    calendar_closing,
    calendar_headline,
    calendar_sentences,
    future_headline,
    letter_lines,
    letter_rows,
    short_names,
)
from milp_planner.reporting.text.wording import plural, usd

HEADS = ("month", "traffic", "signed", "bound", "rented", "", "bound, $", "rent, $", "all, $")
MOST_OF_TABLES = 0.8
"""Of all characters that a comment holds, for tables; what is beyond it is named."""


def calendar_markdown(calendar: Calendar) -> str:
    """What to sign when, a table for each future, and how it is known."""
    names = short_names(calendar)
    head = f"{md(calendar.name)}: {md(usd(calendar.usd, 0))} {md(calendar_headline(calendar))}"
    return joined(
        [
            [f"### {head}"],
            [*_listed(calendar_sentences(calendar))],
            *_tables(calendar, names),
            [*_listed(letter_lines(names))],
            [md(" ".join(calendar_closing(calendar)), 4 * MOST_IN_CELL)],
        ]
    )


def _listed(sentences: Iterable[str]) -> Iterator[str]:
    for said in sentences:
        yield f"- {md(said, 4 * MOST_IN_CELL)}"


def _tables(calendar: Calendar, names: Mapping[tuple[str, str], str]) -> Iterator[list[str]]:
    """The futures' months, the first ones where not all have room."""
    left = MOST_OF_TABLES * MOST_CHARACTERS
    for i, future in enumerate(calendar.futures):
        parts = [[f"**{md(future_headline(future))}**"], [*_months(future, names)]]
        left -= sum(len(line) for part in parts for line in part)
        if left < 0:
            others = plural(len(calendar.futures) - i, "more future")
            yield [f"and {others}, whose months `--json` has"]
            return
        yield from parts


def _months(future: FutureCalendar, names: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield from table([md(head) for head in HEADS], ALIGN, [*letter_rows(future, names)])
    yield from _beside(future)


def _beside(future: FutureCalendar) -> Iterator[str]:
    told = [*beside_months(future)]
    if told:
        yield ""
        yield md(" ".join(told), 4 * MOST_IN_CELL)
