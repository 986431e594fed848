"""What to commit to over several futures, in words and two tables; the same in plan and sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from milp_planner.plans.futures.records import (
    Commitment,
    CommitmentCase,
    FlatRange,
    FutureOutcome,
    FuturesPlan,
    Threshold,
)
from milp_planner.reporting.text.wording import (
    columns,
    escape,
    fine_percent,
    money,
    percent,
    plural,
    usd,
)

NOT_KNOWN = "-"
NOTHING = "nothing"

MADE_FOR = {
    "chosen": "this plan",
    "next": "next best",
    "mean": "the mean of the futures",
    "nothing": "nothing committed",
    "expected": "the average alone",
}

MEASURES = {"cvar": "the worst {tail} by {of}", "worst": "the worst {of}"}


WIDTH, LEAST_TEXT = 80, 12
"""Columns of a table, and of text beside it where there is next to no room."""


def futures_answer(told: FuturesPlan, *, proven: bool) -> str:
    """`Optimal commitments: $25,391 per month on average over 3 futures`."""
    word = "Optimal commitments" if proven else "Best commitments found"
    mean = usd(told.expected_usd_per_month, 0)
    return f"{word}: {mean} per month on average over {plural(len(told.outcomes), 'future')}"


def futures_lines(told: FuturesPlan) -> Iterator[str]:
    """What is bound, what each future then comes to, and what other commitments would."""
    yield f"Commit to {_bound(told.committed)}{_owed(told.committed)}."
    yield from _outcome_table(told.outcomes)
    yield from words_beside(told)
    if told.cases:
        yield "What other commitments would cost per month, by what they are made for"
        yield from _case_table(told)
    yield f"Below: the plan in future {escape(told.leading)}, the most likely one."


def shared_sentences(told: FuturesPlan) -> Iterator[str]:
    """What is bound, and what the figures of the tables mean."""
    yield f"Commit to {_bound(told.committed)}{_owed(told.committed)}."
    yield from words_beside(told)


INSURES_GROWTH = (
    "Measured on cost the worst is the future of most traffic: that insures against "
    "growth and commits more. Who fears idle commitments writes of: margin."
)


def futures_sentences(told: FuturesPlan) -> Iterator[str]:
    """The same without tables, where there is no room for them."""
    yield f"Commit to {_bound(told.committed)}{_owed(told.committed)}."
    for one in told.outcomes:
        unserved = f", {fine_percent(one.shortfall_share)} unserved" if one.shortfall_share else ""
        rented = one.rented if one.rented == NOTHING else f"{one.rented} rented"
        yield (
            f"In {escape(one.name)} ({fine_percent(one.probability)}) it is "
            f"{usd(one.usd_per_month, 0)} a month, {escape(rented)} beside{unserved}."
        )
    yield from words_beside(told)
    yield f"Below: the plan in future {escape(told.leading)}, the most likely one."


def made_small(of: str, level: float | None, weight: float) -> str:
    """What counts beside the average. level: of the mean of the worst; None: the worst one."""
    tail = "" if level is None else f" {percent(1 - level)}"
    mean = f", {percent(1 - weight)} the average" if weight < 1 else ""
    return f"Made small: {percent(weight)} the worst{tail} by {of}{mean}."


def words_beside(told: FuturesPlan) -> Iterator[str]:
    """What the figures mean, a sentence each; nothing of what was not solved."""
    if told.measure != "expected":
        yield made_small(told.measured_on, told.level, told.weight)
        if told.measured_on == "cost":
            yield INSURES_GROWTH
    mean, least = told.stochastic_value_usd_per_month, told.expected_usd_per_month
    made = next((one for one in told.cases if one.kind == "mean"), None)
    if mean is not None and made is not None:
        share = f" ({fine_percent(mean / least)})" if least else ""
        yield (
            f"A plan made for the mean of the futures would commit to {_bound(made.committed)}: "
            f"{usd(mean, 0)} per month more on average{share}."
        )
    if told.information_value_usd_per_month is not None:
        worth = usd(told.information_value_usd_per_month, 0)
        yield f"To know which future comes would be worth up to {worth} per month."
    yield from (_threshold(told, one) for one in told.thresholds)
    if told.flat is not None:
        yield _flat(told.flat)
    if told.no_regret and told.no_regret_holds:
        yield f"A commitment that no future regrets: {_bound(told.no_regret)}."


def _bound(committed: Commitment) -> str:
    """`5 x aws/g6e.xlarge/us-east-1 reserved_1y`; `nothing`."""
    each = (f"{one.units} x {one.offering} {one.billing}" for one in committed)
    return escape(" + ".join(each)) or "nothing"


def _owed(committed: Commitment) -> str:
    """` ($50,649 over 12 months)`; nothing where nothing is owed over a term."""
    terms = sorted({one.months for one in committed if one.months})
    owed = sum(one.owed_usd for one in committed)
    if not terms:
        return ""
    span = " and ".join(map(str, terms))
    at_once = sum(one.upfront * one.owed_usd for one in committed)
    upfront = f", {usd(at_once, 0)} of it at once" if at_once else ""
    return f" ({usd(owed, 0)} over {span} month{'s' * (terms[-1] > 1)}{upfront})"


def outcome_rows(outcomes: Sequence[FutureOutcome]) -> list[list[str]]:
    """Heads, and what each future comes to with these commitments."""
    rows = [["future", "probability", "traffic", "$/month", "regret", "idle", "beside them"]]
    short = any(one.shortfall_share for one in outcomes)
    for one in outcomes:
        unserved = f", {fine_percent(one.shortfall_share)} unserved" if short else ""
        rows.append(
            [
                escape(one.name),
                fine_percent(one.probability),
                f"x {one.traffic:.3g}",
                money(one.usd_per_month, 0),
                _amount(one.regret_usd_per_month),
                _amount(one.idle_usd_per_month),
                escape(one.rented) + unserved,
            ]
        )
    return rows


def _outcome_table(outcomes: Sequence[FutureOutcome]) -> Iterator[str]:
    yield from _with_long_last(outcome_rows(outcomes), "<>>>>>")
    if any(one.regret_usd_per_month or one.idle_usd_per_month for one in outcomes):
        yield "  regret: what a plan made for that future alone would save"
        yield "  idle: what is paid for commitments that it could do without"


def _with_long_last(rows: Sequence[Sequence[str]], align: str) -> Iterator[str]:
    """Columns of which the last is text, wrapped beside the others."""
    first = columns([row[:-1] for row in rows], align)
    left = max(map(len, first)) + 2
    room = max(LEAST_TEXT, WIDTH - left)
    for line, row in zip(first, rows, strict=True):
        said = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False)
        for i, part in enumerate(said or [""]):
            yield f"{line if i == 0 else '':<{left}}{part}".rstrip()


def case_rows(told: FuturesPlan) -> list[list[str]]:
    """Heads, and what other commitments would cost in each future; none that was not solved."""
    names = [one.name for one in told.outcomes]
    heads = ["made for", "units", *map(escape, names), "average", "largest regret"]
    rows = [heads]
    for case in told.cases:
        if all(usd is None for usd in case.usd_per_month.values()):
            continue  # nothing was solved
        rows.append(
            [
                _made_for(case),
                str(case.units),
                *(_amount(case.usd_per_month[name]) for name in names),
                _amount(case.expected_usd_per_month),
                _amount(case.largest_regret_usd_per_month),
            ]
        )
    return rows


def _case_table(told: FuturesPlan) -> Iterator[str]:
    rows = case_rows(told)
    for part in _narrow(rows):
        yield from columns(part, "<" + ">" * (len(part[0]) - 1))
    if any(NOT_KNOWN in row for row in rows):
        yield f"  {NOT_KNOWN}: nothing was proven before time was up, or no plan keeps to it"


def _narrow(rows: Sequence[Sequence[str]]) -> Iterator[list[list[str]]]:
    """The table, or where it is wide several: what the futures cost, as many as fit, then the rest.

    All begin with what the commitments are made for, and how many they are.
    """
    widths = [2 + max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    chosen = [[0, 1]]
    for c in range(2, len(widths)):
        if sum(widths[i] for i in chosen[-1]) + widths[c] > WIDTH and len(chosen[-1]) > 2:
            chosen.append([0, 1])
        chosen[-1].append(c)
    for part in chosen:
        yield [[row[c] for c in part] for row in rows]


def _made_for(case: CommitmentCase) -> str:
    if case.kind == "future":
        return escape(f"{case.of} alone")
    if case.kind not in MEASURES:
        return MADE_FOR[case.kind]
    tail = "" if case.level is None else percent(1 - case.level)
    said = MEASURES[case.kind].format(tail=tail, of=case.of)
    weight = 1.0 if case.weight is None else case.weight
    return said if weight == 1 else f"{percent(weight)} {said}"


def _amount(usd_per_month: float | None) -> str:
    return NOT_KNOWN if usd_per_month is None else money(usd_per_month + 0.0, 0)


def _threshold(told: FuturesPlan, one: Threshold) -> str:
    """`A 6th to 19th unit pays above 63 % for base or better: 19 x ...; you say 60 %.`

    Where units of several offerings are unlike: `To commit to more pays above`.
    """
    which = one.futures[0] + (" or better" if len(one.futures) > 1 else "")
    bound, other = (
        sum(part.usd_per_month for part in committed)
        for committed in (told.committed, one.committed)
    )
    word = "To commit to others pays"
    if other != bound:
        word = "To commit to more pays" if other > bound else "To commit to less is enough"
    kinds = {(u.offering, u.billing) for u in (*told.committed, *one.committed)}
    if other > bound and len(kinds) == 1:
        first, last = (sum(u.units for u in of) for of in (told.committed, one.committed))
        word = f"A {_nth(first + 1)}{f' to {_nth(last)}' if last > first + 1 else ''} unit pays"
    side = "above" if one.rises else "below"
    return (
        f"{word} {side} {fine_percent(one.at)} for {escape(which)}: {_bound(one.committed)}; "
        f"you say {fine_percent(one.now)}."
    )


def _nth(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _flat(flat: FlatRange) -> str:
    """`From 4 to 19 units the average changes by 2.2 % at most, ...`.

    Units of several offerings are unlike: there it is from what they cost to what they cost.
    """
    ends = flat.fewest, flat.most
    if len({(u.offering, u.billing) for one in ends for u in one.committed}) > 1:
        low_usd, high_usd = (sum(u.usd_per_month for u in one.committed) for one in ends)
        said = f"From {usd(low_usd, 0)} to {usd(high_usd, 0)} a month of commitments"
    else:
        said = f"From {flat.fewest.units} to {plural(flat.most.units, 'unit')}"
    said += " the average changes by "
    said += f"{fine_percent(flat.most_change)} at most"
    low, high = flat.fewest_idle_usd_per_month, flat.most_idle_usd_per_month
    if low is not None and high is not None:
        said += (
            f", and what is paid for idle commitments in {escape(flat.idle_in)} goes from "
            f"{usd(low, 0)} to {usd(high, 0)} a month"
        )
    return said + "."
