"""The sheet and the comparison of two plans in Markdown, as a pull request shows them.

A comment there holds 65,536 characters: tables are cut before that, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from milp_planner.plans.sheet.compared import PlanDiff
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.sheets import curves, words
from milp_planner.reporting.sheets import diff as comparison
from milp_planner.reporting.text.wording import apportion, count, escape, prices, usd

MOST_CHARACTERS = 65_536
MOST_ROWS = 40
MOST_IN_CELL = 300
SHA_DIGITS = 8

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")
"""Characters that Markdown would take for its own; two dollar signs would be mathematics."""


def md(text: object, most: int = MOST_IN_CELL) -> str:
    """Text as the text that it is: no markup, no mention of anybody, no second line."""
    plain = escape(text)
    short = plain if len(plain) <= most else f"{plain[: most - 1]}…"
    return SPECIAL.sub(r"\\\1", short).replace("@", "&#64;")


def sheet_markdown(sheet: Sheet, against: PlanDiff | None = None) -> str:
    """Headline, purchases, choices; with another plan beside it, what changes, last the bill."""
    parts = [
        [f"### {md(sheet.name)}: {md(words.headline(sheet))}"],
        [md(words.proof_words(sheet))],
        [f"- {md(said, 4 * MOST_IN_CELL)}" for said in words.futures_words(sheet)],
        [md(" ".join(words.answer_sentences(sheet)), 4 * MOST_IN_CELL)],
        [*_purchases(sheet)],
        [f"- {md(said, 4 * MOST_IN_CELL)}" for said in words.shared_words(sheet)],
        [*_choices(sheet)],
        [*_levers(sheet)],
        [md(said, 4 * MOST_IN_CELL) for said in words.left_out_words(sheet)],
        [*_traffic(sheet)],
        [*_budgets(sheet)],
        [*_sources(sheet)],
    ]
    if against is not None:
        parts += [[*_changes(against)], [_bill(against)]]
    return joined(parts)


def diff_markdown(diff: PlanDiff) -> str:
    """The change table and what becomes of the bill."""
    return joined([[*_changes(diff)], [_bill(diff)]])


def no_plan_markdown(sheet: Sheet, against: PlanDiff | None = None) -> str:
    """Why there is no plan."""
    reasons = [f"- {md(line, 4 * MOST_IN_CELL)}" for line in sheet.answer.reasons[:MOST_ROWS]]
    last = [] if against is None else [[_bill(against)]]
    return joined([[f"### {md(sheet.name)}: no plan ({md(sheet.answer.status)})"], reasons, *last])


def _bill(diff: PlanDiff) -> str:
    """The last line, which programs look for: one dollar sign alone is none of mathematics."""
    return f"**{md(comparison.last_line(diff)).replace(chr(92) + '$', '$')}**"


def joined(parts: Sequence[Sequence[str]]) -> str:
    """Paragraphs and tables, a blank line between them; lines by part."""
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def table(head: Sequence[str], align: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table; what is beyond the most rows is counted. align: `<` or `>` by column."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' if a == '<' else '--:' for a in align)}|"
    for row in rows[:MOST_ROWS]:
        yield f"| {' | '.join(md(cell) for cell in row)} |"
    if len(rows) > MOST_ROWS:
        yield ""
        yield f"and {count(len(rows) - MOST_ROWS)} more"


def _purchases(sheet: Sheet) -> Iterator[str]:
    decimals = words.decimals_of(sheet)
    amounts = apportion([p.cash_usd_per_month for p in sheet.purchases], decimals)
    hourly = iter(prices([p.usd_per_gpu_hour or 0.0 for p in sheet.purchases if p.units]))
    rows = [
        [
            p.workload,
            words.purchase_words(p),
            next(hourly) if p.units else "-",
            f"{p.price_date} ({p.price_age_days} d)",
            usd(amount, decimals),
        ]
        for p, amount in zip(sheet.purchases, amounts, strict=True)
    ]
    yield from table(["workload", "what to buy", "$/GPU-h", "price of", "per month"], "<<>>>", rows)


def _choices(sheet: Sheet) -> Iterator[str]:
    shown = [c for c in sheet.choices or () if c.verdict != "same"]
    if not shown:
        return
    rows = []
    for c in shown:
        name, *amounts, said = words.choice_row(sheet, c)
        needs = f" (needs {c.needs})" if c.needs else ""
        rows.append([f"{name}{needs}", *amounts, said])
    yield from table(["what else", "per month", "more", "share", "what it buys"], "<>>><", rows)
    more = [*words.doubles(sheet)]
    if already := words.already(sheet):
        more.append(f"The plan is already: {', '.join(already)}.")
    if more:
        yield ""
        yield md(" ".join(more), 4 * MOST_IN_CELL)


def _levers(sheet: Sheet) -> Iterator[str]:
    shown = words.levers_shown(sheet)
    if not shown:
        return
    rows = [
        [lever.name, *words.lever_amounts(sheet, lever), words.fleet_words(lever.fleet)]
        for lever in shown
    ]
    head = ["what would cost less, each change alone", "per month", "share", "what it buys"]
    yield from table(head, "<>><", rows)


def _traffic(sheet: Sheet) -> Iterator[str]:
    rows = curves.traffic_rows(sheet)
    if rows:
        _, *heads, bought = curves.traffic_head(sheet)
        head = [curves.TRAFFIC, *heads, bought]
        yield from table(head, f"<{'>' * len(heads)}<", rows)
        yield from _said([curves.break_even_words(sheet)])
    for said in curves.crossover_words(sheet):
        yield from _said([said])


def _budgets(sheet: Sheet) -> Iterator[str]:
    rows = curves.budget_rows(sheet)
    if rows:
        yield from table([curves.BUDGETS, "served", "what it buys"], ">><", rows)
        yield from _said([said] if (said := curves.budget_words(sheet)) else [])


def _changes(diff: PlanDiff) -> Iterator[str]:
    if diff.changes:
        rows = [
            [comparison.what_is_bought(c), *comparison.change_words(c), extra]
            for c in diff.changes
            for extra in [comparison.difference(c, diff)]
        ]
        yield from table(["what changes", "before", "after", "per month"], "<>>>", rows)
    else:
        yield "Nothing is bought otherwise."
    yield from _said(comparison.notes(diff))


def _said(notes: Iterable[str]) -> Iterator[str]:
    lines = [*notes]
    if lines:
        yield ""
        yield md(" ".join(lines), 4 * MOST_IN_CELL)


def _sources(sheet: Sheet) -> Iterator[str]:
    origin = sheet.sources
    yield (
        f"<sub>Not included: {md(', '.join(origin.not_included))}. Catalog "
        f"{md(origin.catalog_name)} {md(origin.catalog_version)} "
        f"(sha {origin.catalog_sha256[:SHA_DIGITS]}), problem sha "
        f"{origin.problem_sha256[:SHA_DIGITS]}. milp-planner {md(origin.planner_version)}.</sub>"
    )
