"""The question on the page, and where it has no answer what would give one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.plans.sheet.no_plan import SheetChange, SheetDiagnosis, details
from milp_planner.plans.sheet.plan_parts import WorkloadAsked
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.html.cells import Row, unit_words
from milp_planner.reporting.html.charts import bar
from milp_planner.reporting.text.wording import duration, number, percent, plural, usd

MOST_SIZES = 3
MOST_MISFITS = 8
SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def asked_lines(sheet: Sheet) -> Iterator[str]:
    """What was asked: a line for each workload, and one for what holds for all of them."""
    for w in sheet.question.workloads:
        yield ", ".join(_asked_of(w))
    limits = [
        f"{limit.path.removeprefix('limits.')} {limit.value}"
        for limit in sheet.question.limits
        if not limit.path.startswith("workloads.") or ".latency." not in limit.path
    ]
    target = f"utilization at most {percent(sheet.question.utilization_target)}"
    yield f"Limits: {'; '.join([target, *limits])}"


def _asked_of(w: WorkloadAsked) -> Iterator[str]:
    yield f"{w.name}: {w.llm}"
    if len(w.request_sizes) > MOST_SIZES:
        yield f"{plural(len(w.request_sizes), 'kind')} of requests"
    elif w.request_sizes:
        yield f"requests of {' and '.join(w.request_sizes)} tokens"
    yield f"{_short(w.tokens_per_month)} tokens a month"
    yield f"at the peak {number(w.peak)} {unit_words(w.unit)}"
    if w.tpot_wish_s is not None:
        yield f"time per token at most {duration(w.tpot_wish_s)}"
    if w.ttft_wish_s is not None:
        yield f"first token within {duration(w.ttft_wish_s)}"


def _short(tokens: float) -> str:
    """`10.8B`."""
    for size, letter in SIZES:
        if tokens >= size:
            return f"{tokens / size:.3g}{letter}"
    return f"{tokens:.3g}"


class NoPlan:
    """Why there is no plan, in rows."""

    def __init__(self, sheet: Sheet, diagnosis: SheetDiagnosis | None) -> None:
        self.sheet, self._known = sheet, diagnosis

    @property
    def verdict(self) -> str:
        """`No plan`: proven, or only that none was found."""
        return "No plan" if self.sheet.answer.status == "infeasible" else "No plan found"

    @property
    def headline(self) -> str:
        """The reason in a sentence; '' where only lines are known."""
        return "" if self._known is None else _sentence(self._known.headline)

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines that say it where nothing was diagnosed; what offerings lack below the headline."""
        reasons = self.sheet.answer.reasons
        if self._known is None:
            return reasons
        return () if self._known.fits else details(reasons)

    @property
    def changes(self) -> tuple[Row, ...]:
        """What to change, the key, what it is today, USD per month, what that buys."""
        return self._rows(() if self._known is None else self._known.changes)

    @property
    def together(self) -> tuple[Row, ...]:
        """As `changes`, of those that give a plan only with one another."""
        return self._rows(() if self._known is None else self._known.combination)

    @property
    def together_usd(self) -> str:
        """What the plan of all of them costs."""
        amount = None if self._known is None else self._known.combination_usd_per_month
        return "" if amount is None else f"{usd(amount)} per month"

    def _rows(self, changes: Sequence[SheetChange]) -> tuple[Row, ...]:
        most = max((c.cash_usd_per_month for c in changes), default=0.0)
        return tuple(
            Row(
                (
                    _sentence(c.text, end=""),
                    f"{c.path}, now {c.now}" if c.now else c.path,
                    usd(c.cash_usd_per_month),
                    c.fleet + ("" if c.proven else "; not proven"),
                ),
                bar(c.cash_usd_per_month, most),
            )
            for c in changes
        )

    @property
    def conflict(self) -> tuple[Row, ...]:
        """Limits that cannot be kept together; none where it is one alone."""
        limits = () if self._known is None else self._known.conflict
        return tuple(Row((limit.path, limit.value)) for limit in limits) if len(limits) > 1 else ()

    @property
    def is_smallest(self) -> bool:
        """Whether the conflict goes away without any one of them."""
        return self._known is not None and self._known.is_smallest

    @property
    def misfits(self) -> tuple[Row, ...]:
        """Replica sizes that serve nothing: workload, GPU, format, why, the fastest token."""
        fits = () if self._known is None else self._known.fits
        return tuple(
            Row(
                (
                    fit.gpu,
                    f"{fit.precision} tp {fit.tensor_parallel}",
                    fit.workload,
                    fit.reason,
                    "" if fit.fastest_tpot_s is None else duration(fit.fastest_tpot_s),
                )
            )
            for fit in fits[:MOST_MISFITS]
        )

    @property
    def more_misfits(self) -> str:
        """`And 12 more replica sizes.`"""
        fits = () if self._known is None else self._known.fits
        more = len(fits) - MOST_MISFITS
        return f"And {plural(more, 'more replica size')}." if more > 0 else ""

    @property
    def left_open(self) -> str:
        """What was not reached."""
        return "" if self._known is None else "; ".join(self._known.not_reached)


def _sentence(text: str, end: str = ".") -> str:
    return text[:1].upper() + text[1:] + (end if text and not text.endswith(".") else "")
