"""Every offering queues by itself: how much of a workload each may be sent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from milp_planner.candidates.queues import most_carried, pool_of, queue_wishes, words_of
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.latency import TimeWish
from milp_planner.inputs.problem.policies import has_own_queues
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.pieces import CountPiece, bounds_of_pieces
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.milp.program.rules.latency_wishes import of_wish, time_shown
from milp_planner.plans.losses import SURVIVAL_GROUPS
from milp_planner.plans.records import Plan, exceeds
from milp_planner.serving.queues.pools import CUT_SLACK, QueueWish, keeps, reached_s, times_needed

ROUTING = "policy.routing"

ALIKE = 1e-4
"""Shares of two classes that are closer than this are alike."""

LEAST_GROWTH = 1.01

LITTLE = 1e-9
"""Requests/s that are a solver's noise."""


class OwnQueues(Rule):
    """No offering is sent more of a workload than its own queue carries, all classes alike.

    With `policy.routing: per_offering` n units of an offering carry A_ki(n) requests/s with wish i
    kept (`serving/queues/pools.py`). A_ki is convex in n: larger pools may run fuller. So the
    program knows it by pieces (`language/pieces.py`), exactly where a piece is one count, and by a
    line that never says less where it is more:

        λ_t x_qkt ≤ Σ_p (α_kip n_kpt + β_kip y_kpt),   x_qkt = x_q'kt            ∀ q, k, i, t

    What is left after a loss is routed again, in the same way:

        Σ_{k ∉ g} Σ_p (α_kip n_kpt + β_kip y_kpt) ≥ σ λ_t                         ∀ g, i, t

    It begins with pieces that grow, and is refined by the counts at which a plan sends an offering
    too much, until none does: see `refinement.py`.
    """

    keys = frozenset((ROUTING,))
    nearness = 4
    solved_apart = True

    def needs_routes(self, problem: Problem) -> bool:
        return problem.policy.routing == "per_offering" and problem.known_of(
            problem.workloads, _any_judged
        )

    def columns(self, fleet: Fleet) -> None:
        for w in fleet.problem.workloads:
            for t in fleet.busy(w.name) if has_own_queues(fleet.problem, w) else ():
                for k in fleet.gpu_candidates(w.name):
                    if (k, _held(fleet, k, t)) not in fleet.pieces:
                        fleet.pieces[k, _held(fleet, k, t)] = tuple(_pieces(fleet, k, t))

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        pieces_of: dict[str, list[tuple[Candidate, tuple[str, ...]]]] = {}
        for key in fleet.pieces:
            pieces_of.setdefault(key[0].workload, []).append(key)
        for w in fleet.problem.workloads:
            if not has_own_queues(fleet.problem, w):
                continue
            wishes = [asked for _, asked in queue_wishes(fleet.instance, w.name)]
            lines = {
                k: _Lines(k, wishes) for k in fleet.gpu_candidates(w.name) if k.held is not None
            }
            for key in pieces_of.get(w.name, ()):
                yield from _one_piece(fleet, *key, fleet.pieces[key])
            for t in fleet.busy(w.name):
                for k in lines:
                    yield from _sent(fleet, lines[k], k, t)
                yield from _after_losses(fleet, w.name, lines, t)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        for one in short_queues(instance, plan):
            what = words_of(one.wish, one.asked)
            block = plan.blocks[one.block].name
            if one.lost:
                yield (
                    f"workload {one.workload!r} without {one.lost} keeps {one.left:g} of "
                    f"{one.load:g} requests/s with the {what} kept in block {block}"
                )
                continue
            ((k, _),) = one.on
            found = "endless" if math.isinf(one.reached_s) else time_shown(1000 * one.reached_s)
            yield (
                f"workload {one.workload!r}: the {what} before {k.offering.id} is "
                f"{found} in block {block}, longer than {time_shown(1000 * one.wish.wished_s)}"
            )
        yield from _unlike_classes(instance, plan)

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """What `QueueTimes` asks of a stand-in is enough: it stands in for whole pools."""
        return FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        """One router before all, and each wish longer."""
        if self.needs_routes(instance.problem):
            yield SteppedLimit(
                ROUTING,
                "per_offering",
                {ROUTING: "shared"},
                looser=lambda plan: ("shared",),
                patch=lambda shared: {ROUTING: shared},
                text=lambda shared: "put one router before all replicas of a workload",
            )
        for w in instance.problem.workloads:
            for wish, asked in queue_wishes(instance, w.name):
                if has_own_queues(instance.problem, w):
                    yield _longer(instance, w, wish, asked)


