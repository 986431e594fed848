"""What a rule of the program is: one object that answers for everything anybody asks of it.

Presolve, program, checks, diagnosis and explanations only iterate over such objects. What a rule
does not answer is taken the careful way: nothing may stand in for anything, units have no bound
until cost proves one, nothing is solved apart, and the rule is loosened by dropping it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import ClassVar

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.loosening import LimitInForce
from milp_planner.milp.program.language.rows import Row
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan


@dataclass(frozen=True)
class Standing:
    """What counts of a candidate under a rule when another one is to stand in for it."""

    same: tuple[Hashable, ...] = ()
    """What must be the same."""

    gives: tuple[float, ...] = ()
    """What a unit adds to what the rule asks for: more is better."""

    uses: tuple[float, ...] = ()
    """What a unit takes of what the rule rations: less is better."""

    stock: Hashable | None = None
    """Set where units are few: they stand in only for units of the same stock, one for one."""


FREE = Standing()
"""A rule that looks at nothing in which candidates differ."""


class Rule:
    """A rule said twice, to the solver in `rows` and in plain arithmetic in `violations`.

    A rule of one's own needs these two, and is passed as `solve(problem, rules=[MyRule])`. All
    others have an answer that is right for any rule, if not the fastest.
    """

    keys: ClassVar[frozenset[str]] = frozenset()
    """Dotted keys of the problem that the rule reads, as `keys.leaves` spells them."""

    always: ClassVar[bool] = False
    """True where something else than its keys, an offering say, can bring it into force."""

    nearness: ClassVar[int] = 50
    """How near the rule is to a user's wishes: the nearest are loosened first, money last."""

    solved_apart: ClassVar[bool] = False
    """True where the rule says the same of workloads and blocks that are solved apart."""

    @property
    def name(self) -> str:
        """The rule's name, in front of its rows and breaches."""
        return type(self).__name__

    def columns(self, fleet: Fleet) -> None:
        """Create the columns that the rule needs beyond units, shares and shortfalls."""

    def rows(self, fleet: Fleet) -> Iterable[Row]:
        """The rows of the rule."""
        raise NotImplementedError(f"{self.name} says no rows")

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterable[str]:
        """What in `plan` breaks the rule, with numbers on both sides."""
        raise NotImplementedError(f"{self.name} checks no plan")

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """What counts of `k` when another candidate is to stand in for it; asked while in force."""
        return Standing(same=(k.id,))

    def needs_routes(self, problem: Problem) -> bool:
        """True where the rule is about who serves whom, so that one class is routed, too."""
        return False

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that the rule can ask for, where that is more than the demand does."""
        return 0

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """True where the rule may ask for any number of units, so that cost must bound them."""
        return True

    def leaves(self, instance: PlanningInput, k: Candidate) -> float:
        """The most units of `k` that the rule allows."""
        return math.inf

    def loosened(self, instance: PlanningInput) -> Iterable[LimitInForce]:
        """What the rule limits, and the steps by which each is loosened."""
        said = (type(self).__doc__ or "in force").strip().splitlines()[0].rstrip(".")
        yield LimitInForce(f"rules.{self.name}", said, {f"rules.{self.name}": None})


class Structural(Rule):
    """A rule that holds because of what a plan is: no wish of the user's, nothing to loosen."""

    solved_apart = True

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterable[LimitInForce]:
        return ()


class Preselection(Rule):
    """A rule of what may be a candidate at all: what breaks it never enters the program.

    So the solver is told nothing, and `verify` refuses any plan with what is no candidate.
    """

    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterable[Row]:
        return ()

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterable[str]:
        return ()

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False
