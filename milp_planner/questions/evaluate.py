"""evaluate(): what a fleet that the user fixes costs, how hot it runs, and what it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, get_args

from milp_planner.candidates.builder import excluded_by
from milp_planner.candidates.filters import sold_in
from milp_planner.candidates.listing import list_candidates
from milp_planner.candidates.own_terms import under_terms
from milp_planner.candidates.quotes import quoted
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.errors import Fault, InputError, argument_error, input_error, nearest
from milp_planner.inputs.catalog.records import Billing, Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.host import HostLimits
from milp_planner.inputs.problem.records import BillingLimits, Problem
from milp_planner.inputs.reading.arguments import check_text
from milp_planner.inputs.reading.field_types import MOST_UNITS
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.presolve.routing import balanced
from milp_planner.milp.program.families import needs_routes, rules_of
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Provenance, WorkloadPlan
from milp_planner.questions.planned_fleet import (
    Units as Units,
)
from milp_planner.questions.planned_fleet import (
    names_on_shared_units,
    own_units,
    planned_fleet,
    units_by_block,
    with_shared_units,
)
from milp_planner.questions.solve import provenance_of, with_oldest_price
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.routes import spreads_by_capacity
from milp_planner.solving.checks.arguments import catalog_for
from milp_planner.solving.checks.batch import refuse_batches
from milp_planner.solving.checks.llms import refuse_any_llm
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.checks.power import refuse_power_by_load
from milp_planner.solving.checks.queueing import (
    OwnMixes,
    judged_after,
    may_be_judged_after,
    with_idle_wishes_marked,
    with_queues,
)
from milp_planner.solving.checks.sharing import refuse_shared
from milp_planner.solving.prepare import outline_of, unlisted
from milp_planner.solving.results import Settings
from milp_planner.units import parse_share, shown

Row = Offering | TokenPrice
ALL_BILLINGS = BillingLimits(allow=get_args(Billing))


@dataclass(frozen=True)
class Breach:
    """One limit that a fleet breaks."""

    family: str
    """The constraint family, such as `BudgetLimit`, or `Filters` for what is not allowed at all."""

    message: str
    """What is broken, with numbers on both sides."""


@dataclass(frozen=True)
class Evaluation:
    """A fleet that the user fixed, priced and judged."""

    plan: Plan
    """Costs, routes and how each workload fares; its status says nothing of limits."""

    breaches: tuple[Breach, ...]

    @property
    def keeps_all_limits(self) -> bool:
        """True where nothing is broken."""
        return not self.breaches

    @property
    def cash_usd_per_month(self) -> float:
        """Money really paid."""
        assert self.plan.cash_usd_per_month is not None
        return self.plan.cash_usd_per_month

    @property
    def score_usd_per_month(self) -> float:
        """Cash and penalties."""
        assert self.plan.score_usd_per_month is not None
        return self.plan.score_usd_per_month

    @property
    def penalties_usd_per_month(self) -> dict[str, float]:
        """Penalties by name, over all workloads."""
        names = dict.fromkeys(name for w in self.plan.workloads for name in w.penalties)
        return {name: sum(w.penalties[name] for w in self.plan.workloads) for name in names}

    def workload(self, name: str) -> WorkloadPlan:
        """How a workload fares: utilization (above 1 where it is overrun), band, penalties."""
        for w in self.plan.workloads:
            if w.name == name:
                return w
        raise KeyError(name)

    def to_dict(self) -> dict[str, object]:
        """The evaluation as plain data, ready for JSON."""
        breaches = [{"family": b.family, "message": b.message} for b in self.breaches]
        return {"keeps_all_limits": self.keeps_all_limits, "breaches": breaches} | {
            name: value for name, value in self.plan.to_dict().items() if name not in NOT_SOLVED
        }


NOT_SOLVED = ("status", "bound_usd_per_month", "gap", "alternatives", "alternatives_note", "proof")
"""Keys of a plan's document that say how it was found."""