# ---- columns and rows


def _any_judged(workloads: Iterable[Workload]) -> bool:
    return any(w.latency.judges_queues for w in workloads)


def _held(fleet: Fleet, k: Candidate, t: int) -> tuple[str, ...]:
    """The columns of its units, which are the same in all blocks where they are held."""
    return tuple(units.name for _, units in fleet.units_on(k, t))


def _pieces(fleet: Fleet, k: Candidate, t: int) -> Iterator[CountPiece]:
    exact = (count for name, count in fleet.counts.get(k.workload, ()) if name == k.id)
    for first, last in bounds_of_pieces(fleet.most_units(k), exact):
        said = f"[{k.id} {fleet.blocks[t].name} {first} to {last}]"
        chosen = fleet.column(f"count{said}", 1)
        several = first < last
        units = fleet.column(f"counted{said}", last, integer=False) if several else None
        yield CountPiece(first, last, chosen, units)


def _one_piece(
    fleet: Fleet, k: Candidate, held: tuple[str, ...], pieces: Sequence[CountPiece]
) -> Iterator[Row]:
    """The count is in one piece."""
    name = f"{k.id} {fleet.meaning[held[0]]}"
    counted: Terms = {fleet.lp.variablesDict()[column]: 1.0 for column in held}
    for p in pieces:
        if p.units is None:
            counted[p.chosen] = -float(p.first)
            continue
        counted[p.units] = -1.0
        said = f"{name} {p.first} to {p.last}"
        yield Row(f"{said} at most", {p.units: 1.0, p.chosen: -float(p.last)}, LE, 0.0)
        yield Row(f"{said} at least", {p.units: 1.0, p.chosen: -float(p.first)}, GE, 0.0)
    yield Row(f"{name} counted", counted, EQ, 0.0)
    yield Row(f"{name} one piece", {p.chosen: 1.0 for p in pieces}, LE, 1.0)


SPECK = 1e-9
"""Of a load: what units that carry no more of it, because they keep no wish, are told from none by
no solver."""


class _Lines:
    """What units of an offering carry, by wish and piece."""

    def __init__(self, k: Candidate, wishes: Sequence[QueueWish]) -> None:
        self.k, self.wishes = k, wishes

    def carried(self, i: int, pieces: Sequence[CountPiece], share: float) -> Terms:
        """A_ki, times `share`."""
        terms: Terms = {}
        exact = {p.first for p in pieces if p.units is None}
        for p in pieces:
            if p.units is None:  # exact, so that it says all wishes
                carried = min(self._carry(p.first, asked) for asked in self.wishes)
                add(terms, p.chosen, share * carried)
                continue
            # between counts at which it is asked for anyway, which lie a little further apart
            beyond = p.last + 1 if p.last + 1 in exact else p.last
            slope, start = self._over(p.first - 1, beyond, self.wishes[i])
            add(terms, p.units, share * slope)
            add(terms, p.chosen, share * start)
        return {column: each for column, each in terms.items() if abs(each) > SPECK}

    def _carry(self, units: int, asked: QueueWish) -> float:
        return most_carried(self.k, units, asked) * (1 - CUT_SLACK)

    def _over(self, first: int, last: int, asked: QueueWish) -> tuple[float, float]:
        """(slope, start) of a line from the one count to the other, and nowhere below in between.

        That what is carried is convex was seen of waits; of whole requests it is looked at.
        """
        low, high = self._carry(first, asked), self._carry(last, asked)
        slope = (high - low) / (last - first)
        start = low - slope * first
        if asked.metric == "wait":
            return slope, start
        middle = (first + last) // 2
        return slope, start + max(0.0, self._carry(middle, asked) - slope * middle - start)


