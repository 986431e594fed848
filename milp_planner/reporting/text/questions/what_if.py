"""What-if as text: a row per scenario as it comes, then what all of them together tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.questions.sweeps.break_even import PER_TOKEN, BreakEven
from milp_planner.questions.sweeps.frontier import (
    MOST_STEPS,
    BudgetStep,
    Frontier,
    FrontierEnd,
    Unfinished,
    step_dict,
)
from milp_planner.questions.sweeps.rows import (
    RowStatus,
    WhatIf,
    WhatIfRow,
    row_dict,
)
from milp_planner.questions.sweeps.scenarios import AS_IT_IS, Scenario
from milp_planner.reporting.documents.csv import to_csv
from milp_planner.reporting.text.wording import (
    columns,
    escape,
    fine_percent,
    money,
    money_decimals,
    percent,
    signed_usd,
    usd,
)

LEAST_MONEY_WIDTH = 9
STAIRCASE_WIDTH = 60
STAIRCASE_HEIGHT = 10
LEAST_DRAWN = 1e-4
MOST_FLEET_SHOWN = 120
MOST_BELOW_ALL = 0.999


@dataclass
class RowTable:
    """Rows as lines of one table, written before the next row is known."""

    scenarios: Sequence[Scenario]
    is_scored: bool = False
    """True where penalties count beside cash: the score is shown, and changes are of it."""

    _today: WhatIfRow | None = None
    _above: WhatIfRow | None = None
    _axes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._axes = list(dict.fromkeys(axis for s in self.scenarios for axis in s.settings))

    @property
    def _has_budgets(self) -> bool:
        return any(s.budget_usd is not None for s in self.scenarios)

    @property
    def _compares_per_token(self) -> bool:
        return any(s.compares_per_token for s in self.scenarios)

    @property
    def _compares_today(self) -> bool:
        return any(s.name == AS_IT_IS for s in self.scenarios)

    def header(self) -> str:
        """The heads of the columns."""
        heads = [*self._axes, "$/month", *["score"] * self.is_scored]
        change = "score change" if self.is_scored else "change"
        heads += [change] * self._compares_today + ["served", "next step"] * self._has_budgets
        heads += ["fleet only", "per token only"] * self._compares_per_token
        return self._line([*heads, "GPUs", "in the plan"])

    def line(self, row: WhatIfRow) -> str:
        """The row's line."""
        if row.scenario == AS_IT_IS:
            self._today = row
        cells = [row.settings.get(axis, "") for axis in self._axes]
        cells.append("-" if row.cash_usd is None else money(row.cash_usd))
        cells += ["-" if row.score_usd is None else money(row.score_usd)] * self.is_scored
        cells += [self._change(row)] * self._compares_today
        cells += [_served(row), _next_step(row)] * self._has_budgets
        cells += [*_split(row)] * self._compares_per_token
        what = f"the same as for {self._same(row)}" if self._same(row) else _what(row)
        cells += ["-" if row.gpus is None else str(row.gpus), what]
        self._above = row
        return self._line(cells)

    def _same(self, row: WhatIfRow) -> str:
        """The smaller budget of the row above, where it buys the very same plan."""
        above = self._above
        if above is None or not row.fleet or "budget" not in row.settings:
            return ""
        kept = {axis: row.settings[axis] for axis in self._axes if axis != "budget"}
        is_same = all(above.settings[axis] == value for axis, value in kept.items())
        is_same = is_same and (row.fleet, row.cash_usd) == (above.fleet, above.cash_usd)
        return above.settings["budget"] if is_same and row.status == above.status else ""

    def _change(self, row: WhatIfRow) -> str:
        today = None if self._today is None else self._counted(self._today)
        usd_per_month = self._counted(row)
        if today is None or usd_per_month is None or row.scenario == AS_IT_IS:
            return ""
        return signed_usd(usd_per_month - today, money_decimals([today]))

    def _counted(self, row: WhatIfRow) -> float | None:
        return row.score_usd if self.is_scored else row.cash_usd

    def _line(self, cells: Sequence[str]) -> str:
        widths = [*self._widths(), 4, 0]
        aligned = [
            f"{escape(cell):{side}{width}}"
            for cell, (side, width) in zip(cells, map(_side, widths), strict=True)
        ]
        return ("  " + "  ".join(aligned)).rstrip()

    def _widths(self) -> Iterator[int]:
        """Widths of the columns before the GPUs; negative ones are aligned to the left."""
        for axis in self._axes:
            shown = [escape(s.settings.get(axis, "")) for s in self.scenarios]
            width = max(map(len, [axis, *shown]))
            yield width if axis in ("budget", "traffic", "target") else -width
        yield from [LEAST_MONEY_WIDTH] * (1 + self.is_scored)
        change = len("score change") if self.is_scored else LEAST_MONEY_WIDTH + 1
        yield from [change] * self._compares_today
        yield from [7, -28] * self._has_budgets
        yield from [10, 14] * self._compares_per_token