def evaluate(
    problem: Problem,
    fleet: Mapping[str, Units] | Plan | None = None,
    catalog: Catalog | None = None,
    *,
    rules: Iterable[Rule | type[Rule]] = (),
) -> Evaluation:
    """Prices and judges a fleet that you fix; no solver chooses anything.

    fleet: units by offering, `{"runpod/h100/us": 2}`, with `@spot` behind the name where the
    offering is sold under several billings, and `chat:` before it where there are several
    workloads. Units are on whenever their workload has load (held ones all month); a sequence says
    how many per block. A per-token offering takes its share of the requests, 0 to 1. A Plan
    stands for what it buys, its units by the hour where its blocks are the problem's. Default:
    the problem's `current_fleet`. catalog: default: the one that the problem names. rules: rules of
    your own, beside the limits.

    Returns an Evaluation: the plan with costs in USD per month, and every limit that it breaks.
    Each unit runs the replica configuration with the largest capacity, those of a Plan the one that
    it has them in. Load goes to units in proportion to capacity; with several request classes, or a
    limit on the share that somebody may serve, so that the limit is kept where it can be and the
    hottest offering is as cool as can be.

    Raises InputError for names unknown, for amounts that cannot be and for offerings that cannot
    serve their workload; ArgumentError for values of another type.

    >>> from milp_planner import evaluate, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> found = evaluate(problem, {"vast_ai/a100-80gb/global": 2})
    >>> found.cash_usd_per_month, found.keeps_all_limits, found.workload("chat").band.value
    (2520.0, True, 'low')
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    refuse_batches(problem, "evaluate: when a fleet does them")
    refuse_any_llm(problem, "evaluate: which LLM the units of a fleet serve")
    refuse_power_by_load(problem, "evaluate: who works when")
    plan = fleet if isinstance(fleet, Plan) else None
    if plan is None:
        refuse_shared(problem, "evaluate: whose units a fleet names")
    instance = unlisted(outline_of(problem, catalog))
    wanted = _todays_fleet(instance) if fleet is None else fleet
    shared: dict[tuple[str, Row], Units] = {}
    if isinstance(wanted, Plan):
        on_shared = dict.fromkeys(names_on_shared_units(wanted), 0)
        shared = dict(_resolved(problem, catalog, on_shared))
        wanted = planned_fleet(instance, wanted)
    rows = dict(_resolved(problem, catalog, wanted))
    instance = _with_candidates(instance, [row for _, row in (*rows, *shared)])
    found = _judged(instance, rows, plan)
    names = may_be_judged_after(instance, of_one_class=False)
    if found.keeps_all_limits or not names:
        return found
    freed = judged_after(instance, names)
    apart = _judged(freed, rows, plan)
    return found if OwnMixes.of(freed).missed(apart.plan) else apart


def _judged(
    instance: PlanningInput, rows: Mapping[tuple[str, Row], Units], plan: Plan | None
) -> Evaluation:
    solution = _solution(instance, rows, plan)
    found = with_oldest_price(assemble(instance, solution, _provenance(instance), exact=True))
    return Evaluation(replace(found, turned_down=()), tuple(_breaches(instance, found)))


def parse_fleet(text: str) -> dict[str, Units]:
    """`runpod/h100/us=3,chat:together/llama/global=20%` as the mapping that `evaluate` takes."""
    fleet: dict[str, Units] = {}
    for part in text.split(","):
        name, separator, amount = (piece.strip() for piece in part.rpartition("="))
        if not (name and separator):
            raise input_error(f"fleet: {part.strip()!r} is not OFFERING=UNITS")
        if name in fleet:
            raise input_error(f"fleet: {name!r} is given twice")
        fleet[name] = _parsed_amount(name, amount)
    return fleet


def _parsed_amount(name: str, amount: str) -> Units:
    try:
        return int(amount) if amount.isascii() and amount.isdigit() else parse_share(amount)
    except ValueError:
        raise input_error(
            f"fleet: {name}: {amount!r} is neither a whole number of units nor a share such as 20%"
        ) from None


def _todays_fleet(instance: PlanningInput) -> dict[str, Units]:
    current = instance.current_units()
    if not current:
        raise input_error("current_fleet: required where no fleet is given")
    return {
        f"{workload}:{offering}@{billing}": units
        for (offering, billing, workload), units in current.items()
    }


# --- names --------------------------------------------------------------------------------------


def _resolved(
    problem: Problem, catalog: Catalog, fleet: Mapping[str, Units]
) -> Iterator[tuple[tuple[str, Row], Units]]:
    """((workload, catalog row), units) of every entry; raises InputError for all that is wrong."""
    sold: dict[str, list[Row]] = {}
    for row in _sold_to(problem, catalog):
        for known in row.ids:
            sold.setdefault(known, []).append(row)
    faults: list[Fault] = []
    found: dict[tuple[str, Row], str] = {}
    if not isinstance(fleet, Mapping):
        raise argument_error(
            f"expected units by offering, not {type(fleet).__name__}", path="fleet"
        )
    for name, units in fleet.items():
        check_text("fleet", name)
        try:
            key = _workload_and_row(problem, sold, name)
            plain = _plain_units(name, key[1], units)
            if key in found:
                raise input_error(f"fleet: {name!r} and {found[key]!r} are the same units")
        except InputError as error:
            faults += error.faults
            continue
        found[key] = name
        yield key, plain
    if faults:
        raise InputError(faults)


def _sold_to(problem: Problem, catalog: Catalog) -> Iterator[Row]:
    """The rows of the catalog, and what the problem quotes."""
    yield from sold_in(catalog)
    yield from quoted(problem, catalog)


def _workload_and_row(
    problem: Problem, sold: Mapping[str, list[Row]], name: str
) -> tuple[str, Row]:
    before, colon, rest = name.partition(":")
    workload, rest = (before, rest) if colon else ("", name)
    first = problem.workloads[0].name
    if not workload and len(problem.workloads) > 1:
        raise input_error(f"fleet: {name!r}: say for which workload, as in '{first}:{name}'")
    try:
        problem.workload(workload or first)
    except KeyError:
        names = ", ".join(w.name for w in problem.workloads)
        raise input_error(f"fleet: {name!r}: no workload {workload!r} among {names}") from None
    offering, _, billing = rest.partition("@")
    if offering not in sold:
        near = nearest(offering, sold)
        closest = f"; closest: {near[0]}" if near else ""
        raise input_error(f"fleet: no offering {offering!r}{closest}")
    return workload or first, _with_billing(sold[offering], offering, billing)


def _with_billing(rows: Sequence[Row], offering: str, billing: str) -> Row:
    """The row of that billing; without one, the only row or the dedicated one.

    An id that a source has for what is sold in several places stands for none of them.
    """
    places = {row.id for row in rows}
    if len(places) > 1 and offering not in places:
        known = ", ".join(sorted(places))
        raise input_error(f"fleet: {offering!r} is sold in several places; write one of {known}")
    rows = [row for row in rows if row.id == offering] or rows
    billings = {row.billing: row for row in rows}
    wanted = billing or ("dedicated" if len(rows) > 1 else rows[0].billing)
    if wanted not in billings:
        known = ", ".join(f"{offering}@{name}" for name in sorted(billings))
        raise input_error(f"fleet: {offering!r} is sold as {known}")
    return billings[wanted]


def _plain_units(name: str, row: Row, units: Any) -> Units:
    """The units as Python's own numbers; raises InputError for what is none of them."""
    if isinstance(row, TokenPrice):
        if not isinstance(units, Real) or not 0 <= float(units) <= 1:
            raise input_error(
                f"fleet: {name}: a per-token offering takes a share of the requests, from 0 to 1 "
                f"(is {shown(units)})"
            )
        return float(units)
    is_list = isinstance(units, Iterable) and not isinstance(units, str | bytes | Mapping)
    counts = list(units) if is_list else [units]
    for n in counts:
        is_whole = isinstance(n, Integral) and not isinstance(n, bool)
        if not is_whole or not 0 <= n <= MOST_UNITS:
            said = f"{n:g}" if isinstance(n, float) else shown(n)
            raise input_error(
                f"fleet: {name}: units are whole numbers from 0 to {MOST_UNITS:,} (is {said})"
            )
    return [int(n) for n in counts] if is_list else int(counts[0])


