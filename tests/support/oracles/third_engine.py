"""CP-SAT and SCIP on MPS files, in a process of their own: OR-tools brings a HiGHS of its own.

    python tests/support/oracles/third_engine.py FILE...       one JSON line per file

CP-SAT knows whole numbers only. Continuous columns count in steps of 2^-k, coefficients are rounded
to whole multiples of 2^-m, and every row is loosened by all that the rounding can take away:

    |Σ a x - Σ [a] [x]| ≤ Σ_continuous |a| 2^-k + Σ_rounded 2^-m |x|

So CP-SAT solves a relaxation: what it proves to be the least is a lower bound of the true optimum,
and when it proves that there is no plan, there is none. Its presolve is off: with it, CP-SAT 9.15
called 16,172 the optimum of a program that has plans for 15,761. SCIP solves the file as it is.
Nothing here comes from the planner.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP_BITS = 24
"""Continuous columns count in 2^-24, a sixteenth of a millionth."""

COEFFICIENT_BITS = 32
MOST = 2**60
"""Sums stay below what CP-SAT's 64 bits hold."""

LARGEST = 256.0
"""Bound of continuous columns that have none; a plan that needs more is out of its reach."""

SECONDS = 2.0
"""For CP-SAT; SCIP takes hundredths."""


@dataclass
class Program:
    """A minimisation as an MPS file has it."""

    names: list[str] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    upper: dict[str, float | None] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)
    rows: dict[str, tuple[str, dict[str, float]]] = field(default_factory=dict)
    right: dict[str, float] = field(default_factory=dict)

    def step(self, name: str) -> float:
        """What one step of a column is worth."""
        return 1.0 if name in self.integers else 2.0**-STEP_BITS

    def most(self, name: str) -> int:
        """Most steps of a column."""
        upper = self.upper[name]
        return math.ceil((LARGEST if upper is None else upper) / self.step(name))


def read_mps(path: Path) -> Program:
    """The program in a free MPS file without ranges, as PuLP writes them; all columns are ≥ 0."""
    program, section, integer, objective = Program(), "", False, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or line.startswith("*"):
            continue
        if not line.startswith(" "):
            section = words[0]
        elif section == "ROWS":
            if words[0] == "N":
                objective = words[1]
            program.rows[words[1]] = (words[0], {})
        elif section == "COLUMNS" and "'MARKER'" in words:
            integer = words[-1] == "'INTORG'"
        elif section == "COLUMNS":
            name = words[0]
            if name not in program.upper:
                program.names.append(name)
                program.upper[name] = None
                program.integers |= {name} if integer else set()
            program.rows[words[1]][1][name] = float(words[2])
        elif section == "RHS":
            program.right[words[1]] = float(words[2])
        elif section == "BOUNDS":
            _read_bound(program, words)
    program.cost = program.rows.pop(objective)[1]
    return program


def _read_bound(program: Program, words: list[str]) -> None:
    kind, name = words[0], words[2]
    if kind in ("UP", "FX"):
        program.upper[name] = float(words[3])
    elif kind == "BV":
        program.upper[name] = 1.0
    elif not (kind in ("LO", "PL") and float((words[3:] or ["0"])[0]) == 0):
        raise ValueError(f"bound {' '.join(words)} is not one of those that PuLP writes for ≥ 0")
    if kind == "FX" and float(words[3]) != 0:
        raise ValueError(f"{name} is fixed at {words[3]}")


def by_cp_sat(program: Program) -> dict[str, Any]:
    """Status and lower bound; `lost` is what rounding can take from the bound."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    columns = {n: model.new_int_var(0, program.most(n), n) for n in program.names}
    for row, (sense, terms) in program.rows.items():
        sums = _rounded(program, terms, columns, abs(right := program.right.get(row, 0.0)))
        lowest = math.floor(right * sums.scale - sums.lost)
        highest = math.ceil(right * sums.scale + sums.lost)
        if sense in ("G", "E"):
            model.add(sums.left >= lowest)
        if sense in ("L", "E"):
            model.add(sums.left <= highest)
    cost = _rounded(program, program.cost, columns, 0.0)
    model.minimize(cost.left)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.cp_model_presolve = False
    solver.parameters.max_time_in_seconds = SECONDS
    status = solver.solve(model)
    said: dict[str, Any] = {"status": solver.status_name(status).lower()}
    if status == cp_model.OPTIMAL:
        said["bound"] = (solver.best_objective_bound - cost.lost) / cost.scale
    return said


@dataclass
class Rounded:
    """Σ a x in whole numbers: `scale` times as much, give or take `lost`."""

    left: Any
    scale: float
    lost: float


def _rounded(
    program: Program, terms: dict[str, float], columns: dict[str, Any], right: float
) -> Rounded:
    steps = {n: c * program.step(n) for n, c in terms.items()}
    largest = max(right, sum(abs(c) * program.most(n) for n, c in steps.items()), 1e-9)
    fine = max((2.0**COEFFICIENT_BITS / program.step(n) for n in terms), default=1.0)
    scale = min(fine, 2.0 ** math.floor(math.log2(MOST / largest)))
    whole = {n: round(c * scale) for n, c in steps.items()}
    lost = sum(abs(steps[n]) * scale for n in terms if n not in program.integers)
    lost += sum(abs(whole[n] - steps[n] * scale) * program.most(n) for n in terms)
    return Rounded(sum(w * columns[n] for n, w in whole.items()), scale, lost)


def by_scip(path: Path) -> dict[str, Any]:
    """Status and optimum, with rows kept to 1e-9."""
    from ortools.linear_solver.python import model_builder

    model = model_builder.Model()
    model.import_from_mps_file(str(path))
    solver = model_builder.Solver("scip")
    solver.set_time_limit_in_seconds(10 * SECONDS)
    solver.set_solver_specific_parameters("numerics/feastol = 1e-9")
    status = solver.solve(model)
    said: dict[str, Any] = {"status": status.name.lower()}
    if status == model_builder.SolveStatus.OPTIMAL:
        said["objective"] = solver.objective_value
    return said


if __name__ == "__main__":
    for name in sys.argv[1:]:
        answer = {"cp_sat": by_cp_sat(read_mps(Path(name))), "scip": by_scip(Path(name))}
        print(json.dumps({"file": name, **answer}), flush=True)
