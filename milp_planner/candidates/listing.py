"""All candidates of a problem, and what turned every other offering down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from milp_planner.candidates.builder import Rates, excluded_by, model_warnings, why_unpayable
from milp_planner.candidates.doubts import doubts
from milp_planner.candidates.filters import Sold, is_ruled_out, notes_on_sellers
from milp_planner.candidates.own_terms import under_terms
from milp_planner.candidates.places import notes_on_regions
from milp_planner.candidates.quotes import quoted
from milp_planner.candidates.records import Candidate, CandidateList, TurnedDown
from milp_planner.deadline import OutOfTime, checked
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.policies import is_sharing_open
from milp_planner.inputs.problem.records import Limits, Problem, Workload
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import Schedule

Lister = Callable[[Problem, Schedule, Catalog], CandidateList]
"""What lists candidates: all of them, or some."""


def lister_of(catalog: Catalog) -> Lister:
    """Lists all candidates of several problems over one catalog, and reckons each rate once."""
    return partial(list_candidates, model=ServingModel(catalog))


def list_candidates(
    problem: Problem,
    schedule: Schedule,
    catalog: Catalog,
    model: ServingModel | None = None,
    *,
    in_time: bool = False,
) -> CandidateList:
    """Every way to serve every workload of `problem`, in a fixed order.

    model: of the catalog, with what it knows already. in_time: where time is up before, all that
    serves the workloads listed until then; without it OutOfTime is raised.
    """
    candidates: list[Candidate] = []
    turned_down: list[TurnedDown] = []
    parts: list[Candidate] = []
    late: list[str] = []
    model = ServingModel(catalog) if model is None else model
    sold: list[_Sold] = []
    for w in problem.workloads:
        try:
            if not sold:
                sold = [*_sold(problem, catalog)]  # the same for every workload
            found = _listed_for(w, problem, schedule, model, sold)
        except OutOfTime:
            if not in_time:
                raise
            late.append(w.name)
        else:
            candidates += found.candidates
            turned_down += found.turned_down
            parts += found.parts
    looked_at = (*(k.offering for k in candidates), *(one.offering for one in turned_down))
    payable = (o for o in looked_at if not why_unpayable(problem.limits, o))
    return CandidateList(
        tuple(candidates),
        tuple(turned_down),
        model_warnings(candidates),
        notes=tuple(notes_on_filters(problem.limits, payable)),
        doubts=tuple(doubts(problem, catalog, model, schedule)),
        not_reached=tuple(late),
        parts=tuple(parts),
    )


class _Sold(NamedTuple):
    """What is sold, under the problem's own terms, and why its limits turn it down; '' if not."""

    offering: Offering | TokenPrice
    reason: str


def _sold(problem: Problem, catalog: Catalog) -> Iterator[_Sold]:
    quotes = quoted(problem, catalog)
    every: list[Offering | TokenPrice] = [*catalog.offerings, *quotes, *catalog.token_prices]
    for listed in checked(every):
        offering = under_terms(problem.prices, listed, catalog.read_on)
        yield _Sold(offering, excluded_by(problem.limits, offering) or "")


class _Listed(NamedTuple):
    """What is listed for a workload."""

    candidates: list[Candidate]
    turned_down: list[TurnedDown]
    parts: list[Candidate]
    """One of each kind of unit: see `CandidateList`."""


def _listed_for(
    w: Workload,
    problem: Problem,
    schedule: Schedule,
    model: ServingModel,
    sold: Iterable[_Sold],
) -> _Listed:
    candidates: list[Candidate] = []
    turned_down: list[TurnedDown] = []
    units: dict[tuple[str, int], Offering] = {}
    catalog = model.catalog
    by_llm = {
        name: Rates(catalog, model, problem, one, schedule.demands[w.name])
        for name, one in _with_each_llm(w)
    }
    for offering, reason in checked(sold):
        able = {
            name: rates
            for name, rates in by_llm.items()
            if not isinstance(offering, TokenPrice) or offering.llm == rates.llm_id
        }
        if not able:
            continue
        found = [] if reason else [(name, one.candidates(offering)) for name, one in able.items()]
        reasons = [reason] if reason else [why for _, why in found if isinstance(why, str)]
        if len(reasons) == max(1, len(found)):
            turned_down.append(TurnedDown(w.name, offering, "; ".join(dict.fromkeys(reasons))))
        for name, mine in found:
            if not isinstance(mine, str):
                candidates += [replace(k, llm=name) for k in mine] if name else mine
                if isinstance(offering, Offering):
                    units.setdefault((offering.gpu, offering.gpus_per_unit), offering)
    parts = _parts(by_llm.get(""), units.values()) if is_sharing_open(problem) else []
    return _Listed(candidates, turned_down, parts)


def _parts(rates: Rates | None, units: Iterable[Offering]) -> list[Candidate]:
    """What may stand on each kind of unit of several GPUs beside others; of one LLM alone."""
    several = (offering for offering in units if offering.gpus_per_unit > 1)
    return [] if rates is None else [k for offering in several for k in rates.parts(offering)]


def _with_each_llm(w: Workload) -> Iterator[tuple[str, Workload]]:
    """The workload as if it had but one LLM, for each that may serve it; '' of its only one."""
    if not isinstance(w.llm, AnyLlm):
        yield "", w
        return
    for name in w.llms:
        yield name, w.model_copy(update={"llm": name})


def notes_on_filters(limits: Limits, rows: Iterable[Sold]) -> Iterator[str]:
    """What filters of providers and regions do, to what could be paid, that nobody may expect."""
    payable = list(rows)
    yield from notes_on_sellers(limits.providers, payable)
    of_sellers = (row for row in payable if not is_ruled_out("providers", limits.providers, row))
    yield from notes_on_regions(limits.regions, of_sellers)