def _sent(fleet: Fleet, lines: _Lines, k: Candidate, t: int) -> Iterator[Row]:
    load = fleet.demand(k.workload).peak[t]
    pieces = fleet.pieces[k, _held(fleet, k, t)]
    mine = [fleet.shares[k, q, t] for q in fleet.classes(k.workload) if (k, q, t) in fleet.shares]
    for i in range(len(lines.wishes)):
        terms = lines.carried(i, pieces, -1 / load)
        terms[mine[0]] = 1.0
        yield Row(f"{k.id} {t} {i}", terms, LE, 0.0)
    for q, share in enumerate(mine[1:], 1):
        yield Row(f"{k.id} {t} alike {q}", {mine[0]: 1.0, share: -1.0}, EQ, 0.0)


def _after_losses(
    fleet: Fleet, workload: str, lines: dict[Candidate, _Lines], t: int
) -> Iterator[Row]:
    survival = fleet.problem.limits.survival
    if survival is None:
        return
    group_of = SURVIVAL_GROUPS[survival.kind]
    left = survival.share * fleet.demand(workload).peak[t]
    for group in sorted({group_of(k) for k in lines} - {""}):
        for i in range(len(next(iter(lines.values())).wishes)):
            terms: Terms = {}
            for k in (k for k in lines if group_of(k) != group):
                pieces = fleet.pieces[k, _held(fleet, k, t)]
                for column, carried in lines[k].carried(i, pieces, 1 / left).items():
                    add(terms, column, carried)
            for q, request_class in enumerate(fleet.demand(workload).classes):
                if (workload, q, t) in fleet.shortfalls:  # what nobody serves need not survive
                    terms[fleet.shortfalls[workload, q, t]] = request_class.share
            yield Row(f"{workload} {t} {i} without {group}", terms, GE, 1.0)


# ---- plans


class ShortQueue(NamedTuple):
    """Units that do not carry what they are sent with a wish kept."""

    workload: str
    block: int
    on: tuple[tuple[Candidate, int], ...]
    """(candidate, units): one, or all that a loss leaves."""

    load: float
    """Requests/s that they are sent, or that a loss leaves to them."""

    wish: TimeWish
    asked: QueueWish
    times: float
    """How many times the units would do; at least, after a loss."""

    lost: str = ""
    left: float = 0.0
    """Requests/s that what a loss leaves carries."""

    @property
    def reached_s(self) -> float:
        """The time that one offering comes to   [s]."""
        pool = pool_of(self.on, self.asked)
        return math.inf if pool is None else reached_s(pool, self.load, self.asked)


def short_queues(instance: PlanningInput, plan: Plan) -> Iterator[ShortQueue]:
    """Every offering that is sent too much, and every loss that leaves too little."""
    for w in instance.problem.workloads:
        if not has_own_queues(instance.problem, w):
            continue
        wishes = queue_wishes(instance, w.name)
        mine = list(plan.purchases_of(w.name))
        for t, load in enumerate(instance.schedule.demands[w.name].peak):
            on = {p.candidate: p.units_by_block[t] for p in mine if p.units_by_block[t]}
            if load > 0:
                sent = sent_to(plan, w.name, t)
                for k, rate in sent.items():
                    yield from _short(w.name, t, k, on.get(k, 0), rate, wishes)
                all_sent = sum(sent.values())
                yield from _short_after_losses(instance, w.name, t, on, all_sent, wishes)


