"""Pools: the replicas of one purchase, with the numbers that a deployment is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import count

from milp_planner.candidates.records import Candidate
from milp_planner.candidates.sharing.shared_units import Contents, SharedUnits
from milp_planner.candidates.sharing.standing import is_part_of, part_words
from milp_planner.exports.parts.words import LONGEST_LABEL
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.records import Plan, Purchase, Route, WorkloadPlan
from milp_planner.units import usd_shown

LENGTH_STEP = 1024
"""Lengths of requests are rounded up to a multiple of it, in tokens."""

LONGEST_NAME = 50
"""Characters of a pool's name: parts of a Kubernetes name that are added have room."""


@dataclass(frozen=True)
class Pool:
    """The replicas of one purchase: alike, in one place, paid in one way."""

    name: str
    """Lower-case letters, digits and dashes, unique in the plan: a Kubernetes name."""

    plan: Plan
    workload: WorkloadPlan
    purchase: Purchase
    alias: str = ""
    """What a router calls its LLM, where it has a word of its own; '' for none."""

    @property
    def candidate(self) -> Candidate:
        """What is rented, and how replicas stand on it."""
        return self.purchase.candidate

    @property
    def settings(self) -> DeploymentSettings | None:
        """Of the engine; None where rates are taken at their word."""
        deployed, gpu_set = self.workload.deployed, self.candidate.gpu_set
        settings = None if deployed is None else deployed.settings
        if settings is None or gpu_set is None:
            return settings
        part = {"memory_share": gpu_set.memory_share(self.workload.name)}
        return settings.model_copy(update=part)

    @property
    def served_names(self) -> tuple[str, ...]:
        """What requests may call its LLM; the workload, too, where any of several may answer."""
        several = self.workload.name if self.candidate.llm else ""
        names = self.workload.llm, several, self.alias
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def units_by_block(self) -> tuple[int, ...]:
        """Units on in each time block; replicas where units are shared with others."""
        return self.purchase.units_by_block

    @property
    def replicas_by_block(self) -> tuple[int, ...]:
        """Replicas up in each time block."""
        per_unit = self.candidate.replicas_per_unit
        return tuple(units * per_unit for units in self.units_by_block)

    @property
    def most(self) -> int:
        """Replicas in the block that has the most."""
        return max(self.replicas_by_block, default=0)

    @property
    def fewest(self) -> int:
        """Replicas in the block that has the fewest."""
        return min(self.replicas_by_block, default=0)

    @property
    def gpus_per_replica(self) -> int:
        """GPUs of a replica over all its stages and nodes."""
        k = self.candidate
        return k.gpus_per_unit // k.replicas_per_unit

    @property
    def nodes_per_replica(self) -> int:
        """Units that a replica is spread over."""
        return self.candidate.units_joined

    @property
    def gpus_per_node(self) -> int:
        """GPUs of a replica on each of its nodes."""
        return self.gpus_per_replica // self.nodes_per_replica

    @property
    def rate(self) -> float:
        """What a replica serves of the workload's mix at full load, in the workload's unit."""
        return self.candidate.part_requests_per_second / self.candidate.replicas_per_unit

    @property
    def target_rate(self) -> float:
        """The same at the utilization that the plan allows: another replica is due above it."""
        return self.rate * self.workload.utilization_limit

    @property
    def in_flight(self) -> int | None:
        """Most requests in flight in a replica at the planned rates; None where none is known."""
        points = self.candidate.serving_points
        counts = [point.concurrency for point in points if point.concurrency is not None]
        return max(1, math.ceil(max(counts) - 1e-9)) if counts else None

    @property
    def sequences(self) -> int | None:
        """What the engine is to hold at once: as many as asked for, else as many as planned."""
        asked = None if self.settings is None else self.settings.max_sequences
        return self.in_flight if asked is None else asked

    @property
    def routes(self) -> Iterator[Route]:
        """What is sent to it, block by block."""
        blocks = self.plan.blocks
        return (r for block in blocks for r in self.plan.routes_to(self.candidate, block.name))

    @property
    def longest(self) -> float:
        """Input and output of its longest request class together, in tokens."""
        classes = [route.request_class for route in self.routes]
        return max((q.input_tokens + q.output_tokens for q in classes), default=0.0)

    @property
    def max_length(self) -> int | None:
        """The longest request to be taken, in tokens; None where no sizes are known.

        Sizes of classes are means, so that a limit at the longest of them would refuse requests:
        it is what the cache surely holds, at most what the LLM takes. Without either it is the
        longest class.
        """
        if self.longest <= 1:  # a class without sizes is of one token
            return None
        steps = math.ceil(self.longest / LENGTH_STEP) * LENGTH_STEP
        context = self.context_tokens
        if context is None:
            return steps
        held = self.held_tokens // LENGTH_STEP * LENGTH_STEP
        return max(math.ceil(self.longest), min(max(steps, held), context))

    @property
    def context_tokens(self) -> int | None:
        """What the LLM takes at most; None where it is not known."""
        deployed = self.workload.deployed
        return None if deployed is None else deployed.context_tokens

    @property
    def held_tokens(self) -> int:
        """Tokens that the cache of a replica holds at least, at the planned rates; 0: not known.

        As many requests as are in flight of its longest class, half way through each, without what
        they share: more of a request is there on average.
        """
        counts = [point.concurrency for point in self.candidate.serving_points]
        known = [count for count in counts if count is not None]
        shared = 0.0 if self.settings is None else self.settings.prefix_cache_share
        return int(min(known, default=0.0) * self.longest / 2 * (1 - shared))


