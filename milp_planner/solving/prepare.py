"""Checks a problem's names against a catalog, and lists what could serve it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from milp_planner.candidates.batch.meanwhile import with_meanwhile
from milp_planner.candidates.builder import raw_rows
from milp_planner.candidates.listing import Lister, list_candidates
from milp_planner.candidates.paying.start_up import is_clockwork
from milp_planner.candidates.records import CandidateList, PlanningInput
from milp_planner.errors import Fault, InputError
from milp_planner.inputs.catalog.checks import unknown_gpu
from milp_planner.inputs.catalog.identity.names import did_you_mean_llm
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.inputs.problem.records import Limits, Problem, Workload
from milp_planner.serving.memory import precisions_of
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.solving.checks.arguments import check_problem_and_catalog
from milp_planner.solving.checks.batch import batch_faults, window_faults
from milp_planner.solving.checks.bounds import bound_faults, without_specks
from milp_planner.solving.checks.cached import with_cached_shares
from milp_planner.solving.checks.llms import any_llm_faults
from milp_planner.solving.checks.names import fleet_faults, limit_faults, with_known_billings
from milp_planner.solving.checks.power import power_faults
from milp_planner.solving.checks.quality import with_quality_read
from milp_planner.solving.checks.queueing import with_idle_wishes_marked, with_queues
from milp_planner.solving.checks.queues import queue_faults
from milp_planner.solving.checks.quotes import uncertain_faults
from milp_planner.solving.checks.sellers import with_known_sellers
from milp_planner.solving.checks.sharing import sharing_faults, size_faults
from milp_planner.traffic.month import Schedule, make_schedule


def prepare(
    problem: Problem, catalog: Catalog, known: PlanningInput | None = None
) -> PlanningInput:
    """What a plan is chosen from: blocks, request classes and candidates of `problem`.

    catalog: what can be rented. known: what was prepared before; taken over where it cannot differ,
    which saves listing the candidates again.

    Returns a PlanningInput: every candidate with its capacity in requests/s and its price, and
    every offering turned down with its one reason.

    Raises InputError for names unknown and for numbers beyond what can be planned, ArgumentError
    for anything but a Problem and a Catalog.

    >>> from milp_planner import load_catalog, load_problem, prepare
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> given = prepare(problem, load_catalog(problem.catalog))
    >>> len(given.candidates.candidates), len(given.candidates.turned_down)
    (8, 0)
    """
    same_catalog = known is not None and known.catalog is catalog
    if known is None or not same_catalog:
        return listed(outline_of(problem, catalog))
    problem = checked_problem(problem, catalog)
    if listing_key(known.problem) == listing_key(problem):
        # the same workloads, whose idle wishes are marked
        marked = problem.model_copy(update={"workloads": known.problem.workloads})
        return replace(known, problem=marked)
    return listed(outline_of_known(problem, catalog))


class Outline(NamedTuple):
    """A problem whose names are known, with its blocks: all but what can be rented."""

    problem: Problem
    schedule: Schedule
    catalog: Catalog


def outline_of(problem: Problem, catalog: Catalog) -> Outline:
    """The problem checked against the catalog, and its blocks; raises InputError."""
    return outline_of_known(checked_problem(problem, catalog), catalog)


def outline_of_known(problem: Problem, catalog: Catalog) -> Outline:
    """The same of a problem whose names were checked: see `with_known_names`."""
    schedule = make_schedule(problem)
    problem = with_cached_shares(problem, schedule)
    _refuse(
        [
            *_size_faults(problem, catalog, schedule),
            *_clock_faults(problem, schedule),
            *window_faults(problem, schedule),
        ]
    )
    return Outline(problem, schedule, catalog)


def listed(
    outline: Outline, lister: Lister | None = None, model: ServingModel | None = None
) -> PlanningInput:
    """The outline with what can be rented: all of it, or what `lister` lists.

    model: of the catalog, with what it knows already.
    """
    problem, schedule, catalog = outline
    model = ServingModel(catalog) if model is None else model
    if lister is None:
        candidates = list_candidates(problem, schedule, catalog, model)
    else:
        candidates = lister(problem, schedule, catalog)
    _refuse([*size_faults(problem, candidates), *bound_faults(problem, schedule, candidates)])
    candidates = without_specks(problem, schedule, candidates)
    beside = with_meanwhile(problem, schedule, candidates, catalog, judged_too=True)
    problem = with_idle_wishes_marked(problem, schedule, beside)
    candidates = with_queues(problem, schedule, candidates, catalog, model)
    candidates = with_meanwhile(problem, schedule, candidates, catalog)
    return PlanningInput(problem, schedule, candidates, catalog)


def unlisted(outline: Outline) -> PlanningInput:
    """The outline without anything that can be rented: what is told of it takes no listing."""
    problem, schedule, catalog = outline
    return PlanningInput(problem, schedule, CandidateList((), ()), catalog)


def checked_problem(problem: Problem, catalog: Catalog) -> Problem:
    """The problem with every name known to the catalog; raises InputError with every fault."""
    check_problem_and_catalog(problem, catalog)
    problem = with_quality_read(problem, catalog)
    problem = with_known_sellers(problem, catalog)
    faults = [located(problem, fault) for fault in _workload_faults(problem, catalog)]
    faults += [*limit_faults(problem, catalog), *fleet_faults(problem, catalog)]
    faults += [*uncertain_faults(problem), *sharing_faults(problem)]
    faults += queue_faults(problem)
    faults += [*batch_faults(problem), *any_llm_faults(problem), *power_faults(problem, catalog)]
    _refuse(faults)
    return with_known_billings(problem, catalog)


def with_known_names(problem: Problem, catalog: Catalog) -> Problem:
    """What `checked_problem` makes of a problem that was checked before, with other traffic."""
    problem = with_known_sellers(with_quality_read(problem, catalog), catalog)
    return with_known_billings(problem, catalog)


def listing_key(problem: Problem) -> tuple[Any, ...]:
    """All that candidates and blocks depend on, beside the catalog."""
    queued = any(w.latency.asks_queues for w in problem.workloads)
    return (
        tuple(
            w.model_copy(update={"latency": w.latency.marked(idle=False)})
            for w in problem.workloads
        ),
        queued and problem.limits.survival is not None,
        problem.policy.model_copy(
            update={"preset": None, "penalties": Penalties(), "when_short": None}
        ),
        *filters_of(problem.limits),
        problem.prices,
        problem.quotes,
    )


def filters_of(limits: Limits) -> tuple[Any, ...]:
    """What of the limits says which offerings are let through; last the ways to pay."""
    return (
        (limits.providers.allow, limits.providers.deny),
        (limits.regions.allow, limits.regions.deny),
        (limits.gpus.allow, limits.gpus.deny),
        *(limits.offerings, limits.max_usd_per_gpu_hour, limits.host),
        *(limits.min_on_demand_replicas, limits.max_power_kw),
        limits.billing,
    )


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise InputError(sorted(faults, key=lambda fault: (fault.line, fault.column)))


def _fault(path: str, message: str, hint: str = "") -> Fault:
    return Fault(file="", line=0, column=0, path=path, message=message, hint=hint)


def _workload_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    for i, w in enumerate(problem.workloads):
        if w.rates is not None:
            yield from _rate_faults(i, w, catalog)
            continue
        for path, name in _llm_paths(i, w):
            yield from _llm_faults(i, w, path, name, catalog)


def _llm_paths(i: int, w: Workload) -> Iterator[tuple[str, str]]:
    """Where each LLM of a workload is named, and its name."""
    path = f"workloads[{i}].llm"
    if not isinstance(w.llm, AnyLlm):
        yield path, w.llm
        return
    yield from ((f"{path}.any_of[{j}]", name) for j, name in enumerate(w.llm.any_of))


def _llm_faults(i: int, w: Workload, path: str, name: str, catalog: Catalog) -> Iterator[Fault]:
    llm = catalog.llm(name)
    if llm is None:
        hint = did_you_mean_llm(name, catalog.llms)
        yield _fault(path, f"{name!r} is not in the catalog {catalog.name!r}{hint}")
        return
    raw = raw_rows(catalog, llm)
    if not (w.classes or w.traffic.brings_classes or raw):
        yield _fault(
            f"workloads[{i}].requests",
            f"required: {llm.id} is planned from request sizes",
            "write requests: {input_tokens: 1500, output_tokens: 300}",
        )
    sold_per_token = any(price.llm == llm.id for price in catalog.token_prices)
    if not (raw or sold_per_token) and llm.parameters_b is None:
        yield _fault(path, f"{llm.id} has no architecture and no raw throughput")
    yield from _precision_faults(i, w, llm.native_precision, name)


def _size_faults(problem: Problem, catalog: Catalog, schedule: Schedule) -> Iterator[Fault]:
    """The serving model knows no request without a prompt or without an answer."""
    for i, w in enumerate(problem.workloads):
        llms = [catalog.llm(name) for name in w.llms] if w.rates is None else []
        if all(llm is None or raw_rows(catalog, llm) for llm in llms):
            continue
        for q in schedule.demands[w.name].classes:
            if min(q.input_tokens, q.output_tokens) < 1:
                message = f"requests of {q.name} tokens: both must be at least 1"
                where = "traffic" if w.traffic.brings_classes else "requests"
                yield located(problem, _fault(f"workloads[{i}].{where}", message))


def _clock_faults(problem: Problem, schedule: Schedule) -> Iterator[Fault]:
    """What starts before a block is known where it is known what follows what."""
    if problem.policy.start_up and not is_clockwork(schedule, problem.policy.hours_per_month):
        message = "the traffic does not tell which hour follows which, so nor what starts when"
        hint = "write traffic of kind profile, or leave start_up out"
        yield located(problem, _fault("policy.start_up", message, hint))


def _rate_faults(i: int, w: Workload, catalog: Catalog) -> Iterator[Fault]:
    for j, rate in enumerate(w.rates or ()):
        if len(catalog.gpus_named(rate.gpu)) != 1:
            yield _fault(f"workloads[{i}].rates[{j}].gpu", unknown_gpu(catalog, rate.gpu))


def _precision_faults(i: int, w: Workload, native: str, llm: str) -> Iterator[Fault]:
    offered = precisions_of(native)
    for precision in w.precision or ():
        if precision not in offered:
            yield _fault(
                f"workloads[{i}].precision",
                f"{precision} is not one of {', '.join(offered)} for {llm}",
            )