def _side(width: int) -> tuple[str, int]:
    return ("<", -width) if width < 0 else (">", width) if width else ("<", 0)


def _served(row: WhatIfRow) -> str:
    return "-" if row.served_share is None else share_served(row.served_share)


def _next_step(row: WhatIfRow) -> str:
    step = row.next_step
    if step is None:
        return ""
    served = share_served(step.served_share)
    if served == _served(row) and row.requests_share is not None:
        more = fine_percent(step.requests_share - row.requests_share)
        served = f"{more} more requests"
    return f"{served} for {usd(step.budget_usd)}"


def share_served(share: float) -> str:
    """`46.2 %`, so that neighbours differ; `100 %` for nothing less than all."""
    return "100 %" if share >= 1 else percent(min(share, MOST_BELOW_ALL), 1)


def _split(row: WhatIfRow) -> tuple[str, str]:
    if row.split is None:
        return "-", "-"
    both = (row.split.fleet_usd, row.split.per_token_usd)
    fleet, tokens = ("-" if amount is None else money(amount) for amount in both)
    return fleet, tokens


def _what(row: WhatIfRow) -> str:
    if row.status is RowStatus.FAILED:
        return "failed: " + "; ".join(line.strip() for line in row.error.splitlines())
    text = row.fleet or f"no plan: {row.error}"
    if row.status is RowStatus.FEASIBLE:
        text += " (not proven)"
    return text if len(text) <= MOST_FLEET_SHOWN else f"{text[: MOST_FLEET_SHOWN - 3]}..."


# ---- what all rows together tell


def findings(result: WhatIf, problem: Problem, scenarios: Sequence[Scenario]) -> Iterator[str]:
    """Smallest budgets, break-evens and the staircase, as lines."""
    for others, usd_per_month in result.smallest_budgets.items():
        where = f" ({escape(others)})" if others else ""
        yield f"Smallest budget that serves everything{where}: {usd(usd_per_month)}."
    yield from _break_even_lines(result, problem)
    if all(set(row.settings) == {"budget"} for row in result.rows):
        steps = [row.next_step for row in result.rows if row.next_step is not None]
        points = [(row.cash_usd, row.served_share) for row in result.rows]
        points += [(step.budget_usd, step.served_share) for step in steps]
        known = [(x, y) for x, y in points if x is not None and y is not None]
        asked = [s.budget_usd for s in scenarios if s.budget_usd is not None]
        yield from staircase(known, min(asked), max([*asked, *(x for x, _ in known)]))


LEFT_OPEN = "Left open by the time limit: whether a fleet and per token break even"


def _break_even_lines(result: WhatIf, problem: Problem) -> Iterator[str]:
    for others, even in result.break_evens.items():
        where = f" ({escape(others)})" if others else ""
        late = others in result.left_open
        yield f"{LEFT_OPEN if late else _break_even(result.rows, even)}{where}."
    if result.break_evens and not set(PER_TOKEN) & set(allowed_billings(problem)):
        yield "Per-token billing is not in limits.billing.allow: the plans do without it."


def _break_even(rows: Iterable[WhatIfRow], even: BreakEven | None) -> str:
    if even is not None:
        return f"Break-even between fleet and per token: {even.above:.3g}x"
    splits = [row.split for row in rows if row.split is not None]
    if all(parts.per_token_usd is None for parts in splits):
        return "No break-even: per-token offerings alone cannot serve it"
    if all(parts.fleet_usd is None for parts in splits):
        return "No break-even: a fleet alone cannot serve it"
    differences = [parts.difference for parts in splits if parts.difference is not None]
    cheaper = "per token" if differences and differences[0] > 0 else "a fleet"
    return f"No break-even: {cheaper} is cheaper throughout"


