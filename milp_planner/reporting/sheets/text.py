"""The sheet as plain text of 80 columns: the answer in words, then choices, then detail."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from milp_planner.plans.sheet.plan_parts import SheetPurchase
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.sheets import curves, words
from milp_planner.reporting.text.plans.futures import futures_lines
from milp_planner.reporting.text.price_ages import age_words
from milp_planner.reporting.text.wording import (
    apportion,
    columns,
    escape,
    money,
    percent,
    prices,
    signed_usd,
    usd,
)

WIDTH = 80
SHA_DIGITS = 8
TIED = "\x00"
"""Stands for a space that no line ends at."""

KEPT_TOGETHER = re.compile(r"\d+ x (\d+ x )?|\d %|--[a-z-]+ (?!-)")


def sheet_text(sheet: Sheet, width: int = WIDTH) -> str:
    """The whole sheet of a plan that was found, ending in a line break."""
    return joined([*_first(sheet, width), *_rest(sheet, width)])


def rest_text(sheet: Sheet, width: int = WIDTH) -> str:
    """What follows the answer: choices, purchases, what it rests on."""
    return joined(_rest(sheet, width))


def head_text(sheet: Sheet, width: int = WIDTH) -> str:
    """The answer alone, which is known before any choice is."""
    return joined(_first(sheet, width))


def sheet_json(sheet: Sheet) -> str:
    """The sheet's document."""
    return to_json(sheet.to_dict())


def joined(parts: Sequence[Sequence[str]]) -> str:
    """Parts with a line between them; one that says nothing is left out."""
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _first(sheet: Sheet, width: int) -> list[list[str]]:
    said = " ".join(words.answer_sentences(sheet))
    futures = [] if sheet.futures is None else [*futures_lines(sheet.futures.record())]
    head = [words.headline(sheet), words.proof_words(sheet)]
    return [head, [*_folded(futures, width)], [*wrapped(said, width, "")]]


def _folded(lines: Iterable[str], width: int) -> Iterator[str]:
    """Sentences broken where they are too long; rows of tables, which are indented, left whole."""
    for line in lines:
        yield from [line] if line.startswith(" ") else wrapped(line, width, "")


def _rest(sheet: Sheet, width: int) -> list[list[str]]:
    return [
        [*_choices(sheet, width)],
        [*_purchases(sheet), *_shared(sheet, width)],
        [*_alternatives(sheet, width)],
        [*_levers(sheet, width)],
        [*_traffic(sheet, width)],
        [*_budgets(sheet, width)],
        [*_risks(sheet, width)],
        [*_asks(sheet, width)],
        [*_measure(sheet, width)],
        [*sources_lines(sheet, width)],
    ]


def wrapped(text: str, width: int, indent: str, first: str | None = None) -> list[str]:
    """Lines that do not part a number from what it counts, nor an option from its value."""
    lines = textwrap.wrap(
        KEPT_TOGETHER.sub(lambda found: found[0].replace(" ", TIED), text),
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(TIED, " ") for line in lines]


def _choices(sheet: Sheet, width: int) -> Iterator[str]:
    if not sheet.choices:
        return
    shown = [c for c in sheet.choices if c.verdict != "same"]
    free = [words.choice_row(sheet, c) for c in shown if not c.needs]
    asked = [words.choice_row(sheet, c) for c in shown if c.needs]
    if free:
        yield "What else there is"
        yield from _table(free, width)
    for said in words.doubles(sheet):
        yield from wrapped(said, width, "  ")
    if already := words.already(sheet):
        yield from wrapped(f"The plan is already: {', '.join(already)}.", width, "  ")
    if asked:
        needs = words.needs_words(shown)
        yield from wrapped(f"What the problem does not allow ({needs})", width, "  ", "")
        yield from _table(asked, width)


def _table(rows: Iterable[Sequence[str]], width: int, align: str = "<>>>") -> Iterator[str]:
    """Figures in columns; what is bought below each, where it does not fit beside them."""
    rows = [*rows]
    for row, line in zip(rows, columns([row[:-1] for row in rows], align), strict=True):
        beside = f"{line}  {row[-1]}"
        if len(beside) <= width:
            yield beside
        else:
            yield line
            yield from wrapped(row[-1], width, "      ")


def _purchases(sheet: Sheet) -> Iterator[str]:
    decimals = words.decimals_of(sheet)
    amounts = apportion([p.cash_usd_per_month for p in sheet.purchases], decimals)
    hourly = iter(prices([p.usd_per_gpu_hour or 0.0 for p in sheet.purchases if p.units]))
    several = len(sheet.workloads) > 1
    rows = [["what to buy", "$/GPU-h", "age", "$/month"]]
    for p, amount in zip(sheet.purchases, amounts, strict=True):
        rate = next(hourly) if p.units else "-"
        what = _whose(p, several) + words.purchase_words(p)
        rows.append([what, rate, age_words(p.price_age_days), money(amount, decimals)])
    rows.append(["", "", "", money(sum(amounts), decimals)])
    yield from columns(rows, "<>>>")


def _shared(sheet: Sheet, width: int) -> Iterator[str]:
    for said in words.shared_words(sheet):
        yield from wrapped(said, width, "    ", "  ")


def _whose(p: SheetPurchase, several: bool) -> str:
    return f"{escape(p.workload)}: " if several else ""


