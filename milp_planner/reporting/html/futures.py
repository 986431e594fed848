"""What several futures share, as the page shows it."""

from __future__ import annotations

from milp_planner.lazily import dataclass
from milp_planner.plans.futures.records import FuturesPlan
from milp_planner.reporting.html.cells import Row
from milp_planner.reporting.text.plans.futures import case_rows, outcome_rows, shared_sentences


@dataclass(frozen=True)
class FuturesShown:
    """Sentences and tables of a plan over several futures; heads are (words, kind of column)."""

    leading: str
    sentences: tuple[str, ...]
    outcome_heads: tuple[tuple[str, str], ...]
    outcomes: tuple[Row, ...]
    case_heads: tuple[tuple[str, str], ...]
    cases: tuple[Row, ...]


def futures_shown(told: FuturesPlan) -> FuturesShown:
    """What the page says of it."""
    outcomes, cases = outcome_rows(told.outcomes), case_rows(told)
    return FuturesShown(
        leading=told.leading,
        sentences=tuple(shared_sentences(told)),
        outcome_heads=tuple(
            (head, kind)
            for head, kind in zip(outcomes[0], ("name", *["num"] * 5, "wide"), strict=True)
        ),
        outcomes=tuple(Row(tuple(row)) for row in outcomes[1:]),
        case_heads=tuple((head, "num" if i else "name") for i, head in enumerate(cases[0])),
        cases=tuple(Row(tuple(row)) for row in cases[1:]),
    )
