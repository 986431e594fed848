"""How the sweeps of `what-if` are written: `4000,8000`, `2000:20000:1000`, `KEY=V1,V2`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

MOST_VALUES = 1_000


def every_step(text: str) -> tuple[float, float] | None:
    """The ends of a range without a step, `2000:20000`, which asks for every step between them."""
    return None if text.count(":") != 1 else _ends(text)[:2]


def read_span(text: str) -> tuple[float, float] | None:
    """The ends of `0.1:10`, which asks for everything between them; None for a list."""
    if ":" not in text:
        return None
    parts = [_number("--traffic", part) for part in text.split(":")]
    if len(parts) != 2 or parts[0] >= parts[1]:
        raise typer.BadParameter(f"--traffic: {text!r} is not a range; write 0.1:10")
    return parts[0], parts[1]


def read_budgets(text: str) -> tuple[float, ...]:
    """`4000,8k` or `2000:20000:1000` -> dollars per month."""
    if ":" not in text:
        return read_numbers("--budget", text.replace("$", ""))
    return _range(*_ends(text))


def _ends(text: str) -> tuple[float, float, float]:
    parts = [_number("--budget", part.replace("$", "")) for part in text.split(":")]
    if len(parts) not in (2, 3) or parts[0] > parts[1]:
        raise typer.BadParameter(f"--budget: {text!r} is not a range; write 2000:20000:1000")
    return parts[0], parts[1], parts[-1]


def _range(low: float, high: float, step: float) -> tuple[float, ...]:
    count = int((high - low) / step * (1 + 1e-9)) + 1
    if count > MOST_VALUES:
        raise typer.BadParameter(f"--budget: {count:,} budgets are more than {MOST_VALUES:,}")
    return tuple(low + i * step for i in range(count))


def read_numbers(option: str, text: str) -> tuple[float, ...]:
    """`0.5,1,2` -> numbers above 0."""
    return tuple(_number(option, part) for part in _parts(option, text))


def read_shares(option: str, text: str) -> tuple[float, ...]:
    """`60%,0.75` -> shares above 0 and at most 1."""
    from milp_planner.units import parse_share

    found = tuple(_read(option, parse_share, part) for part in _parts(option, text))
    for share, part in zip(found, _parts(option, text), strict=True):
        if not 0 < share <= 1:
            raise typer.BadParameter(f"{option}: must be above 0% and at most 100% (is {part})")
    return found


def read_limits(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`max_gpus.total=32,64` -> {"max_gpus.total": [32, 64]}; none takes the limit away."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, values = _key_and_values("--limit", text, "max_gpus.total=32,64")
        key = key.removeprefix("limits.")
        found.setdefault(key, []).extend(map(_scalar, values))
    return found


def read_prices(texts: Sequence[str]) -> dict[str, list[float | str]]:
    """`runpod/*=2.10,80%` -> {"runpod/*": [2.1, "80%"]}."""
    from milp_planner.questions.sweeps.market import read_price

    found: dict[str, list[float | str]] = {}
    for text in texts:
        key, values = _key_and_values("--price", text, "runpod/*=2.10")
        found.setdefault(key, []).extend(_read("--price", read_price, v) for v in values)
    return found


def read_without(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """`provider:aws,gpu:l4-24gb` -> two entries; `provider:aws+provider:gcp` -> one of both."""
    return [tuple(part.split("+")) for text in texts for part in _parts("--without", text)]


def _key_and_values(option: str, text: str, example: str) -> tuple[str, list[str]]:
    key, equals, values = text.rpartition("=")
    if not equals or not key.strip():
        raise typer.BadParameter(f"{option}: {text!r} has no value; write {example}")
    return key.strip(), _parts(option, values)


def _parts(option: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise typer.BadParameter(f"{option}: {text!r} has an empty value")
    return parts


def _scalar(text: str) -> Any:
    """A value as a problem file would read it; `none` is nothing."""
    if text == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(option: str, text: str) -> float:
    from milp_planner.units import parse_number

    value: float = _read(option, parse_number, text.strip())
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"{option}: must be greater than 0 (is {text})")
    return value


def _read(option: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