def pools_of(plan: Plan) -> tuple[Pool, ...]:
    """The pools of a plan, in the order of its purchases; what an API serves is none."""
    workloads = {w.name: w for w in plan.workloads}
    bought = [p for p in plan.purchases if not p.candidate.mode.per_token and p.units]
    names = unique_names(
        f"{p.candidate.workload}-{p.candidate.provider}-{p.candidate.gpu}" for p in bought
    )
    return tuple(
        Pool(name, plan, _of_one_llm(workloads[p.candidate.workload], p), p)
        for name, p in zip(names, bought, strict=True)
    )


def _of_one_llm(w: WorkloadPlan, p: Purchase) -> WorkloadPlan:
    """The workload as the pool serves it: with its own LLM, where any of several may."""
    llm = p.candidate.llm
    if not llm:
        return w
    return replace(w, llm=llm, deployed=None if w.deployed is None else w.deployed.of(llm))


def apis_of(plan: Plan) -> tuple[Purchase, ...]:
    """What is paid per token."""
    return tuple(p for p in plan.purchases if p.candidate.mode.per_token)


def unique_names(texts: Iterable[str], longest: int = LONGEST_NAME) -> Iterator[str]:
    """Names of lower-case letters, digits and dashes; one that is taken already is numbered."""
    taken: set[str] = set()
    for text in texts:
        first = name = plain_name(text, longest)
        for number in count(2):
            if name not in taken:
                break
            ending = f"-{number}"
            name = first[: longest - len(ending)].rstrip("-") + ending
        taken.add(name)
        yield name


def plain_name(text: str, longest: int = LONGEST_LABEL) -> str:
    """A name that Kubernetes takes (RFC 1123): letters, digits, dashes, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"p-{name}"
    return name[:longest].rstrip("-")


def counted(count: int, what: str) -> str:
    """`1 unit`, `3 units`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def plan_lines(plan: Plan) -> Iterator[str]:
    """What all files say of the plan that they stand on."""
    cash = plan.cash_usd_per_month
    paid = "" if cash is None else f", {usd_shown(cash, 2)} a month"
    origin = plan.provenance
    yield (
        f"Plan {plan.name}: {plan.status.value}{paid}; catalog {origin.catalog_name} "
        f"{origin.catalog_version}, milp-planner {origin.planner_version}."
    )


def pool_lines(pool: Pool) -> Iterator[str]:
    """The numbers that a pool stands on, each with where it comes from."""
    k, w, o = pool.candidate, pool.workload, pool.candidate.offering
    called = f" ({k.gpus_per_unit} x {k.gpu})"
    shared = shared_by(pool)
    price = k.usd_per_hour if shared is None else shared.candidate.usd_per_hour
    each = "each" if shared is None else "a whole unit"
    yield (
        f"{w.name}: {counted(pool.most, 'replica')} of {w.llm} in "
        f"{k.precision or 'the format measured'} on "
        f"{'parts of shared units' if k.part_of_unit else counted(pool.purchase.units, 'unit')} "
        f"of {o.id}{called}, "
        f"{o.billing}, {usd_shown(price, 4)} an hour {each} as of {o.as_of}."
    )
    if shared is not None:
        yield from _standing_lines(pool.plan, shared)
    points = k.serving_points
    sources = ", ".join(k.sources)
    derate = min((point.derate for point in points), default=1.0)
    flight = (
        "" if pool.in_flight is None else f" with {counted(pool.in_flight, 'request')} in flight"
    )
    yield (
        f"A replica serves {pool.rate:.4g} {w.unit}{flight} ({sources}, derate {derate:.3g}); the "
        f"plan loads it to {w.utilization_limit:.3g} of that, {pool.target_rate:.4g} {w.unit}."
    )
    times = {"tpot": _slowest(p.tpot_s for p in points), "ttft": _slowest(p.ttft_s for p in points)}
    told = [f"{name} {seconds * 1000:.4g} ms" for name, seconds in times.items() if seconds]
    if told:
        yield f"At full load: {', '.join(told)}."


def shared_by(pool: Pool) -> SharedUnits | None:
    """The units on which its replicas stand beside others; None where it has units to itself."""
    found = (one for one in pool.plan.shared_units if is_part_of(pool.candidate, one.candidate))
    return next(found, None)


def _standing_lines(plan: Plan, shared: SharedUnits) -> Iterator[str]:
    """What stands on each shared unit, in every block, and how a scheduler comes to it."""
    alike = tuple(shared.alike)
    for blocks, units, contents in alike:
        if not contents:
            continue
        at = ", ".join(plan.blocks[t].name for t in blocks)
        when = "" if len(blocks) == len(plan.blocks) else f" in block {at}"
        holds = "holds" if units == 1 else "each hold"
        yield f"{counted(units, 'shared unit')} {holds}{when}: {_listed(contents)}."
    sizes = {k.gpus_per_unit for _, _, contents in alike for k, _ in contents}
    if len(sizes) > 1 and shared.units > 1:
        yield (
            "Start replicas of the most GPUs first, or have the scheduler fill units one after "
            "another: smaller ones that are spread leave them no room."
        )


def _listed(contents: Contents) -> str:
    return ", ".join(
        f"{k.workload} {counted(number, 'replica')} of {k.gpus_per_unit} x {k.gpu}{part_words(k)}"
        for k, number in contents
    )


def _slowest(values: Iterator[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
