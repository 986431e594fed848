"""Checks the values and lists that Python code passes, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from milp_planner.errors import argument_error, input_error
from milp_planner.units import shown


def check_kind(value: object, kind: type, maker: str) -> None:
    """Raise ArgumentError unless `value` is a record of that kind, as `maker` gives it."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise argument_error(
            f"expected {article} {kind.__name__}, as {maker} gives, not {type(value).__name__}",
            path=kind.__name__.lower(),
            hint=f"give what milp_planner.{maker} returns",
        )


def check_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    whole: bool = False,
) -> None:
    """Raise ArgumentError for what is no number, InputError for one out of range.

    Numbers of other packages, such as numpy's, count as numbers.
    """
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not is_number:
        expected = "a whole number" if whole else "a number"
        raise argument_error(f"expected {expected}, not {type(value).__name__}", path=name)
    if value != value:
        raise input_error("must be a number (is nan)", path=name)
    said = f"(is {shown(value)})"
    if above is not None and value <= above:
        raise input_error(f"must be greater than {above:g} {said}", path=name)
    if least is not None and value < least:
        raise input_error(f"must be at least {least:g} {said}", path=name)
    if below is not None and value >= below:
        raise input_error(f"must be less than {below:g} {said}", path=name)
    if most is not None and value > most:
        raise input_error(f"must be at most {most:.15g} {said}", path=name)
    try:
        float(value)
    except OverflowError:
        raise input_error(f"is too large {said}", path=name) from None


def check_text(name: str, value: object) -> None:
    """Raise ArgumentError for what is no text."""
    if not isinstance(value, str):
        raise argument_error(f"expected text, not {type(value).__name__}", path=name)


def items_of(name: str, values: Any, what: str, *, one: tuple[type, ...] = (str,)) -> list[Any]:
    """The items of a list, or of anything that can be gone through.

    `one` are the types that stand for a single item, which a list was meant to hold.
    """
    if isinstance(values, one):
        raise argument_error(f"expected a list of {what}, not one", path=name)
    if isinstance(values, bytes | Mapping) or not isinstance(values, Iterable):
        given = type(values).__name__
        raise argument_error(f"expected a list of {what}, not {given}", path=name)
    return list(values)


def paths_of(name: str, values: Any, what: str) -> tuple[Path, ...]:
    """A list of files or folders, each given as text or as a path."""
    items = items_of(name, values, what, one=(str, Path))
    return tuple(path_of(f"{name}[{i}]", item) for i, item in enumerate(items))


def path_of(name: str, value: object) -> Path:
    """A file or folder given as text or as a path."""
    if not isinstance(value, str | Path):
        raise argument_error(f"expected text or a path, not {type(value).__name__}", path=name)
    if not str(value) or "\0" in str(value):
        raise input_error(f"{shown(str(value))} is not a file name", path=name)
    return Path(value)


def check_source(loader: str, source: object, text: object) -> None:
    """Raise ArgumentError for what a loader of YAML files cannot read from, InputError for ''."""
    if not isinstance(source, str | Path):
        raise argument_error(f"{loader} takes a file name, not {type(source).__name__}")
    if text is not None and not isinstance(text, str):
        raise argument_error(f"{loader} takes text as str, not {type(text).__name__}")
    if not source and text is None:
        raise input_error(f"{loader} takes a file name, which must not be empty")
