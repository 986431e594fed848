"""explain(): why something is not in the plan, and what it would take; what each limit costs.

Everything is said by solving again: with it forced in, at other prices, under other traffic,
without a limit. Nothing is read from dual values, which say little of a program in whole units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from milp_planner.candidates.filters import Sold, is_meant
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime, began_s, until
from milp_planner.errors import did_you_mean, input_error, nearest
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import check_by_cost
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_number, check_text
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.presolve.forced_use import Required, Wanted
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.limits.filters import names_in
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.reasons.entry_price import (
    EntryPrice,
    EntryTraffic,
    entry_price,
    entry_traffic,
)
from milp_planner.questions.reasons.forced_share import cheapest_with_share
from milp_planner.questions.solve import provenance_of, solve
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.batch import refuse_batches
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.prepare import prepare
from milp_planner.solving.re_solve import (
    LEAST_S,
    Resolver,
    fleet_line,
    only_candidates,
    score_of,
    served_share,
    settings_of,
)
from milp_planner.traffic.month import hours_per_month
from milp_planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from pandas import DataFrame

SAME_USD = 0.01
"""Scores closer than this are the same."""


@dataclass(frozen=True)
class Subject:
    """What is asked about: an offering, a GPU type or a provider, by name or pattern."""

    kind: str
    pattern: str

    def includes(self, k: Candidate) -> bool:
        """Whether a candidate is of it."""
        return self.matches(k.offering)

    def matches(self, row: Sold) -> bool:
        """Whether a row of the catalog is of it."""
        return is_meant(f"{self.kind}s", self.pattern, row)

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern}"


@dataclass(frozen=True)
class Refusal:
    """Offerings of the subject that cannot serve a workload, by reason."""

    workload: str
    reason: str
    offerings: int
    example: str


@dataclass(frozen=True)
class BestUse:
    """Where the subject would serve at the least price per request."""

    workload: str
    offering: str
    billing: str
    gpus_per_unit: int
    requests_per_second: float | None
    """Of one unit at full load; None where paid by the token."""

    usd_per_month: float | None
    """Of one unit on all month; None where paid by the token."""

    usd_per_request_per_second: float
    """USD per month for one request/s of capacity, or of use where paid by the token."""

    llm: str = ""
    """The LLM that it then serves, where any of several may; else ''."""


class Verdict(StrEnum):
    """What becomes of something in the best plan."""

    USED = "used"
    TURNED_DOWN = "turned down"
    DEARER = "dearer"
    SAME_PRICE = "same price"
    IDLE = "idle"
    IMPOSSIBLE = "impossible"
    NO_PLAN = "no plan"
    NOT_REACHED = "not reached"


class NotReached(StrEnum):
    """What the time limit may cut short, in the words in which it is told."""

    THE_PLAN = "the best plan"
    WITHOUT_IT = "the plan without it"
    FORCED_IN = "forcing it in"
    SHARE = "the plan with its share of a workload"
    ENTRY_PRICE = "its entry price"
    ENTRY_TRAFFIC = "the traffic at which it enters"


@dataclass(frozen=True)
class WhyNot:
    """Why something is not in the plan, or what it does there."""

    subject: str
    verdict: Verdict
    plan: Plan
    """The best plan, which the answer compares with."""

    refusals: tuple[Refusal, ...] = ()
    best_use: BestUse | None = None
    forced: Plan | None = None
    """The best plan in which it serves `share` of `forced_workload`; where there is no such one,
    or no share is asked for, the best that needs it: that cannot do without it, as with an idle
    extra."""

    share: float | None = None
    """Of a workload, that it is to serve where it is forced in."""

    forced_workload: str = ""
    """The workload of which it serves that share; '' where no plan has it do so."""

    extra_usd: float | None = None
    """How much more that plan scores, USD/month; of what is used: how much more without it."""

    without: Plan | None = None
    """Of what is used: the best plan without it; None when there is none."""

    entry_price: EntryPrice | None = None
    entry_traffic: EntryTraffic | None = None
    not_reached: tuple[NotReached, ...] = ()

    def to_frame(self) -> DataFrame:
        """One row with everything known."""
        from pandas import DataFrame

        return DataFrame([why_not_dict(self)])


def why_not_dict(why: WhyNot) -> dict[str, Any]:
    """The answer as plain data."""
    use, price, traffic = why.best_use, why.entry_price, why.entry_traffic
    return clean(
        {
            "subject": why.subject,
            "verdict": why.verdict.value,
            "plan_usd_per_month": why.plan.cash_usd_per_month,
            "plan_score_usd_per_month": why.plan.score_usd_per_month,
            "forced_usd_per_month": None if why.forced is None else why.forced.cash_usd_per_month,
            "forced_score_usd_per_month": None if why.forced is None else score_of(why.forced),
            "forced_fleet": "" if why.forced is None else fleet_line(why.forced),
            "share": why.share,
            "forced_workload": why.forced_workload,
            "extra_usd_per_month": why.extra_usd,
            "without_fleet": "" if why.without is None else fleet_line(why.without),
            "refusals": [vars(refusal) for refusal in why.refusals],
            "best_use": None if use is None else vars(use),
            "entry_price": None if price is None else vars(price),
            "entry_traffic": None if traffic is None else vars(traffic),
            "not_reached": [what.value for what in why.not_reached],
        }
    )


def explain(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    offering: str | None = None,
    gpu: str | None = None,
    provider: str | None = None,
    share: float | None = None,
    time_limit_s: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> WhyNot:
    """Why an offering, a GPU type or a provider is not in the plan, or what it does there.

    offering, gpu, provider: a name, or a pattern with `*`; exactly one of the three. share: how
    much of a workload it is to serve where it is forced in, 0 to 1; default: of a provider, and of
    what is paid per token, a whole workload, whichever costs least; of other things as little as a
    plan can need. catalog: default: the one that the problem names. time_limit_s: seconds for all
    solves together; solver: which engines. Both stand for the problem's own settings where they are
    given. rules: rules of your own, beside the limits.

    Returns a WhyNot: turned down with its reasons; or feasible but dearer, by how much in USD per
    month when it is forced in, with its best use and the price and traffic at which it would enter
    with as little as a plan can need. What the time limit cut short is named in `not_reached`.

    Raises InputError when not exactly one subject is given, or it is not known; else as `solve`
    does, ArgumentError and SolverError too.

    >>> from milp_planner import explain, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> why = explain(problem, provider="runpod")
    >>> why.verdict.value, round(why.extra_usd or 0, 2)
    ('dearer', 100.8)
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    refuse_batches(problem, "explain: what one offering alone would cost")
    check_by_cost(problem, "why something is not in a plan")
    for name, value in {"offering": offering, "gpu": gpu, "provider": provider}.items():
        if value is not None:
            check_text(name, value)
    if share is not None:
        check_number("share", share, above=0.0, most=1.0)
    subject = _subject(catalog, offering, gpu, provider)
    began = began_s()
    settings = settings_of(problem, time_limit_s=time_limit_s, gap=0.0, solver=solver, began=began)
    try:
        with until(settings.ends_s):
            instance = prepare(problem, catalog)
    except OutOfTime:
        return _before_all_was_listed(problem, catalog, subject)
    resolver = Resolver(instance, settings, provenance_of(instance, settings))
    return _Explaining(resolver, subject, tuple(_refusals(instance, subject)), share).run()


