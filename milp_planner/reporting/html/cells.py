"""Rows of the page's tables, and what stands in their cells."""

from __future__ import annotations

from milp_planner.lazily import dataclass
from milp_planner.plans.sheet.other_parts import LeftAfterLoss, SheetAlternative
from milp_planner.plans.sheet.plan_parts import SheetPurchase
from milp_planner.reporting.html.charts import Bar
from milp_planner.reporting.sheets import words
from milp_planner.reporting.text.wording import duration, fine_percent


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells, and a bar where amounts are compared."""

    cells: tuple[str, ...]
    bar: Bar | None = None
    is_plan: bool = False


@dataclass(frozen=True)
class Fact:
    """One of the figures below the headline."""

    name: str
    value: str


def what_words(p: SheetPurchase) -> str:
    """`2 x b200-180gb-sxm`."""
    if not p.units:
        return f"{fine_percent(p.requests_share)} of requests per token"
    box = f"{p.gpus_per_unit} x " if p.gpus_per_unit > 1 else ""
    return f"{p.gpus:,} shared {p.gpu}" if p.part_of_gpus else f"{p.units:,} x {box}{p.gpu}"


def replica_words(p: SheetPurchase) -> str:
    """`2 of fp8 tp 1`; '' where it is paid per token."""
    if not p.units:
        return ""
    pipeline = f" pp {p.pipeline_parallel}" if p.pipeline_parallel > 1 else ""
    return f"{p.replicas:,} of {p.precision} tp {p.tensor_parallel}{pipeline}"


def unit_words(unit: str) -> str:
    return {"requests/s": "req/s"}.get(unit, unit)


def latency_words(found_s: float | None, wish_s: float | None) -> str:
    """`49.6 ms (wish 50 ms)`."""
    if wish_s is None:
        return "not asked" if found_s is None else duration(found_s)
    known = "unknown" if found_s is None else duration(found_s)
    return f"{known} (wish {duration(wish_s)})"


def instead_words(line: SheetAlternative) -> str:
    said = [line.change or "the plan", words.elsewhere_words(line)]
    return "; ".join(filter(None, said))


def loss_words(loss: LeftAfterLoss) -> str:
    what = f"one unit of {loss.lost}" if loss.kind == "unit" else loss.lost
    return f"{loss.workload} without {what}"
