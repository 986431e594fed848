"""A fleet that the user fixed, as plain text: what it costs, what it breaks, how it fares."""

from __future__ import annotations

from milp_planner.questions.evaluate import Evaluation
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.text.plans.fleet_facts import resilience_lines, stale_lines
from milp_planner.reporting.text.plans.table import body_text
from milp_planner.reporting.text.wording import escape, usd


def evaluation_text(evaluation: Evaluation, options: ReportOptions = DEFAULTS) -> str:
    """The whole report, ending in a line break; below its headline it is that of a plan."""
    broken = [f"  {escape(breach.message)}" for breach in evaluation.breaches]
    left = [*stale_lines(evaluation.plan), *resilience_lines(evaluation.plan)]
    return (
        "\n".join([_headline(evaluation), *broken, *left])
        + f"\n\n{body_text(evaluation.plan, options)}"
    )


def _headline(evaluation: Evaluation) -> str:
    penalties = sum(evaluation.penalties_usd_per_month.values())
    extra = f", and {usd(penalties)} of penalties" if penalties else ""
    verdict = "It keeps all limits." if evaluation.keeps_all_limits else "It breaks limits:"
    return f"This fleet: {usd(evaluation.cash_usd_per_month)} per month{extra}. {verdict}"