# --- candidates and routing ---------------------------------------------------------------------


def _with_candidates(instance: PlanningInput, rows: Sequence[Row]) -> PlanningInput:
    """`instance` with the candidates of the fleet's rows alone, allowed or not."""
    limits = instance.problem.limits
    everything = {"allow": (), "deny": ()}
    filters = {
        kind: getattr(limits, kind).model_copy(update=everything)
        for kind in ("providers", "regions", "gpus", "offerings")
    }
    uncapped = {"billing": ALL_BILLINGS, "max_usd_per_gpu_hour": None, "host": HostLimits()}
    freed = limits.model_copy(update={**filters, **uncapped})
    offerings = {row.key: row for row in rows if isinstance(row, Offering)}
    sold = replace(
        instance.catalog,
        # A stock of 0 is a limit that the fleet breaks, not a reason why it cannot serve.
        offerings=tuple(
            row if row.max_units else row.model_copy(update={"max_units": None})
            for row in offerings.values()
        ),
        token_prices=tuple({r.key: r for r in rows if isinstance(r, TokenPrice)}.values()),
    )
    # what is quoted is among the rows already
    problem = instance.problem.model_copy(update={"limits": freed, "quotes": ()})
    listed = list_candidates(problem, instance.schedule, sold)
    problem = with_idle_wishes_marked(problem, instance.schedule, listed)
    told = with_queues(problem, instance.schedule, listed, instance.catalog)
    asked = instance.problem.model_copy(update={"workloads": problem.workloads})
    return replace(instance, problem=asked, candidates=told)