def sent_to(plan: Plan, workload: str, t: int) -> dict[Candidate, float]:
    """Requests/s that each offering is sent in a block."""
    sent: dict[Candidate, float] = {}
    for route in plan.routes_of(workload, plan.blocks[t].name):
        if not route.candidate.mode.per_token:
            sent[route.candidate] = sent.get(route.candidate, 0.0) + route.requests_per_second
    return sent


Wishes = Sequence[tuple[TimeWish, QueueWish]]


def _short(
    workload: str, t: int, k: Candidate, units: int, sent: float, wishes: Wishes
) -> Iterator[ShortQueue]:
    for wish, asked in wishes:
        pool = pool_of([(k, units)], asked)
        if pool is not None and sent > LITTLE and not keeps(pool, sent, asked):
            times = times_needed(pool, sent, asked)
            yield ShortQueue(workload, t, ((k, units),), sent, wish, asked, times)


def _short_after_losses(
    instance: PlanningInput,
    workload: str,
    t: int,
    on: dict[Candidate, int],
    sent: float,
    wishes: Wishes,
) -> Iterator[ShortQueue]:
    survival = instance.problem.limits.survival
    if survival is None:
        return
    group_of = SURVIVAL_GROUPS[survival.kind]
    load = survival.share * sent
    for group in sorted({group_of(k) for k in on} - {""}):
        rest = tuple((k, n) for k, n in on.items() if group_of(k) != group)
        carried = {
            (wish, asked): sum(most_carried(k, n, asked) for k, n in rest) for wish, asked in wishes
        }
        left = sum(min(most_carried(k, n, asked) for _, asked in wishes) for k, n in rest)
        if exceeds(load, left):
            wish, asked = min(carried, key=lambda one: carried[one])
            times = max(LEAST_GROWTH, load / left) if left else math.inf
            yield ShortQueue(workload, t, rest, load, wish, asked, times, group, left)


def counts_short(instance: PlanningInput, plan: Plan) -> Iterator[tuple[str, tuple[str, int]]]:
    """(workload, (candidate, units)) at which a program must be exact to see what is short."""
    for one in short_queues(instance, plan):
        yield from ((one.workload, (k.id, n)) for k, n in one.on if n)


def _unlike_classes(instance: PlanningInput, plan: Plan) -> Iterator[str]:
    for w in instance.problem.workloads:
        classes = instance.schedule.demands[w.name].classes
        if len(classes) == 1 or not has_own_queues(instance.problem, w):
            continue
        for block in plan.blocks:
            shares: dict[Candidate, dict[str, float]] = {}
            for route in plan.routes_of(w.name, block.name):
                shares.setdefault(route.candidate, {})[route.request_class.name] = route.share
            for k, by_class in shares.items():
                of = [by_class.get(q.name, 0.0) for q in classes]
                if max(of) - min(of) > ALIKE:
                    most, least = 100 * max(of), 100 * min(of)
                    yield (
                        f"workload {w.name!r}: {k.offering.id} is sent {most:.1f} % of one class "
                        f"and {least:.1f} % of another in block {block.name}; queues are judged "
                        "for all alike"
                    )


def _longer(instance: PlanningInput, w: Workload, wish: TimeWish, asked: QueueWish) -> SteppedLimit:
    held = {k.id: k for k in instance.candidates.candidates}

    def needed_s(plan: Plan) -> float:
        longest = 0.0
        for t in range(len(plan.blocks)):
            for k, sent in sent_to(plan, w.name, t).items():
                units = sum(
                    p.units_by_block[t] for p in plan.purchases_of(w.name) if p.candidate is k
                )
                pool = pool_of([(held.get(k.id, k), units)], asked)
                if pool is not None:
                    longest = max(longest, reached_s(pool, sent, asked))
        return longest

    return of_wish(instance.problem, w, wish, needed_s)
