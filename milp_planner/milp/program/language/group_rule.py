"""Rules by which no group of offerings serves more than a share of a workload's requests."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rule import Rule


class GroupRule(Rule):
    """What of such a rule those know who route requests; `limits/shares.py` has the rest."""

    def share(self, problem: Problem) -> float | None:
        """The share in force, None where there is none or all may be served."""
        raise NotImplementedError

    def group_of(self, k: Candidate) -> str:
        """The group of a candidate; '' for what is not limited."""
        raise NotImplementedError