def _before_all_was_listed(problem: Problem, catalog: Catalog, subject: Subject) -> WhyNot:
    """The answer beside a first plan, where time ended before it was known what can serve."""
    plan = solve(problem, catalog, time_limit_s=LEAST_S, alternatives=0, diagnose=False)
    if not plan.status.has_plan:
        return WhyNot(str(subject), Verdict.NO_PLAN, plan)
    is_used = any(subject.includes(p.candidate) for p in plan.purchases)
    verdict = Verdict.USED if is_used else Verdict.NOT_REACHED
    late = NotReached.WITHOUT_IT if is_used else NotReached.FORCED_IN
    return WhyNot(str(subject), verdict, plan, not_reached=(NotReached.THE_PLAN, late))


def _subject(
    catalog: Catalog, offering: str | None, gpu: str | None, provider: str | None
) -> Subject:
    asked = {"offering": offering, "gpu": gpu, "provider": provider}
    said = [(kind, name) for kind, name in asked.items() if name is not None]
    if len(said) != 1:
        raise input_error("give one of an offering, a GPU type and a provider")
    kind, name = said[0]
    name = catalog.sellers.name(name) if kind == "provider" else catalog.sellers.id(name)
    if kind == "gpu" and len(meant := catalog.gpus_named(name)) == 1:
        name = meant[0]
    known = names_in(catalog, f"{kind}s") if kind != "offering" else [*catalog.offering_ids]
    if not any(fnmatchcase(one, name) for one in known):
        near = nearest(name, known) or [one for one in known if name in one][:1]
        hint = did_you_mean(name, known) or "".join(f"; closest: {one}" for one in near)
        raise input_error(f"no {kind} {name!r} in the catalog {catalog.name!r}{hint}")
    return Subject(kind, name)


