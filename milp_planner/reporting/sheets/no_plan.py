"""The sheet of a problem without a plan, as text of 80 columns: why, and what would give one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.plans.sheet.no_plan import SheetChange, SheetDiagnosis, SheetMisfit, details
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.sheets import words
from milp_planner.reporting.sheets.text import WIDTH, joined, sources_lines, wrapped
from milp_planner.reporting.text.wording import columns, escape, plural, usd

NOT_PROVEN = "No plan found before the solvers stopped, which does not prove that there is none."
CANDIDATES = "milp-planner candidates gives each offering that is turned down its reason."
MOST_MISFITS = 12


def no_plan_text(sheet: Sheet, width: int = WIDTH) -> str:
    """Why there is no plan, and each change that gives one with what it costs."""
    why = sheet.diagnosis
    parts = [[*_first(sheet, width)]]
    if why is None:
        parts.append([line for said in sheet.answer.reasons[1:] for line in _kept(said, width)])
    else:
        parts += [
            [*_details(sheet, why, width)],
            [*_misfits(why.fits, width)],
            [*_conflict(why, width)],
            [*_changes(why.changes, width)],
            [*_together(why, width)],
            [*_left_open(why, width)],
        ]
    return joined([*parts, [*_further(sheet, width)], [*sources_lines(sheet, width)]])


def _further(sheet: Sheet, width: int) -> Iterator[str]:
    if sheet.answer.status == "infeasible":
        yield from wrapped(CANDIDATES, width, "")


def _first(sheet: Sheet, width: int) -> Iterator[str]:
    """The reason in a sentence, and how it is known."""
    is_proven = sheet.answer.status == "infeasible"
    reasons = sheet.answer.reasons or ("",)
    brief = sheet.diagnosis.headline if sheet.diagnosis and not sheet.diagnosis.fits else reasons[0]
    said = f"No plan: {escape(brief).rstrip('.')}." if is_proven else NOT_PROVEN
    yield from wrapped(said, width, "")
    bound = sheet.answer.lower_bound_usd_per_month
    known = [words.proof_words(sheet)]
    known += [f"no plan scores below {usd(bound)}"] if bound is not None and not is_proven else []
    yield from wrapped(", ".join(filter(None, known)), width, "")


def _kept(said: str, width: int) -> list[str]:
    """A line with the indent that it has."""
    indent = " " * (len(said) - len(said.lstrip()) + 2)
    return wrapped(escape(said.strip()), width, f"{indent}  ", indent)


def _details(sheet: Sheet, why: SheetDiagnosis, width: int) -> Iterator[str]:
    """What turned offerings down, where no replica was looked at more closely."""
    if not why.fits:
        for said in details(sheet.answer.reasons):
            yield from _kept(said, width)


def _conflict(why: SheetDiagnosis, width: int) -> Iterator[str]:
    if len(why.conflict) > 1 and not why.fits:
        yield f"These {len(why.conflict)} limits cannot be kept together"
        for limit in why.conflict:
            yield from wrapped(f"{escape(limit.path)}: {escape(limit.value)}", width, "    ", "  ")


def _changes(changes: Sequence[SheetChange], width: int) -> Iterator[str]:
    """The cost of the plan that each change gives, the change, and what is bought."""
    if not changes:
        return
    one = "This gives a plan, for so much a month"
    yield one if len(changes) == 1 else "Any one of these gives a plan, for so much a month"
    amounts = columns([[usd(c.cash_usd_per_month)] for c in changes], ">")
    for c, amount in zip(changes, amounts, strict=True):
        first = f"{amount}  "
        unproven = "" if c.proven else "; not proven"
        said = f"{_change(c)}: {escape(c.fleet)}{unproven}"
        yield from wrapped(said, width, " " * len(first), first)


def _change(c: SheetChange) -> str:
    """`raise the budget to $3,960 (limits.budget.usd_per_month, now $2,000)`."""
    now = f", now {escape(c.now)}" if c.now else ""
    return f"{escape(c.text)} ({escape(c.path)}{now})"


def _together(why: SheetDiagnosis, width: int) -> Iterator[str]:
    if why.combination:
        amount = usd(why.combination_usd_per_month or 0.0)
        yield f"No single change gives a plan. These together do, for {amount} a month"
        for c in why.combination:
            yield from wrapped(_change(c), width, "    ", "  ")


def _misfits(fits: Sequence[SheetMisfit], width: int) -> Iterator[str]:
    if not fits:
        return
    yield "What each replica lacks, the nearest to serving first"
    for fit in fits[:MOST_MISFITS]:
        replica = f"{escape(fit.gpu)} {escape(fit.precision)} tp {fit.tensor_parallel}"
        yield from wrapped(f"{replica}: {escape(fit.reason)}", width, "    ", "  ")
    if len(fits) > MOST_MISFITS:
        yield f"  and {plural(len(fits) - MOST_MISFITS, 'more replica size')}"


def _left_open(why: SheetDiagnosis, width: int) -> Iterator[str]:
    if why.not_reached:
        left = "; ".join(map(escape, why.not_reached))
        yield from wrapped(f"Left open by the time limit or the solvers: {left}.", width, "  ", "")
