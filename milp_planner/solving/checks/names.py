"""Checks the names in limits and in the running fleet against a catalog, each at its own line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from milp_planner.candidates.filters import is_meant, place_names
from milp_planner.candidates.paying.commitments import is_committed
from milp_planner.candidates.paying.start_up import is_started_so
from milp_planner.errors import Fault, did_you_mean, nearest, readable_path
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policy import StartUp
from milp_planner.inputs.problem.records import CurrentUnits, Problem
from milp_planner.inputs.reading.strict_yaml import Steps
from milp_planner.solving.checks.own_terms import terms_faults
from milp_planner.solving.checks.quotes import price_faults, quote_faults

FILTERS = ("providers", "regions", "gpus", "offerings")
PATTERN_MARKS = "*?["


def limit_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    """Names and patterns of `limits:` that match nothing, and those that contradict each other."""
    for steps, kind, patterns, known in _named_in_limits(problem, catalog):
        for entry, pattern in _entries(patterns):
            if not any(fnmatchcase(name, pattern) for name in known):
                message, hint = _why_unmatched(pattern, kind, known, catalog)
                is_key = isinstance(entry, str)
                yield _fault(problem, steps, message, hint, at=(*steps, entry), at_key=is_key)
    for name in FILTERS:
        kept = getattr(problem.limits, name)
        for i, pattern in enumerate(kept.deny):
            if pattern in kept.allow:
                steps = ("limits", name, "deny")
                message = f"{pattern!r} is both allowed and denied"
                yield _fault(problem, steps, message, at=(*steps, i))
    yield from terms_faults(
        problem, catalog, lambda name, ids: _why_unmatched(name, "offering", ids, catalog)[0]
    )
    yield from _rented_faults(problem, catalog)
    yield from quote_faults(
        problem, catalog, lambda name, ids: _why_unmatched(name, "offering", ids, catalog)
    )


def future_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    """Prices of futures that nothing has."""
    return price_faults(
        problem, catalog, lambda name, ids: _why_unmatched(name, "offering", ids, catalog)
    )


def _rented_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    """Commitments to, and start-ups of, what is not there, or is not sold that way."""
    for i, paid in enumerate(problem.commitments):
        is_sold = any(is_committed(paid, row) for row in catalog.offerings)
        yield from _unsold(problem, catalog, ("commitments", i), paid, is_sold)
    for i, start in enumerate(problem.policy.start_up):
        is_sold = any(is_started_so(start, row) for row in catalog.offerings)
        yield from _unsold(problem, catalog, ("policy", "start_up", i), start, is_sold)


def _unsold(
    problem: Problem, catalog: Catalog, steps: Steps, one: Commitment | StartUp, is_sold: bool
) -> Iterator[Fault]:
    if is_sold:
        return
    named = (o for o in catalog.offerings if is_meant("offerings", one.offering, o))
    billings = ", ".join(sorted({o.billing for o in named}))
    if billings and one.billing:
        message = f"{one.offering} is not sold as {one.billing}, only as {billings}"
        yield _fault(problem, (*steps, "billing"), message)
        return
    ids = {known for o in catalog.offerings for known in o.ids}
    message, hint = _why_unmatched(one.offering, "offering", ids, catalog)
    if billings:
        message = f"{one.offering} is sold as {billings} alone, which nobody commits to"
    yield _fault(problem, (*steps, "offering"), message, hint)


def fleet_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    """Rows of `current_fleet:` that name what is not there, or what another row names too."""
    billings = _billings(catalog)
    names = {w.name for w in problem.workloads}
    first: dict[object, int] = {}
    for i, row in enumerate(problem.current_fleet):
        steps = ("current_fleet", i)
        if row.workload not in names:
            message = f"no workload {row.workload!r}{did_you_mean(row.workload, names)}"
            yield _fault(problem, (*steps, "workload"), message)
        offering = _offering_of(row, catalog)
        if row.offering not in billings:
            message = f"no offering {row.offering!r}{_closest(row.offering, billings)}"
            yield _fault(problem, (*steps, "offering"), message)
        elif not offering:
            places = ", ".join(catalog.offering_ids[row.offering])
            message = f"{row.offering!r} is sold in several places; write one of {places}"
            yield _fault(problem, (*steps, "offering"), message)
        elif (billing := _billing_of(row, billings)) is None:
            yield _fault(problem, (*steps, "billing"), _why_no_billing(row, billings))
        elif (key := (offering, billing, row.workload)) in first:
            message = (
                f"{row.offering} billed {billing} for {row.workload!r} is given twice "
                f"(first as current_fleet[{first[key]}]); add the units up"
            )
            yield _fault(problem, steps, message)
        else:
            first[key] = i


def with_known_billings(problem: Problem, catalog: Catalog) -> Problem:
    """The problem with every current unit's billing written out, and its offering's own id."""
    if not problem.current_fleet:
        return problem
    billings = _billings(catalog)
    rows = tuple(
        row.model_copy(
            update={"billing": _billing_of(row, billings), "offering": _offering_of(row, catalog)}
        )
        for row in problem.current_fleet
    )
    return problem.model_copy(update={"current_fleet": rows})


def _fault(
    problem: Problem,
    steps: Steps,
    message: str,
    hint: str = "",
    *,
    at: Steps | None = None,
    at_key: bool = False,
) -> Fault:
    fault = Fault(file="", line=0, column=0, path=readable_path(steps), message=message, hint=hint)
    return located(problem, fault, steps if at is None else at, at_key=at_key)


# Limits

Patterns = Sequence[str] | Mapping[str, int]


def _named_in_limits(
    problem: Problem, catalog: Catalog
) -> Iterator[tuple[Steps, str, Patterns, set[str]]]:
    """(steps to the list or keys, what they name, the patterns, the names there are)."""
    limits = problem.limits
    rows: list[Offering | TokenPrice] = [*catalog.offerings, *catalog.token_prices]
    providers = {name for row in rows for name in row.sellers}
    ids = set(catalog.offering_ids)
    gpus = set(catalog.gpus)
    places = {name for row in rows for name in place_names(row)}
    known = (providers, places, gpus, ids)
    kinds = ("provider", "region", "GPU", "offering")
    for name, kind, names in zip(FILTERS, kinds, known, strict=True):
        kept = getattr(limits, name)
        yield ("limits", name, "allow"), kind, kept.allow, names
        yield ("limits", name, "deny"), kind, kept.deny, names
    yield ("limits", "max_units"), "offering", limits.max_units, ids
    per_provider, per_gpu = limits.max_gpus.per_provider, limits.max_gpus.per_gpu
    yield ("limits", "max_gpus", "per_provider"), "provider", per_provider, providers
    yield ("limits", "max_gpus", "per_gpu"), "GPU", per_gpu, gpus


def _entries(patterns: Patterns) -> Iterator[tuple[str | int, str]]:
    """(key or index, pattern)."""
    if isinstance(patterns, Mapping):
        yield from ((pattern, pattern) for pattern in patterns)
    else:
        yield from enumerate(patterns)


def _why_unmatched(pattern: str, kind: str, known: set[str], catalog: Catalog) -> tuple[str, str]:
    """(message, hint) for a name or pattern that stands for nothing."""
    meant = catalog.gpus_named(pattern) if kind == "GPU" else ()
    if len(meant) > 1:
        message = f"{pattern!r} is ambiguous; write one of {', '.join(meant)}"
        return message, f"or a pattern, such as {meant[0].partition('-')[0]}-*"
    if meant:
        return f"no GPU {pattern!r}; closest: {meant[0]}", ""
    if any(mark in pattern for mark in PATTERN_MARKS):
        closest = _closest_to_pattern(pattern, known)
        return f"{pattern!r} matches none of the {len(known)} {kind}s{closest}", ""
    return f"no {kind} {pattern!r}{_closest(pattern, known)}", ""


def _closest(name: str, known: Collection[str]) -> str:
    """`; closest: x`, or nothing: a name that begins so, one alike, or one that has it within."""
    longer = sorted(k for k in known if name and k.startswith(name))
    within = sorted(k for k in known if name and name in k)
    near = longer or nearest(name, known) or nearest(name.lower(), known) or within
    return f"; closest: {near[0]}" if near else ""


def _closest_to_pattern(pattern: str, known: Collection[str]) -> str:
    """`; closest: x`, or nothing: a name that begins like what stands before the first mark."""
    head = pattern[: min(pattern.find(mark) for mark in PATTERN_MARKS if mark in pattern)]
    heads: dict[str, str] = {}
    for name in sorted(known):
        heads.setdefault(name[: len(head)], name)
    near = nearest(head, heads)
    return f"; closest: {heads[near[0]]}" if near else ""


# The running fleet


def _billings(catalog: Catalog) -> dict[str, list[str]]:
    billings: dict[str, list[str]] = {}
    for offering in catalog.offerings:
        for known in offering.ids:
            if offering.billing not in billings.setdefault(known, []):
                billings[known].append(offering.billing)
    return billings


def _offering_of(row: CurrentUnits, catalog: Catalog) -> str:
    """The id of what runs, whichever source's id names it; '' where several places have that."""
    ids = catalog.offering_ids.get(row.offering, ())
    return ids[0] if len(ids) == 1 else ""


def _billing_of(row: CurrentUnits, billings: Mapping[str, Sequence[str]]) -> str | None:
    sold = billings[row.offering]
    if row.billing is not None:
        return row.billing if row.billing in sold else None
    if len(sold) == 1:
        return sold[0]
    return "dedicated" if "dedicated" in sold else None


def _why_no_billing(row: CurrentUnits, billings: Mapping[str, Sequence[str]]) -> str:
    sold = ", ".join(billings[row.offering])
    if row.billing is None:
        return f"required: {row.offering} is sold as {sold}"
    return f"{row.offering} is not sold as {row.billing}, only as {sold}"
