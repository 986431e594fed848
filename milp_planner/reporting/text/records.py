"""Any list of records as a plain table, and any record as `name: value` lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from milp_planner.reporting.text.wording import columns, escape

Record = Mapping[str, Any]


def table_lines(records: Sequence[Record], indent: str = "  ") -> list[str]:
    """The records under their keys, numbers to the right; nothing when there are none."""
    if not records:
        return []
    names = list(records[0])
    by_column = [_column([record[name] for record in records]) for name in names]
    rows = [[heading(name) for name in names], *zip(*by_column, strict=True)]
    numeric = [all(map(_NUMERIC.fullmatch, cells)) for cells in by_column]
    return columns(rows, "".join(">" if right else "<" for right in numeric), indent)


def record_lines(record: Record, indent: str = "  ") -> list[str]:
    """`name  value` for everything that is known."""
    known = [(name, value) for name, value in record.items() if value not in (None, "", ())]
    return columns([[heading(name), cell(value)] for name, value in known], "<<", indent)


def cell(value: object) -> str:
    """One value as text: `-` where unknown, yes and no, numbers in full."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.{_decimals(value)}f}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return escape(value)


def heading(name: str) -> str:
    """`usd_per_gpu_hour` as a heading: `$ per GPU hour`."""
    return escape(" ".join(_SPELLINGS.get(word, word) for word in name.split("_")))


def _column(values: Sequence[object]) -> list[str]:
    """The cells of a column; its numbers all get as many decimals as the finest needs."""
    decimals = max((_decimals(value) for value in values if isinstance(value, float)), default=0)
    return [
        f"{value:,.{decimals}f}" if isinstance(value, float) else cell(value) for value in values
    ]


def _decimals(value: float) -> int:
    """Decimals without which something of the number would be lost, up to four."""
    return next((n for n in range(MOST_DECIMALS) if round(value, n) == value), MOST_DECIMALS)


MOST_DECIMALS = 4

_NUMERIC = re.compile(r"-?[\d,]*\.?\d+|-")

_SPELLINGS = {
    "usd": "$",
    "gib": "GiB",
    "mib": "MiB",
    "kib": "KiB",
    "gb": "GB",
    "gpu": "GPU",
    "gpus": "GPUs",
    "llm": "LLM",
    "llms": "LLMs",
    "kv": "KV",
    "tflops": "TFLOPS",
    "tops": "TOPS",
    "tdp": "TDP",
    "m": "1M",
}
