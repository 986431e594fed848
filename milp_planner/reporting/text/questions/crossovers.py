"""Which way of paying is the cheapest at which volume, as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.questions.sweeps.ways import CheapestFrom, Crossovers, WayToPay
from milp_planner.reporting.text.wording import columns, escape, money, number

NONE = "-"


def crossovers_text(found: Crossovers) -> str:
    """A row for each stretch of traffic, and what is not allowed or not known."""
    return "\n".join(_lines(found)) + "\n"


def crossover_row(found: Crossovers, one: CheapestFrom) -> dict[str, object]:
    """A stretch as a flat row."""
    tokens = found.tokens_per_month or None
    return {
        "from_factor": one.from_factor,
        "to_factor": one.to_factor,
        "from_tokens_per_month": tokens and tokens * one.from_factor,
        "to_tokens_per_month": tokens and tokens * one.to_factor,
        "way": one.way,
        "from_usd_per_month": one.from_usd_per_month,
        "to_usd_per_month": one.to_usd_per_month,
        "fleet": one.fleet,
        "proven": one.proven,
    }


def _lines(found: Crossovers) -> Iterator[str]:
    tokens = found.tokens_per_month
    head = ["from", "to", *(["from tokens"] if tokens else []), "cheapest", "from $/month", "to"]
    rows = [[*head, "at its start"]]
    for one in found.stretches:
        volume = [_tokens(tokens * one.from_factor)] if tokens else []
        ends = (one.from_usd_per_month, one.to_usd_per_month)
        paid = [NONE if usd is None else money(usd) for usd in ends]
        way = escape(one.way) or "nothing serves it"
        cells = [f"{one.from_factor:.3g}x", f"{one.to_factor:.3g}x", *volume]
        rows.append([*cells, way + ("" if one.proven else " (not proven)"), *paid, one.fleet])
    yield f"{escape(found.name)}: the cheapest way to pay, by multiples of the traffic"
    yield from columns(rows, "<<" + ">" * bool(tokens) + "<>><")
    if len(found.ways) == 1:
        yield f"Nothing else than {escape(found.ways[0].name)} can serve it."
    yield from (_needs(one) for one in found.ways if one.needs)
    if not found.complete:
        yield "Not complete: time or work ended before every stretch was known."


def _tokens(count: float) -> str:
    """Tokens a month, in millions."""
    return f"{number(count / 1e6)} M"


def _needs(way: WayToPay) -> str:
    names = ", ".join(way.needs)
    return f"{escape(way.name)} takes {names} in limits.billing.allow."
