"""A fleet that the user fixed, as text: what it costs, how it fares, every limit it breaks."""

from __future__ import annotations

from milp_planner.planning.evaluate import Evaluation
from milp_planner.reporting.table import report_of_fleet
from milp_planner.reporting.wording import escape, plural, usd


def evaluation_text(evaluation: Evaluation) -> str:
    """The judgement first, then the fleet, then every limit that it breaks."""
    penalties = evaluation.penalties_usd_per_month
    charged = ", ".join(
        f"{name.replace('_', ' ')} {usd(amount)}" for name, amount in penalties.items() if amount
    )
    broken = len(evaluation.breaches)
    verdict = f"breaks {plural(broken, 'limit')}" if broken else "keeps all limits"
    lines = [
        f"This fleet costs {usd(evaluation.cash_usd_per_month)} per month and {verdict}",
        *([f"Penalties: {charged}"] if charged else []),
        "",
        *report_of_fleet(evaluation.plan),
        *([""] if broken else []),
        *(f"  broken: {escape(breach.message)}" for breach in evaluation.breaches),
    ]
    return "\n".join(lines) + "\n"
