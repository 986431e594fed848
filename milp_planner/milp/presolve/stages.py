"""A problem with some of its quotas, and what can be solved apart there, as nothing links it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import shares_units
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.covering import covers_of
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.presolve.lazy_rows import independent, only_blocks, only_workloads
from milp_planner.milp.presolve.part_prices import columns_of
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.limits.quotas import with_quotas
from milp_planner.milp.program.model import FleetModel, build_model

PartKey = tuple[tuple[str, ...], tuple[str, ...]]
"""Workloads, and blocks, that are solved apart from all others, by name."""


def is_long(instance: PlanningInput, kept: Iterable[Candidate], most: int) -> bool:
    """True of a program with more columns than so many, or with rows by prices in place of columns
    for routes, which are found in turns."""
    kept = tuple(kept)
    if columns_of(instance, kept) > most:
        return True
    fleet = build_model(instance, kept).fleet
    return bool(fleet.prices) or len(fleet.meaning) > most


@dataclass(frozen=True)
class Stage:
    """A problem with some of its quotas, pruned."""

    quotas: frozenset[str]
    instance: PlanningInput
    model: FleetModel

    @classmethod
    def of(
        cls,
        instance: PlanningInput,
        quotas: Iterable[str],
        kept: Iterable[Candidate] | None = None,
    ) -> Stage:
        """The stage; `kept` is what is left by pruning, where that is known."""
        names = frozenset(quotas)
        limited = with_quotas(instance, names)
        if kept is None:
            kept = prune(limited, limited.candidates.candidates).kept
        return cls(names, limited, build_model(limited, tuple(kept)))

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """Candidates that pruning leaves."""
        return self.model.fleet.candidates


@dataclass(frozen=True)
class Part:
    """What is solved apart from the rest."""

    instance: PlanningInput
    curved: FleetModel | None = None
    """Its program, where that is one of capacity curves; None where the solvers are quick."""

    @property
    def key(self) -> PartKey:
        """What tells it from all other parts."""
        schedule = self.instance.schedule
        return tuple(schedule.demands), tuple(block.name for block in schedule.blocks)


def parts_of(stage: Stage, *, curves_above: int, blocks_above: int) -> Iterator[Part]:
    """What can be solved apart: workloads, and blocks of workloads that make a large program.

    curves_above: columns of a stage above which curves are quicker than the solvers; blocks_above:
    those of a group of workloads above which its blocks are solved apart.
    """
    problem = stage.instance.problem
    shares_today = shares_units(problem) and problem.current_fleet
    if shares_today or not all(rule.solved_apart for rule in rules_of(problem)):
        yield Part(only_workloads(stage.instance, stage.instance.schedule.demands, stage.kept))
        return
    for names in independent(stage.model, lambda workload, _: workload):
        group = only_workloads(stage.instance, names, stage.kept)
        model = build_model(group, group.candidates.candidates)
        if len(stage.model.columns) > curves_above and covers_of(model) is not None:
            yield Part(group, curved=model)
            continue
        apart = independent(model, lambda _, t: t)
        # units added to today's fleet are counted over all blocks, not over those of a part
        counts_changes = bool(model.fleet.added or model.fleet.removed)
        if len(model.columns) <= blocks_above or len(apart) == 1 or counts_changes:
            yield Part(group)
        else:
            yield from (Part(only_blocks(group, blocks)) for blocks in apart)
