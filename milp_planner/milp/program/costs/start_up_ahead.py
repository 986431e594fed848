"""Units that are paid for before they serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from milp_planner.candidates.paying.start_up import Ahead, hours_ahead, ready_hours
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.rows import LE, Row, count_terms
from milp_planner.milp.program.language.rule import Standing, Structural
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Plan


class StartUpAhead(Structural):
    """Units that are paid for before they serve, in hours of a block that has fewer of them on.

        e_kaB ≥ n_kb − n_ka      ∀ k, a, B, b ∈ B      [units]

    B is the blocks that follow an hour of block a within the time that a unit of k takes to be
    ready (`candidates/paying/start_up.py`). e is priced, so it is as small as the rows let it be.
    Where a block is shorter than that time, what serves after it is paid for all through it: it
    cannot be followed.
    """

    keys = frozenset(
        (
            *("policy.start_up.offering", "policy.start_up.billing"),
            "policy.start_up.ready_after",
        )
    )

    def columns(self, fleet: Fleet) -> None:
        for k, (block, ahead) in _starting(fleet):
            after = " ".join(fleet.blocks[t].name for t in sorted(ahead))
            meaning = f"ahead[{k.id} in {fleet.blocks[block].name} of {after}]"
            fleet.ahead[k, (block, ahead)] = fleet.column(
                meaning, fleet.most_units(k), integer=False
            )

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for (k, (block, ahead)), extra in fleet.ahead.items():
            for t in sorted(ahead):
                if terms := _more_on(fleet, k, t, block):
                    name = f"{k.id} {fleet.blocks[block].name} {fleet.blocks[t].name}"
                    yield Row(f"{name} {len(ahead)}", {**terms, extra: -1.0}, LE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; `verify` recomputes the cost

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in is ready no later; of replicas that share units these are what starts."""
        return Standing(uses=(0.0 if k.part_of_unit else ready_hours(instance.problem, k),))


def ahead_anew(fleet: Fleet, values: Mapping[str, float]) -> Mapping[str, float]:
    """The columns with as few units paid for ahead as the units that are on in them ask for."""
    found = {}
    for (k, (block, ahead)), extra in fleet.ahead.items():
        on = {
            t: sum(round(values.get(n.name, 0.0)) for _, n in fleet.units_on(k, t))
            for t in (block, *ahead)
        }
        found[extra.name] = float(max(0, max(on[t] for t in ahead) - on[block]))
    return {**values, **found}


def _starting(fleet: Fleet) -> Iterator[tuple[Candidate, Ahead]]:
    """Candidates, and hours in which more of their units may be paid for than serve."""
    if not fleet.problem.policy.start_up:
        return
    by_time: dict[float, list[Ahead]] = {}
    for k in fleet.rentable:
        if ready := ready_hours(fleet.problem, k):
            if ready not in by_time:
                by_time[ready] = [*hours_ahead(fleet.instance, ready)]
            for block, ahead in by_time[ready]:
                if any(_more_on(fleet, k, t, block) for t in ahead):
                    yield k, (block, ahead)


def _more_on(fleet: Fleet, k: Candidate, t: int, block: int) -> Terms:
    """n_kt − n_k,block; nothing where the two are the same units, or none is on in `t`."""
    terms = count_terms(fleet, [(k, 1.0)], t)
    for units, count in count_terms(fleet, [(k, 1.0)], block).items():
        add(terms, units, -count)
    return terms if any(count > 0 for count in terms.values()) else {}