def staircase(points: Sequence[tuple[float, float]], low: float, high: float) -> Iterator[str]:
    """What each budget from `low` to `high` serves at least; nothing where all serve the same.

    `points` are budgets and the shares they serve. The axis begins at the ten percent below the
    smallest share, so that steps are seen where little differs.
    """
    budgets = [low + (high - low) * i / (STAIRCASE_WIDTH - 1) for i in range(STAIRCASE_WIDTH)]
    shares = [_served_by(points, budget) for budget in budgets]
    if high <= low or max(shares) - min(shares) < LEAST_DRAWN:
        return
    tens = [math.floor(10 * min(shares) + 1e-4) - 1, math.ceil(10 * max(shares) - 1e-4)]
    bottom, top = max(0.0, tens[0] / 10), tens[1] / 10
    yield ""
    for level in range(STAIRCASE_HEIGHT, 0, -1):
        at = bottom + (top - bottom) * level / STAIRCASE_HEIGHT
        label = percent(at) if level % 5 == 0 else ""
        row = "".join("#" if share >= at - LEAST_DRAWN else " " for share in shares)
        yield f"  {label:>5} |{row}".rstrip()
    yield f"  {percent(bottom):>5} +{'-' * STAIRCASE_WIDTH}"
    yield f"  {'':>5}  {_axis_labels(points, low, high)}"


def _axis_labels(points: Sequence[tuple[float, float]], low: float, high: float) -> str:
    """Both ends, and between them the first budget that serves the most, where there is room."""
    left, right = usd(low), usd(high)
    most = max(share for _, share in points)
    first = min(budget for budget, share in points if share >= most - LEAST_DRAWN)
    middle, at = usd(first), math.ceil((first - low) / (high - low) * (STAIRCASE_WIDTH - 1))
    line = f"{left}{right:>{STAIRCASE_WIDTH - len(left)}}"
    if len(left) + 2 <= at and at + len(middle) + 2 <= STAIRCASE_WIDTH - len(right):
        line = line[:at] + middle + line[at + len(middle) :]
    return line


def _served_by(points: Sequence[tuple[float, float]], budget: float) -> float:
    """What the best of the points within the budget serves."""
    return max((share for x, share in points if x <= budget * (1 + 1e-9)), default=0.0)


# ---- the exact frontier


def frontier_text(frontier: Frontier) -> str:
    """Every step between two budgets."""
    rows = [["from", "served", "requests", "GPUs", "in the plan"]]
    rows += map(_step_cells, frontier.steps)
    align = ">>>><"
    if all(served == requests for _, served, requests, _, _ in rows[1:]):
        rows = [[*row[:2], *row[3:]] for row in rows]
        align = ">>><"
    lines = columns(rows, align)
    if frontier.unfinished is not None:
        lines.append(f"Not complete: {_unfinished(frontier.unfinished)}.")
    if frontier.smallest_budget_usd is not None:
        smallest = usd(frontier.smallest_budget_usd)
        lines.append(f"Smallest budget that serves everything: {smallest}.")
    points = [(step.budget_usd, step.served_share) for step in frontier.steps]
    return "\n".join([*lines, *staircase(points, frontier.low_usd, frontier.high_usd)]) + "\n"


def _step_cells(step: BudgetStep) -> list[str]:
    about = "" if step.is_step else " (and more with every cent)"
    served, requests = share_served(step.served_share), share_served(step.requests_share)
    return [
        money(step.budget_usd),
        served,
        requests,
        str(step.plan.gpus),
        escape(step.fleet) + about,
    ]


def frontier_dict(frontier: Frontier) -> dict[str, object]:
    """The same as plain data."""
    return {
        "low_usd_per_month": frontier.low_usd,
        "high_usd_per_month": frontier.high_usd,
        "smallest_budget_usd_per_month": frontier.smallest_budget_usd,
        "steps": [step_dict(step) for step in frontier.steps],
        "note": "" if frontier.unfinished is None else _unfinished(frontier.unfinished),
    }


def _unfinished(where: Unfinished) -> str:
    """Where a search for steps ended, and why."""
    budget = money(where.budget_usd, 2)
    return {
        FrontierEnd.OTHER_LIMITS: f"no plan keeps the other limits with ${budget}",
        FrontierEnd.TIME_LIMIT: (
            f"the time limit ended the search at ${budget}, before smaller budgets"
        ),
        FrontierEnd.MOST_STEPS: f"the search ended after {MOST_STEPS} steps, at ${budget}",
    }[where.reason]


def rows_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Flat rows as CSV; a header alone where there are none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return to_csv(names, ({name: row.get(name) for name in names} for row in rows))


def what_if_csv(result: WhatIf) -> str:
    """One line per scenario."""
    return rows_csv([row_dict(row) for row in result.rows])