def _refusals(instance: PlanningInput, subject: Subject) -> Iterator[Refusal]:
    """Reasons why offerings of the subject were turned down, the commonest first."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in instance.candidates.turned_down:
        o = row.offering
        if subject.matches(o):
            found.setdefault((row.workload, row.reason), []).append(o.id)
    for (workload, reason), ids in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        yield Refusal(workload, reason, len(ids), min(ids))


@dataclass
class _Explaining:
    """One explanation on its way."""

    resolver: Resolver
    subject: Subject
    refusals: tuple[Refusal, ...]
    share: float | None = None
    """Of a workload, that it is to serve; None: as much as its kind is asked for."""

    @property
    def wanted(self) -> Wanted:
        return self.subject.includes

    def run(self) -> WhyNot:
        """The whole answer, as far as time allows."""
        answer = self.resolver.answer(self.resolver.problem, break_ties=True)
        if answer.plan is None:
            plan = solve(
                self.resolver.problem,
                self.resolver.instance.catalog,
                time_limit_s=max(self.resolver.seconds_left, LEAST_S),
                alternatives=0,
            )
            return self._why(Verdict.NO_PLAN, plan)
        mine = [k for k in self.resolver.instance.candidates.candidates if self.wanted(k)]
        if not mine:
            return self._why(Verdict.TURNED_DOWN, answer.plan)
        use = _best_use(self.resolver.problem, mine)
        if any(self.wanted(p.candidate) for p in answer.plan.purchases):
            return self._with_share(self._used(answer.plan, use), self.share)
        share = self.share if self.share is not None else _share_of(self.subject, mine)
        return self._with_share(self._unused(answer.plan, use), share)

    def _why(self, verdict: Verdict, plan: Plan, **known: Any) -> WhyNot:
        late = known.pop("not_reached", ())
        if plan.status is Status.FEASIBLE:  # a better one may be another answer
            late = (NotReached.THE_PLAN, *late)
        return WhyNot(str(self.subject), verdict, plan, self.refusals, not_reached=late, **known)

    def _used(self, plan: Plan, use: BestUse) -> WhyNot:
        instance = only_candidates(self.resolver.instance, lambda k: not self.wanted(k))
        without = self.resolver.answer_of(instance, break_ties=True)
        if without.status is Status.NO_PLAN:
            late = (NotReached.WITHOUT_IT,)
            return self._why(Verdict.USED, plan, best_use=use, not_reached=late)
        extra = None if without.plan is None else score_of(without.plan) - score_of(plan)
        return self._why(Verdict.USED, plan, best_use=use, without=without.plan, extra_usd=extra)

    def _unused(self, plan: Plan, use: BestUse) -> WhyNot:
        is_short = served_share(plan) < 1  # then plans differ in what they serve as well
        required = Required(self.wanted, None if is_short else score_of(plan))
        forced = self.resolver.answer_of(self.resolver.instance, required)
        if forced.status is Status.NO_PLAN:
            late = (NotReached.FORCED_IN,)
            return self._why(Verdict.NOT_REACHED, plan, best_use=use, not_reached=late)
        extra = None if forced.plan is None else score_of(forced.plan) - score_of(plan)
        price = entry_price(self.resolver, required, plan, forced.plan)
        traffic = entry_traffic(self.resolver, self.wanted)
        verdict = self._not_forced(price) if extra is None else Verdict.DEARER
        if extra is not None and extra < SAME_USD:
            verdict = Verdict.SAME_PRICE
        missing = [(NotReached.ENTRY_PRICE, price), (NotReached.ENTRY_TRAFFIC, traffic)]
        is_late = self.resolver.seconds_left <= 0
        return self._why(
            verdict,
            plan,
            best_use=use,
            forced=forced.plan,
            extra_usd=extra,
            entry_price=price,
            entry_traffic=traffic,
            not_reached=tuple(what for what, found in missing if is_late and found is None),
        )

    def _with_share(self, why: WhyNot, share: float | None) -> WhyNot:
        """The answer with the plan in which it serves its share, where there is one."""
        if share is None or why.verdict is Verdict.NOT_REACHED:
            return why
        forced, is_late = cheapest_with_share(self.resolver, self.wanted, share)
        if is_late:
            why = replace(why, not_reached=(*why.not_reached, NotReached.SHARE))
        why = replace(why, share=share)
        if forced is None:
            return why
        why = replace(why, forced=forced.plan, forced_workload=forced.workload)
        if why.verdict is Verdict.USED:
            return why
        extra = score_of(forced.plan) - score_of(why.plan)
        verdict = Verdict.DEARER if extra >= SAME_USD else Verdict.SAME_PRICE
        return replace(why, verdict=verdict, extra_usd=extra)

    def _not_forced(self, price: EntryPrice | None) -> Verdict:
        """Of what no plan needs at today's price: whether a plan within the limits may have it."""
        if price is not None:
            return Verdict.IMPOSSIBLE
        extra = self.resolver.answer_of(self.resolver.instance, Required(self.wanted))
        return Verdict.IMPOSSIBLE if extra.plan is None else Verdict.IDLE


