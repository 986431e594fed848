"""A calendar of commitments in words: what to sign when, and a row a month for each future."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase

from milp_planner.plans.calendars.records import (
    CERTAIN,
    Calendar,
    CalendarMonth,
    CalendarProof,
    FutureCalendar,
    OtherEnd,
    RentedUnits,
    Signing,
)
from milp_planner.reporting.text.plans.futures import INSURES_GROWTH, made_small
from milp_planner.reporting.text.plans.table import catalog_line
from milp_planner.reporting.text.wording import (
    columns,
    count,
    escape,
    fine_percent,
    money,
    number,
    plural,
    usd,
)

AT_END = {
    "extend": "the last month goes on until they are over (at_end: extend)",
    "pro_rata": "only these months of them count (at_end: pro_rata)",
    "full": "all that is owed counts, for nothing more (at_end: full)",
}
NOTHING = "-"
SIGN_NOTHING = "Sign nothing: whatever comes, what is rented costs less."
NOTHING_SIGNED = (
    "Nothing is signed here, and it is not known what signing would save: it ended before that."
)
UNKNOWN = 0.995
"""A gap that says nothing."""

HEADS = ("month", "traffic", "signed", "bound", "rented", "", "$ bound", "$ rent", "$")
"""Of a future's table; where changes cost something, that is in the rent."""

ALIGN = ">>>><<>>>"

ENGINES = {"cbc": "CBC", "highs": "HiGHS"}


