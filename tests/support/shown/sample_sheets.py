"""Sheets to lay out: one that is solved, and one that holds everything a sheet can hold."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from milp_planner import Sheet, decision_sheet
from tests.support.builders import problem, with_tokens

TODAY = date(2026, 2, 14)
"""30 days after the prices of the small catalogs."""


@cache
def thirteen() -> Sheet:
    """13 requests/s: one big, $4/h, and one small, $1.50/h: $3,960 a month."""
    return decision_sheet(problem(13), with_tokens(), as_of=TODAY, reproducible=True)


@cache
def full(workloads: int = 1, purchases: int = 2) -> Sheet:
    """The sheet of 13 requests/s with every curve, and with as many rows as are asked for."""
    document = thirteen().to_dict()
    steps = [(0, 0.0), (1080, 0.23), (2880, 0.77), (3960, 1.0)]
    document["budgets"] = {
        "steps": [{"usd_per_month": usd, "served_share": s, "fleet": "big"} for usd, s in steps],
        "smallest_usd_per_month": 3960,
        "complete": True,
    }
    document["traffic"] = {
        "points": [_point(factor) for factor in (0.25, 0.5, 1, 2, 4)],
        "break_even_factor": 2.0,
        "break_even_tokens_per_month": None,
        "break_even_usd_per_month": 7920,
        "looked_from_factor": 0.25,
        "looked_to_factor": 4.0,
    }
    document["hours"]["blocks"] = [{"name": "day", "hours": 360}, {"name": "night", "hours": 360}]
    document["hours"]["block_by_hour"] = [0] * 12 + [1] * 12
    for bought in document["purchases"]:
        bought.update(units_by_block=[bought["units"], 0], hours_by_block=[360.0, 0.0])
    document["levers"] = [_lever("allow spot", 1980), _lever("switch off when idle", 990)]
    document["measure"] = [_measured(2880), _measured(1080)]
    document["question"]["workloads"] = _repeated(document["question"]["workloads"], workloads)
    document["workloads"] = _repeated(document["workloads"], workloads)
    document["purchases"] = _repeated(document["purchases"], purchases)
    document["answer"]["fleet"] = _repeated(document["answer"]["fleet"], purchases)
    return Sheet.from_dict(document)


@cache
def without_plan() -> Sheet:
    """A sheet of no plan, with everything that a diagnosis can hold."""
    poor = problem(13, limits={"max_gpus": {"total": 1}})
    document = decision_sheet(poor, with_tokens(), as_of=TODAY, reproducible=True).to_dict()
    document["diagnosis"] = {
        "headline": "no fleet does it",
        "is_smallest": True,
        "fits": [_misfit(n) for n in range(1, 11)],
        "conflict": [
            {"path": "limits.max_gpus.total", "value": "1 GPU"},
            {"path": "limits.budget.usd_per_month", "value": "$1,000"},
        ],
        "changes": [_change("raise the budget to $3,960"), _change("allow 2 GPUs")],
        "combination": [_change("raise the budget to $5,000"), _change("allow spot")],
        "combination_usd_per_month": 5000.0,
        "not_reached": ["limits.regions"],
    }
    return Sheet.from_dict(document)


def renamed(sheet: Sheet, name: str) -> Sheet:
    """The sheet with that name for everything that a file names."""
    return Sheet.from_dict(_renamed(sheet.to_dict(), name))


NAMED = {"name", "llm", "gpu", "provider", "offering", "providers", "lost", "workload", "fleet"}
NAMED |= {"headline", "reason", "path", "value", "now", "text"}
NAMED |= {"notes", "question", "bench_command", "serve_command", "catalog_name", "why", "change"}


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {
            key: name if key in NAMED and isinstance(one, str) else _renamed(one, name)
            for key, one in value.items()
        }
    return [_renamed(one, name) for one in value] if isinstance(value, list) else value


def _repeated(rows: list[Any], count: int) -> list[Any]:
    return [rows[i % len(rows)] for i in range(count)]


def _point(factor: float) -> dict[str, Any]:
    """A fleet grows by steps, an API with the traffic: 1,980 at a quarter of it and 3,960 at 1."""
    api, fleet = 3960 * factor, 1980 + 1980 * factor
    return {
        "factor": factor,
        "tokens_per_month": None,
        "cash_usd_per_month": min(api, fleet),
        "fleet_usd_per_month": fleet,
        "per_token_usd_per_month": api,
        "fleet": "1 x big acme",
    }


def _measured(usd: float) -> dict[str, Any]:
    return {
        "workload": "chat",
        "llm": "tiny",
        "gpu": "big",
        "precision": "bf16",
        "tensor_parallel": 1,
        "gpus": 1,
        "input_tokens": 1500,
        "output_tokens": 300,
        "concurrency": 78,
        "requests_per_second": 10,
        "must_print_requests_per_second": 10.64,
        "tpot_s": 0.05,
        "usd_per_month": usd,
        "at_stake_usd_per_month": usd / 4,
        "serve_command": "vllm serve tiny --quantization fp8",
        "bench_command": "vllm bench serve --model tiny --dataset-name random "
        "--random-input-len 1500 --random-output-len 300 --max-concurrency 78",
        "calibrate_command": "milp-planner calibrate RESULT.json --llm tiny --problem PROBLEM.yaml",
        "if_slower": {
            "share_less": 0.2,
            "status": "optimal",
            "cash_usd_per_month": 3960 + usd,
            "extra_usd_per_month": usd,
            "fleet": [],
        },
    }


def _lever(name: str, saves: float) -> dict[str, Any]:
    return {
        "key": name.replace(" ", "_"),
        "name": name,
        "path": "limits.billing.allow",
        "value": "[dedicated, spot]",
        "verdict": "found",
        "saves_usd_per_month": saves,
        "saves_share": saves / 3960,
        "cash_usd_per_month": 3960 - saves,
        "fleet": [],
        "proven": True,
    }


def _misfit(gpus: int) -> dict[str, Any]:
    return {
        "workload": "chat",
        "gpu": "big",
        "tensor_parallel": gpus,
        "precision": "bf16",
        "reason": "too slow",
        "fastest_tpot_s": 0.012,
    }


def _change(text: str) -> dict[str, Any]:
    return {
        "path": "limits.budget.usd_per_month",
        "now": "$1,000",
        "text": text,
        "patch": {"limits.budget.usd_per_month": 3960},
        "too_little": None,
        "cash_usd_per_month": 3960.0,
        "fleet": "1 x big acme",
        "proven": True,
        "is_enough": True,
    }