def _share_of(subject: Subject, mine: list[Candidate]) -> float | None:
    """The share that is forced where none is said: a sliver of an API or a seller tells little."""
    whole = subject.kind == "provider" or all(k.mode.per_token for k in mine)
    return 1.0 if whole else None


def _best_use(problem: Problem, mine: list[Candidate]) -> BestUse:
    hours = hours_per_month(problem)
    k = min(mine, key=lambda k: (usd_per_request_per_second(k, hours), k.id))
    rented = not k.mode.per_token
    return BestUse(
        workload=k.workload,
        offering=k.offering.id,
        billing=k.mode.name,
        gpus_per_unit=k.gpus_per_unit,
        requests_per_second=k.part_requests_per_second if rented else None,
        usd_per_month=k.usd_per_hour * hours if rented else None,
        usd_per_request_per_second=usd_per_request_per_second(k, hours),
        llm=k.llm,
    )


def usd_per_request_per_second(k: Candidate, hours: float) -> float:
    """USD per month for 1 request/s of capacity, or of use where paid by the token."""
    if k.mode.per_token:
        prices = zip(k.shares, k.usd_per_request, strict=True)
        return sum(share * usd for share, usd in prices) * SECONDS_PER_HOUR * hours
    return k.usd_per_hour * hours / k.part_requests_per_second