def _alternatives(sheet: Sheet, width: int) -> Iterator[str]:
    if not sheet.alternatives_notes and not any(
        line.rank > 1 or line.elsewhere for line in sheet.alternatives
    ):
        return
    yield "Next-best plans"
    decimals = words.decimals_of(sheet)
    for line in sheet.alternatives:
        elsewhere = words.elsewhere_words(line)
        if line.rank == 1:
            if elsewhere:
                yield from wrapped(f"1  the plan; {elsewhere}", width, "     ", "  ")
            continue
        extra = signed_usd(line.extra_usd_per_month, decimals)
        said = "; ".join(filter(None, [escape(line.change), elsewhere]))
        first = f"  {line.rank}  {usd(line.cash_usd_per_month, decimals)}  {extra}  "
        yield from wrapped(said, width, "     ", first)
    for note in sheet.alternatives_notes:
        yield from wrapped(escape(note), width, "  ")


def _levers(sheet: Sheet, width: int) -> Iterator[str]:
    shown = words.levers_shown(sheet)
    rest = [*words.levers_without(sheet)]
    if not shown and not rest:
        return
    yield "What would cost less, each change alone"
    amounts = columns([words.lever_amounts(sheet, lever) for lever in shown], ">>")
    for lever, figures in zip(shown, amounts, strict=True):
        first = f"{figures}  "
        yield from wrapped(words.lever_words(lever), width, " " * len(first), first)
    for said in rest:
        yield from wrapped(said, width, "  ")


def _traffic(sheet: Sheet, width: int) -> Iterator[str]:
    """Multiples side by side, and what each way costs below them; fleets are in other layouts."""
    rows = curves.traffic_rows(sheet)
    if rows:
        _, plan, *others, _ = curves.traffic_head(sheet)
        names = [curves.TRAFFIC, f"  the plan, {plan}", *(f"  {name}" for name in others)]
        lines = zip(names, *(row[:-1] for row in rows), strict=True)
        yield from columns([*lines], "<" + ">" * len(rows), indent="")
        yield from wrapped(curves.break_even_words(sheet), width, "  ")
    for said in curves.crossover_words(sheet):
        yield from wrapped(said, width, "  ", "")


def _budgets(sheet: Sheet, width: int) -> Iterator[str]:
    rows = curves.budget_rows(sheet)
    if rows:
        yield curves.BUDGETS
        yield from _table(rows, width, ">>")
        yield from wrapped(curves.budget_words(sheet), width, "  ")


def _risks(sheet: Sheet, width: int) -> Iterator[str]:
    yield "What it rests on"
    ages = [
        f"{usd(a.usd_per_month)} on prices {a.age_days:,} day{'' if a.age_days == 1 else 's'} old"
        for a in sheet.risks.prices_by_age
    ]
    if ages:
        yield from wrapped(f"{', '.join(ages)}.", width, "  ")
    unproven = [w for w in sheet.risks.wishes if not (w.measured or w.not_judged_on)]
    if unproven:
        named = ", ".join(f"{w.what} of {escape(w.workload)}" for w in unproven)
        yield from wrapped(f"Judged on estimates: {named}.", width, "  ")
    for said in words.left_out_words(sheet):
        yield from wrapped(said, width, "    ", "  ")
    for note in sheet.risks.notes:
        yield from wrapped(escape(note), width, "    ", "  ")
    idle = sheet.hours.capacity_idle
    if idle is not None:
        paid = usd(sheet.hours.billing_idle_usd_per_month or 0.0)
        yield from wrapped(
            f"Idle: {percent(idle)} of the GPU-hours on average; hours without load cost {paid}.",
            width,
            "  ",
        )


def _asks(sheet: Sheet, width: int) -> Iterator[str]:
    if sheet.asks:
        yield "Ask before you buy"
    for one in sheet.asks:
        yield from wrapped(f"{escape(one.offering)}: {escape(one.question)}", width, "    ", "  ")


def _measure(sheet: Sheet, width: int) -> Iterator[str]:
    if not sheet.measure:
        return
    one = sheet.measure[0]
    replica = f"{escape(one.gpu)} {escape(one.precision)} tp {one.tensor_parallel}"
    yield f"Measure first, on {replica} ({usd(one.at_stake_usd_per_month)} per month at stake)"
    yield f"  {escape(one.serve_command)}"
    yield from _command(one.bench_command, width)
    for said in words.measure_words(sheet, one):
        yield from wrapped(said, width, "  ")
    yield "  What its file makes of the plan:"
    yield from _command(one.calibrate_command, width)


def _command(command: str, width: int) -> Iterator[str]:
    """Lines that a shell takes for one."""
    lines = wrapped(escape(command), width - 2, "      ", "  ")
    yield from (f"{line} \\" if line is not lines[-1] else line for line in lines)


def sources_lines(sheet: Sheet, width: int) -> Iterator[str]:
    """What is not in the figures, and what they were made from."""
    origin = sheet.sources
    said = f"Catalog {escape(origin.catalog_name)} {escape(origin.catalog_version)}"
    if origin.catalog_sha256:
        said += f" (sha {origin.catalog_sha256[:SHA_DIGITS]})"
    said += f", problem sha {origin.problem_sha256[:SHA_DIGITS]}"
    said += f". milp-planner {escape(origin.planner_version)}."
    yield from wrapped(f"Not included: {', '.join(origin.not_included)}. {said}", width, "")
