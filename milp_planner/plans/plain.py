"""What becomes of a record elsewhere: data, a page, a plot, files. Each kind says how, above it.

Documents are made beside the records, in `document`, and the package sees to it that they are
registered before any record is there. Who lays records out is further up, where a folder may
import from those below it alone: that is looked up by name, when something is to be shown.
"""

from __future__ import annotations

from functools import singledispatch
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

DRAWERS = "milp_planner.reporting.drawers"
"""The module that registers pages and plots when it is imported."""

EXPORTERS = "milp_planner.exports.formats"
"""The module that registers files for other tools when it is imported."""


@singledispatch
def plain_data(record: object) -> dict[str, Any]:
    """A record as plain data, ready for JSON."""
    raise TypeError(f"{type(record).__name__} has no document")


@singledispatch
def plot_of(record: object, ax: Axes | None, **options: Any) -> Axes:
    """A record drawn by matplotlib: who draws its kind registers here."""
    raise TypeError(f"{type(record).__name__} has no plot")


@singledispatch
def page_of(record: object, *, whole: bool) -> str:
    """A record as HTML: who lays out its kind registers here."""
    raise TypeError(f"{type(record).__name__} has no page")


@singledispatch
def files_of(record: object, format: str, folder: str | Path, *, overwrite: bool) -> Any:
    """A record as files of another tool: who writes them registers here."""
    raise TypeError(f"{type(record).__name__} has no files")


def as_files(record: object, format: str, folder: str | Path, *, overwrite: bool) -> Any:
    """The record as the files of a format, in a folder."""
    import_module(EXPORTERS)
    return files_of(record, format, folder, overwrite=overwrite)


def as_plot(record: object, ax: Axes | None = None, **options: Any) -> Axes:
    """The record on `ax`, or on axes of its own."""
    import_module(DRAWERS)
    return plot_of(record, ax, **options)


def as_page(record: object, *, whole: bool = False) -> str:
    """The record as HTML: as a file of its own, or as a part of a notebook."""
    import_module(DRAWERS)
    return page_of(record, whole=whole)
