"""A sheet as HTML: a whole page to forward and print, or a part of a notebook.

The templates lay out and compute nothing. Every text of a file passes `escape`, which makes control
characters visible, and then Jinja2's own escaping; only what the templates write is markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count as counter
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.html.contents import Contents, contents_of
from milp_planner.reporting.html.paper import DENSE_BELOW, print_size
from milp_planner.reporting.text.wording import escape

_shown = counter(1)


def sheet_page(sheet: Sheet) -> str:
    """The sheet as one self-contained file: no script, nothing fetched, equal for equal sheets."""
    return _template("page.html").render(_names(contents_of(sheet), "")) + "\n"


def sheet_main(sheet: Sheet) -> str:
    """The sheet alone, for a page that has the styles of `sheet_style` and no inline ones."""
    names = {**_names(contents_of(sheet), "sheet-"), "print_size": None}
    return _template("sheet.html").render(names)


def sheet_style() -> str:
    """The styles of a sheet."""
    source, _, _ = _loader().get_source(_environment(), "style.css")
    return source


def sheet_part(sheet: Sheet) -> str:
    """The sheet for a notebook: its styles reach nothing else, its ids are like no other's."""
    return _template("part.html").render(_names(contents_of(sheet), f"sheet{next(_shown)}-"))


def rendered(name: str, names: dict[str, Any]) -> str:
    """A template of this folder with its names: texts are escaped, markup only its own."""
    return _template(name).render(names)


def _names(it: Contents, prefix: str) -> dict[str, Any]:
    size = print_size(it)
    names = {"print_size": size, "is_dense": size < DENSE_BELOW}
    return {"it": it, "sheet": it.sheet, "id": prefix, **names}


def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _loader() -> PackageLoader:
    return PackageLoader("milp_planner.reporting.html")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_made_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["reject_places"] = _without_places
    made.filters["with_kind"] = _with_kind
    return made


def _without_places(cells: Sequence[str], places: Sequence[int]) -> list[str]:
    """The cells without those at some places."""
    return [cell for i, cell in enumerate(cells) if i not in places]


def _with_kind(heads: Sequence[str], kind: str) -> list[tuple[str, str]]:
    """Heads of columns that are all of one kind."""
    return [(head, kind) for head in heads]


def _made_visible(value: object) -> object:
    """What a template writes: markup as it is, any other text without control characters."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else escape(value)