def _solution(
    instance: PlanningInput, rows: Mapping[tuple[str, Row], Units], plan: Plan | None
) -> FleetSolution:
    units = {} if plan is None else own_units(instance, plan)
    known = {(k.workload, k.offering.key) for k in units}
    tokens: dict[Candidate, float] = {}
    for (workload, row), amount in rows.items():
        if (workload, row.key) in known:
            continue
        k = _largest_candidate(instance, workload, row)
        if isinstance(row, TokenPrice):
            assert isinstance(amount, int | float)
            tokens[k] = float(amount)
        else:
            units[k] = units_by_block(instance, k, amount)
    solution = FleetSolution(units={k: on for k, on in units.items() if any(on)})
    if plan is not None:
        solution = with_shared_units(instance, plan, solution)
    return balanced(instance, _routed(instance, solution, tokens))


def _largest_candidate(instance: PlanningInput, workload: str, row: Row) -> Candidate:
    """The row's replica configuration with the most capacity; InputError where there is none."""
    listed = instance.candidates.of(workload)
    found = [k for k in listed if k.offering.key == row.key and not k.part_of_unit]
    if not found:
        reasons = (t.reason for t in instance.candidates.turned_down if t.offering.key == row.key)
        reason = next(reasons, f"it does not offer {instance.problem.workload(workload).llm}")
        raise input_error(f"fleet: {row.id} cannot serve {workload!r}: {reason}")
    return max(found, key=lambda k: (k.serves_all, k.part_requests_per_second, k.id))


def _routed(
    instance: PlanningInput, solution: FleetSolution, tokens: Mapping[Candidate, float]
) -> FleetSolution:
    """Shares of every class: the per-token ones as given, the rest by capacity for the class."""
    shares: dict[tuple[Candidate, int, int], float] = {}
    shortfalls: dict[tuple[str, int, int], float] = {}
    fixed_of: dict[str, dict[Candidate, float]] = {}
    for k, share in tokens.items():
        if share:
            fixed_of.setdefault(k.workload, {})[k] = share
    for name, demand in instance.schedule.demands.items():
        fixed = fixed_of.get(name, {})
        rest = 1 - sum(fixed.values())
        if rest < -1e-9:
            raise input_error(f"fleet: the shares per token of {name!r} sum to {1 - rest:.6g}")
        for t, peak in enumerate(demand.peak):
            for q in range(len(demand.classes)) if peak else ():
                shares |= {(k, q, t): share for k, share in fixed.items()}
                held = _capacity_for(solution, name, q, t)
                if not held and rest > 0:
                    shortfalls[name, q, t] = rest
                if _is_routed(instance, name):
                    total = sum(held.values())
                    shares |= {(k, q, t): rest * rate / total for k, rate in held.items()}
    return replace(solution, shares=shares, shortfalls=shortfalls)


def _is_routed(instance: PlanningInput, workload: str) -> bool:
    """True where shares say who serves whom; queues that are judged take all classes alike."""
    if instance.problem.workload(workload).latency.judges_queues:
        return False
    return needs_routes(instance.problem) or not spreads_by_capacity(instance, workload)


def _capacity_for(solution: FleetSolution, workload: str, q: int, t: int) -> dict[Candidate, float]:
    return {
        k: on[t] * k.requests_per_second[q]
        for k, on in solution.units_by_workload.get(workload, ())
        if on[t] and k.requests_per_second[q]
    }


# --- judgement ----------------------------------------------------------------------------------


def _breaches(instance: PlanningInput, plan: Plan) -> Iterator[Breach]:
    rows = {p.candidate.offering.key: p.candidate.offering for p in plan.purchases}
    sold = _sold_to(instance.problem, instance.catalog)
    listed = {row.key: row for row in sold if row.key in rows}
    terms = instance.problem.prices, instance.catalog.read_on
    for key, row in rows.items():
        reason = excluded_by(instance.problem.limits, under_terms(terms[0], listed[key], terms[1]))
        if reason:
            yield Breach("Filters", f"{row.id}: {reason}")
    for rule in rules_of(instance.problem):
        for message in rule.violations(instance, plan):
            yield Breach(rule.name, message)


def _provenance(instance: PlanningInput) -> Provenance:
    return provenance_of(
        instance, Settings(time_limit_s=0.0, gap=0.0, seed=instance.problem.solver.seed)
    )
