"""Numbers and lists of names on the command line, for `estimate` and `calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

WhichCatalog = Annotated[
    str, typer.Option("--catalog", metavar="NAME", help="A shipped catalog, or a folder.")
]
Confidence = Annotated[
    str, typer.Option(metavar="QUANTILE", help="How sure to be of an estimate: p90, or 0.9.")
]


def read_positive(text: str) -> float:
    """`0.86`, `$0.86`, `1_500` or `2k` -> a number above 0."""
    from milp_planner.units import parse_number

    try:
        value = parse_number(text.strip().removeprefix("$"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"must be greater than 0 (is {text})")
    return value


def read_counts(option: str, text: str, most: int = 100_000) -> list[int]:
    """`1,4,8` -> [1, 4, 8]: whole numbers above 0."""
    values = [read_positive(part) for part in names_in(text)]
    if not values or any(value != int(value) for value in values):
        raise typer.BadParameter(f"{option}: whole numbers above 0, such as 1,4,8 (is {text})")
    if max(values) > most:
        raise typer.BadParameter(f"{option}: must be at most {most:,} (is {text})")
    return [int(value) for value in values]


def read_confidence(text: str) -> float:
    """`p90`, `90%` or `0.9` -> 0.9: from 0 to below 1."""
    from milp_planner.units import parse_share

    try:
        share = int(text[1:]) / 100 if text[:1] == "p" else parse_share(text)
    except ValueError:
        raise typer.BadParameter(f"--confidence: {text!r}; write p90 or 0.9") from None
    if not 0 <= share < 1:
        raise typer.BadParameter(f"--confidence: from p0 to p99 (is {text})")
    return share


def names_in(text: str) -> list[str]:
    """`a, b` -> [a, b]."""
    return [part.strip() for part in text.split(",") if part.strip()]