def calendar_text(calendar: Calendar, width: int | None = None) -> str:
    """The calendar for people; width: columns that sentences are wrapped at."""
    first = f"{escape(calendar.name)}: {usd(calendar.usd, 0)} {calendar_headline(calendar)}"
    names = short_names(calendar)
    parts = [
        [*_wrapped([first, *calendar_sentences(calendar)], width)],
        *([*_table(calendar, future, names)] for future in calendar.futures),
        [f"  {said}" for said in letter_lines(names)],
        [*_wrapped(calendar_closing(calendar), width)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _wrapped(sentences: Iterable[str], width: int | None) -> Iterator[str]:
    for said in sentences:
        if width is None:
            yield said
        else:
            yield from textwrap.wrap(said, width, break_long_words=False, break_on_hyphens=False)


def short_names(calendar: Calendar) -> dict[tuple[str, str], str]:
    """A letter for each (offering, billing) that is rented, so that the tables are narrow."""
    rented = {
        (escape(r.offering), r.billing)
        for future in calendar.futures
        for month in future.months
        for r in month.rented
    }
    letters = (first + last for first in ("", *ascii_lowercase) for last in ascii_lowercase)
    return dict(zip(sorted(rented), letters, strict=False))


def letter_lines(names: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """`a: aws/g6e.xlarge/us-east-1 dedicated`, for each letter."""
    for (offering, billing), short in names.items():
        yield f"{short}: {offering} {billing}"


def calendar_headline(calendar: Calendar) -> str:
    """Beside the amount: what it is of, and how sure it is."""
    within = _within(calendar, "the least there is")
    if calendar.measure != "expected":
        within = ""  # it is something else that is made small
    many = len(calendar.futures)
    mean = f" on average over {plural(many, 'future')}" if many > 1 else ""
    return f"in {plural(calendar.months, 'month')}{mean}{within}."


def _within(calendar: Calendar, least: str) -> str:
    """How far what is counted is above the least, as far as that is known."""
    gap = calendar.proof.gap
    if calendar.is_proven and gap is not None:
        return f", at most {fine_percent(gap)} above the least" if gap > CERTAIN else f", {least}"
    if gap is None or gap > UNKNOWN:
        return "; not proven, and how much less another may count is not known"
    return f"; not proven: another may count up to {fine_percent(gap)} less"


def calendar_sentences(calendar: Calendar) -> Iterator[str]:
    """What to sign when, what is owed at the end, and what the answer rests on."""
    yield from _signed_lines(calendar)
    yield from _words(calendar)


def _signed_lines(calendar: Calendar) -> Iterator[str]:
    """Everything that is signed, in order; what follows the future under its name."""
    common = calendar.common
    if not common and not any(m.signed for f in calendar.futures for m in f.months):
        yield SIGN_NOTHING if calendar.is_proven else NOTHING_SIGNED
        return
    now = [s for s in common if s.month == 1]
    if now:
        yield f"Sign now: {_list(now)}."
    if later := [s for s in common if s.month > 1]:
        yield f"Whatever comes, sign {_sums(later)}."
    known = calendar.known_from_months
    if known is None:
        return
    for future in calendar.futures:
        later = [s for m in future.months if m.month > known for s in m.signed]
        name = f"In {escape(future.name)} ({fine_percent(future.probability)})"
        told = f"{name}, known after {plural(known, 'month')},"
        yield f"{told} sign {_sums(later)}." if later else f"{told} nothing more."


def _sums(signings: Sequence[Signing]) -> str:
    """The same offering at several times as one, since the table has the months."""
    found: dict[tuple[str, str, str], list[Signing]] = {}
    for s in signings:
        found.setdefault((s.workload, s.offering, s.billing), []).append(s)
    return "; ".join(
        f"{sum(s.units for s in mine)} x {escape(offering)} {billing}{_months(mine)} " + _owed(mine)
        for (_, offering, billing), mine in found.items()
    )


def _owed(signings: Sequence[Signing]) -> str:
    if not signings[0].term_months:
        return f"({usd(sum(s.usd_per_month for s in signings), 0)} per month)"
    return f"({usd(sum(s.owed_usd for s in signings), 0)})"


def _months(signings: Sequence[Signing]) -> str:
    first, last = signings[0].month, signings[-1].month
    return f" in month {first}" if first == last else f" between month {first} and {last}"


def _list(signings: Sequence[Signing]) -> str:
    several = len({s.workload for s in signings}) > 1
    return "; ".join(
        f"{s.units} x {escape(s.offering)} {s.billing} {_term(s)}"
        + (f" for {escape(s.workload)}" if several and s.workload else "")
        for s in signings
    )


def _term(signing: Signing) -> str:
    """`for 12 months ($50,649)`; of what is there to stay what it costs a month."""
    if not signing.term_months:
        return f"to stay ({usd(signing.usd_per_month, 0)} per month)"
    return f"for {plural(signing.term_months, 'month')} ({usd(signing.owed_usd, 0)})"


def _measured(calendar: Calendar) -> Iterator[str]:
    """What is made small where it is not the average."""
    if calendar.measure == "expected":
        return
    of, counted_usd = calendar.measured_on, calendar.proof.counted_usd
    yield (
        made_small(calendar.measured_on, calendar.level, calendar.weight)
        + f" It counts {usd(counted_usd, 0)}{_within(calendar, 'the least')}."
    )
    if of == "cost":
        yield INSURES_GROWTH
    if of != "cost":
        counted = (
            f"{usd(future.counted_usd, 0)} in {escape(future.name)}"
            for future in calendar.futures
            if future.counted_usd is not None
        )
        what = (
            "More than where it alone had been planned for" if of == "regret" else "Cost less value"
        )
        yield f"{what}: {', '.join(counted)}."


def _words(calendar: Calendar) -> Iterator[str]:
    yield from _measured(calendar)
    if calendar.owed_usd > 0:
        least = min(calendar.futures, key=lambda f: f.usd)
        yield (
            f"At the end {usd(calendar.owed_usd, 0)} is still owed on average, "
            f"{usd(least.owed_usd, 0)} in {escape(least.name)}. Where terms outlast the months, "
            f"{AT_END[calendar.at_end]}."
        )
    yield from map(_flip, (end for end in calendar.other_ends if not end.is_same))
    if calendar.unknown_usd is not None and calendar.known_from_months is not None:
        worth = calendar.unknown_usd - calendar.proof.counted_usd
        yield (
            f"To know the future after {plural(calendar.known_from_months, 'month')} is worth "
            f"{usd(max(0.0, worth), 0)}: so much more is counted where all must be signed "
            "without knowing it."
        )


def _flip(end: OtherEnd) -> str:
    signed = f"{plural(end.units_now, 'unit')} now and {number(end.units_later)} later on average"
    if not end.units_now and not end.units_later:
        signed = "nothing"
    return f"Where {AT_END[end.at_end]}, sign {signed} instead."


def future_headline(future: FutureCalendar) -> str:
    """A future's name, and what it comes to."""
    return (
        f"{escape(future.name)}, {fine_percent(future.probability)}: {usd(future.usd, 0)}, "
        f"owed after it {usd(future.owed_usd, 0)}"
    )


def _table(
    calendar: Calendar, future: FutureCalendar, names: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    if len(calendar.futures) > 1:
        yield future_headline(future)
    yield from columns([list(HEADS), *letter_rows(future, names)], ALIGN)
    yield from beside_months(future)


def letter_rows(
    future: FutureCalendar, names: Mapping[tuple[str, str], str]
) -> Iterator[list[str]]:
    """A row a month and their sum, below `HEADS`, with letters for what is rented."""
    for month, before in zip(future.months, [None, *future.months[:-1]], strict=True):
        cells = month_cells(month, before)
        yield [*cells[:4], _in_letters(month, names), " ".join(cells[5:7]).strip(), *cells[7:]]
    total = total_cells(future)
    yield [*total[:5], *total[6:]]


def beside_months(future: FutureCalendar) -> Iterator[str]:
    """What a future counts that is no money, and what it leaves unserved."""
    penalties = sum(m.penalties_usd for m in future.months)
    if penalties >= 0.5:
        yield f"Penalties beside it: {usd(penalties, 0)}."
    short = {m.month: m.shortfall_share for m in future.months if m.shortfall_share > 0}
    if short:
        first, most = min(short), max(short.values())
        yield (
            f"Unserved: up to {fine_percent(most)} of the peak, in {plural(len(short), 'month')}, "
            f"first in month {first}."
        )


def total_cells(future: FutureCalendar) -> list[str]:
    """The last row of a future's table."""
    return [
        *("all", "", "", "", "", "", ""),
        money(sum(m.bound_usd for m in future.months), 0),
        money(sum(m.rent_usd + m.moves_usd for m in future.months), 0),
        money(future.usd, 0),
    ]


def month_cells(month: CalendarMonth, before: CalendarMonth | None) -> list[str]:
    """A row of a future's table; before: the month before it."""
    signed = sum(s.units for s in month.signed)
    added, dropped = _moves(month, before)
    rented = " + ".join(_rented(r) for r in month.rented)
    return [
        str(month.month),
        number(month.traffic),
        str(signed) if signed else NOTHING,
        str(month.bound_units),
        rented or NOTHING,
        f"+{added}" if added else "",
        f"-{dropped}" if dropped else "",
        money(month.bound_usd, 0),
        money(month.rent_usd + month.moves_usd, 0),
        money(month.usd, 0),
    ]


def _in_letters(month: CalendarMonth, names: Mapping[tuple[str, str], str]) -> str:
    """`9 a + 2 b`: units of an offering over all workloads; of what is paid by the token `c`."""
    units: dict[str, int] = {}
    for r in month.rented:
        short = names[escape(r.offering), r.billing]
        units[short] = units.get(short, 0) + r.units
    return (
        " + ".join(f"{n} {short}" if n else short for short, n in sorted(units.items())) or NOTHING
    )


def _rented(one: RentedUnits) -> str:
    """`14 x aws/g6e.xlarge/us-east-1`; of what is paid by the token its name."""
    return f"{one.units} x {escape(one.offering)}" if one.units else escape(one.offering)


def _moves(month: CalendarMonth, before: CalendarMonth | None) -> tuple[int, int]:
    """Rented units that come and go."""
    now = {(r.workload, r.offering, r.billing): r.units for r in month.rented}
    then = (
        {}
        if before is None
        else {(r.workload, r.offering, r.billing): r.units for r in before.rented}
    )
    moves = [now.get(key, 0) - then.get(key, 0) for key in {*now, *then}]
    return sum(m for m in moves if m > 0), -sum(m for m in moves if m < 0)


def calendar_closing(calendar: Calendar) -> Iterator[str]:
    """How it was proven, and what it takes for granted."""
    proof = calendar.proof
    engines = " and ".join(ENGINES[name] for name in proof.engines)
    by = f" by {engines}" if engines else ""
    if abs(proof.counted_usd - calendar.usd) >= 1:
        yield (
            f"What was made as small as it can be is {usd(proof.counted_usd, 0)}, with what comes "
            f"after the months: where terms outlast them, {AT_END[calendar.at_end]}."
        )
    if proof.rents:
        yield (
            "Bound by enumeration of signings, month by month; with these signings "
            f"{proof.rents_checked} of {plural(proof.rents, 'rent')} (a workload in a future) were "
            f"solved again{by}, to the same sum."
        )
    if proof.programs:
        yield _programs(proof)
    if proof.parts > 1:
        yield "No rule links the workloads: what is signed for one serves it alone, all its term."
    if len({one.workload for one in calendar.rests_on}) > 1:
        yield "A unit serves one workload here: policy.share holds for plans of one month."
    yield (
        "A month has the hours of policy.hours_per_month. What is signed costs the price of today "
        "whenever it is signed; rentals follow each month's traffic"
        + ("." if _pays_for_moves(calendar) else ", and moving them costs nothing.")
    )
    yield f"Not included: {', '.join(calendar.not_included)}. {catalog_line(calendar.provenance)}"


def _pays_for_moves(calendar: Calendar) -> bool:
    return any(m.moves_usd for future in calendar.futures for m in future.months)


def _programs(proof: CalendarProof) -> str:
    """How what was not enumerated was proven."""
    solved = "One program" if proof.programs == 1 else plural(proof.programs, "program")
    engines = " and ".join(ENGINES[name] for name in proof.program_engines)
    how = f"proven by {engines}" if engines else "not proven: it ended before that"
    return f"{solved} over all months and futures ({count(proof.program_columns)} columns): {how}."
