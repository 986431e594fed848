"""Near-valid inputs: a good document with a few of its keys and values put wrong.

Files written at random are refused at the first character; these reach the deeper checks.
"""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

FULL: dict[str, Any] = {
    "schema_version": 1,
    "name": "full",
    "catalog": "toy",
    "workloads": [
        {
            "name": "chat",
            "llm": "tiny",
            "traffic": {
                "kind": "tokens_per_day",
                "tokens_per_day": "2M",
                "pattern": {"active_ratio": 0.5, "burst_factor": 2},
            },
            "requests": {"input_tokens": 1, "output_tokens": 1},
            "latency": {"requirement": "200ms", "tpot": "50ms", "ttft": "2s", "max_band": "medium"},
            "min_replicas": 2,
            "priority": 1,
        },
        {
            "name": "code",
            "llm": "tiny",
            "precision": ["bf16"],
            "tensor_parallel": [1],
            "traffic": {"kind": "requests_per_second", "requests_per_second": 5},
            "requests": [
                {"input_tokens": 1, "output_tokens": 1, "share": "40%"},
                {"input_tokens": 1, "output_tokens": 1, "share": 0.6},
            ],
        },
    ],
    "policy": {
        "utilization": {"target": 0.75, "ceiling": 0.9},
        "penalties": {
            "overload": {"above": 0.8, "usd_at_full_load": 20000},
            "scaling": {"above_gpus": 8, "usd_per_gpu": 50000, "per": "workload"},
            "strict_latency": {"below": "300ms", "usd": 30000},
        },
        "confidence": "p90",
        "hours_per_month": 720,
    },
    "limits": {
        "budget": {"usd_per_month": 90000, "when_short": "fail"},
        "providers": {"allow": ["acme", "bolt"], "deny": [], "max_count": 2, "max_share": "100%"},
        "regions": {"allow": ["*-1"]},
        "gpus": {"deny": []},
        "billing": {"allow": ["dedicated"]},
        "max_units": {"acme/big/eu-1": 40},
        "max_gpus": {"total": 64, "per_provider": {"acme": 16}, "per_gpu": {"big": 8}},
        "max_spot_share": "50%",
        "max_usd_per_gpu_hour": 5,
        "host": {"min_vcpus_per_gpu": 1, "min_memory_gib_per_gpu": 1},
        "survive_loss_of": "none",
    },
    "prices": {"discounts": {"acme/*": "10%"}, "own": {"bolt/*": 1.4}},
    "current_fleet": [{"offering": "acme/big/eu-1", "units": 1, "workload": "chat"}],
    "switching": {"usd_per_unit_added": 50, "usd_per_unit_removed": 0, "max_units_changed": 9},
    "alternatives": {"count": 1, "differ_by": "offerings"},
    "solver": {"time_limit": "20s", "gap": 0, "certify": True},
}
"""A problem of the toy catalog with every block."""

NUMBERS: list[Any] = [
    *(0, 1, -1, 2, 3, 7, 0.5, 1.5, -0.0, 1e-9, 1e-300, 5e-324, 1e9, 1e12, 1e18, 1e308),
    *(10**30, 10**400, float("nan"), float("inf"), float("-inf"), True, False, None),
]
TEXTS = [
    *("", " ", "0", "1", "1,000", "1_000", "1k", "5M", "60%", "140%", "-5%", "50ms", "0s", "1e400"),
    *(
        "no",
        "on",
        "012",
        "1:30",
        "2026-01-15",
        "nan",
        "inf",
        "*",
        "[",
        "eu-*",
        "acme",
        "tiny",
        "big",
    ),
    *(
        "chat",
        "Chat #1",
        "none",
        "fair",
        "steady",
        "p0",
        "p99",
        "requests_per_second",
        "\u202eacme",
    ),
    *("[red]x[/red]", "=1+1", "\u0663", "\U0001f4a5", "../x", "~nobody", "x" * 300, "a\nb"),
]
VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from([[], {}, [None], [[]], ["x"], {"x": 1}, {"": None}]),
    st.integers(-10, 200),
    st.floats(allow_nan=False),
    st.text(max_size=5),
)

Steps = tuple[Any, ...]
Change = Callable[[Any, Any, Any], None]


def documents(good: dict[str, Any], most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """`good` with one to `most` things put wrong."""
    steps = st.sampled_from(sorted(places(good), key=str))
    one = st.tuples(steps, st.sampled_from(sorted(CHANGES)), VALUES)
    return st.lists(one, min_size=1, max_size=most).map(lambda changes: changed(good, changes))


def changed(good: dict[str, Any], changes: list[tuple[Steps, str, Any]]) -> dict[str, Any]:
    """A copy of `good` with the changes made that can be made."""
    document = copy.deepcopy(good)
    for steps, change, value in changes:
        parent: Any = document
        try:
            for step in steps[:-1]:
                parent = parent[step]
            CHANGES[change](parent, steps[-1], copy.deepcopy(value))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took the place away
    return document


def places(value: Any, at: Steps = ()) -> Iterator[Steps]:
    """The steps to everything below `value`."""
    entries = value.items() if isinstance(value, dict) else ()
    entries = enumerate(value) if isinstance(value, list) else entries
    for step, below in entries:
        yield (*at, step)
        yield from places(below, (*at, step))


def _replace(parent: Any, step: Any, value: Any) -> None:
    parent[step] = value


def _delete(parent: Any, step: Any, value: Any) -> None:
    del parent[step]


def _rename(parent: Any, step: Any, value: Any) -> None:
    parent[f"{step}s" if value else step[:-1]] = parent.pop(step)


def _repeat(parent: Any, step: Any, value: Any) -> None:
    parent.append(copy.deepcopy(parent[step]))


def _wrap(parent: Any, step: Any, value: Any) -> None:
    parent[step] = [parent[step]]


def _grow(parent: Any, step: Any, value: Any) -> None:
    parent[step][value if isinstance(value, str) else "more"] = value


CHANGES: dict[str, Change] = {
    "replace": _replace,
    "put in its place": _replace,
    "delete": _delete,
    "rename": _rename,
    "repeat": _repeat,
    "wrap": _wrap,
    "grow": _grow,
}

CELLS = [
    *("", " ", "0", "-1", "1", "2.5", "1e9", "1e-300", "1e308", "1e400", "nan", "inf", "9" * 400),
    *("tiny", "big", "*", "acme", "dedicated", "spot", "per_token", "raw", "measured", "bf16"),
    *("2026-01-15", "2099-01-01", "1768435200", "true", "no", "=1+1", "a,b", 'a"b', "x\ny"),
    *("\u202e", "[red]", "\x1b[31m", "\0", "Big", "big ", "x" * 200, "\u0663"),
]


def tables(good: str) -> st.SearchStrategy[str]:
    """A CSV text with a few of its cells, rows and columns put wrong."""
    rows = list(csv.reader(io.StringIO(good)))
    row, column = st.integers(0, len(rows) - 1), st.integers(0, len(rows[0]) - 1)
    one = st.tuples(
        st.sampled_from(["cell", "cell", "cell", "cut", "twice", "drop"]),
        row,
        column,
        st.sampled_from(CELLS),
    )
    return st.lists(one, min_size=1, max_size=3).map(lambda changes: _table(rows, changes))


def _table(rows: list[list[str]], changes: list[tuple[str, int, int, str]]) -> str:
    table = copy.deepcopy(rows)
    for change, i, j, cell in changes:
        if i >= len(table) or j >= len(table[i]):
            continue
        if change == "cell":
            table[i][j] = cell
        elif change == "cut":
            del table[i][j:]
        elif change == "twice":
            table.append(list(table[i]))
        else:
            for line in table:
                del line[j : j + 1]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()
