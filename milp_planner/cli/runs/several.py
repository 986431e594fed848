"""`solve` of several problems: a row for each, as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.cli.parts import bars, exit_codes, streams
from milp_planner.cli.parts.loading import read_problem
from milp_planner.lazily import dataclass, replace

if TYPE_CHECKING:
    from milp_planner.cli.parts.gates import Gates
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.questions.sweeps.rows import WhatIf, WhatIfRow
    from milp_planner.questions.sweeps.scenarios import Scenario
    from milp_planner.solving.checks.arguments import SolverChoice

ROW_FORMATS = ("text", "json", "csv")
AXIS = "problem"
"""The head of the column that names the files."""

WORST_FIRST = (
    exit_codes.BUG,
    exit_codes.INPUT,
    exit_codes.INFEASIBLE,
    exit_codes.NO_PLAN,
    exit_codes.UNPROVEN,
    exit_codes.GATE,
)


@dataclass(frozen=True)
class SeveralRun:
    """What is asked of every file, and where the rows go."""

    files: Sequence[str]
    format_name: str
    output: Path | None
    source: Callable[[Problem, str], Catalog]
    """The catalog of the problem in a file."""

    inputs: Callable[[Problem, str], Iterable[Path]]
    """All that is read for it, none of which may be written over."""

    how: tuple[float | None, float | None, SolverChoice | None]
    """Time limit in seconds for each, gap, and engines."""

    gates: Gates
    code_of: Callable[[Plan, bool], int]
    """The exit code of a plan, by whether a gate failed."""

    quiet: bool

    def write(self) -> int:
        """Solve and write every row; the worst exit code among them.

        Raises InputError with the faults of all files before anything is solved.
        """
        from milp_planner.questions.sweeps.rows import WhatIf
        from milp_planner.questions.sweeps.scenarios import Scenario
        from milp_planner.reporting.text.questions.what_if import RowTable

        asked = list(self._read())
        table = RowTable([Scenario(file, settings={AXIS: file}) for file in self.files])
        streams_rows = self.format_name == "text" and self.output is None
        if streams_rows:
            streams.answer(f"{table.header()}\n")
        rows: list[WhatIfRow] = []
        lines = [table.header()]
        with bars.bar("problems", len(asked), quiet=self.quiet) as step:
            for scenario, (problem, known) in zip(table.scenarios, asked, strict=True):
                row = self._row(problem, known, scenario)
                rows.append(row)
                lines.append(table.line(row))
                step(partial(streams.answer, f"{lines[-1]}\n" if streams_rows else ""))
        if not streams_rows:
            self._put(WhatIf("problems", tuple(rows)), lines)
        return min((self._exit_code(row) for row in rows), key=_rank)

    def _read(self) -> Iterator[tuple[Problem, Catalog]]:
        """Every problem with its catalog; the faults of all of them together."""
        from milp_planner.errors import Fault, InputError
        from milp_planner.futures.cases import check_names

        faults: list[Fault] = []
        for file in self.files:
            try:
                problem = read_problem(file)
                streams.check_output(self.output, self.inputs(problem, file))
                known = self.source(problem, file)
                check_names(problem, known)
                yield problem, known
            except InputError as error:
                faults.extend(error.faults)
        if faults:
            raise InputError(faults)

    def _row(self, problem: Problem, known: Catalog, scenario: Scenario) -> WhatIfRow:
        from milp_planner.questions.sweeps.what_if import How, rows_of

        if problem.horizon is not None:
            why = "it is planned over months: solve it by itself, for its calendar"
            return _failed(scenario, why)
        if problem.futures:
            return self._row_over_futures(problem, known, scenario)
        [row] = rows_of(problem, (scenario,), known, None, How(*self.how))
        return row

    def _row_over_futures(self, problem: Problem, known: Catalog, scenario: Scenario) -> WhatIfRow:
        from milp_planner.errors import InputError, SolverError
        from milp_planner.questions.solve import solve
        from milp_planner.questions.sweeps.what_if import row_of

        time_limit_s, gap, solver = self.how
        try:
            plan = solve(
                problem,
                known,
                time_limit_s=time_limit_s,
                gap=gap,
                solver=solver,
                alternatives=0,
                diagnose=False,
            )
        except InputError as error:  # of a future that is out of reach
            return _failed(scenario, str(error))
        except SolverError as error:
            return replace(_failed(scenario, str(error)), is_solver_failure=True)
        return row_of(scenario, plan)

    def _put(self, found: WhatIf, lines: Sequence[str]) -> None:
        from milp_planner.reporting.documents.json import to_json
        from milp_planner.reporting.text.questions.what_if import what_if_csv

        text = {
            "json": lambda: to_json(found.to_dict()),
            "csv": lambda: what_if_csv(found),
        }.get(self.format_name, lambda: "".join(f"{line}\n" for line in lines))()
        if self.output is None:
            streams.answer(text)
        else:
            streams.write_file(self.output, text)

    def _exit_code(self, row: WhatIfRow) -> int:
        """As for one problem; gates that fail are told with the file's name."""
        from milp_planner.questions.sweeps.rows import RowStatus

        if row.status is RowStatus.FAILED:
            return exit_codes.BUG if row.is_solver_failure else exit_codes.INPUT
        if row.plan is None:
            infeasible = row.status is RowStatus.INFEASIBLE
            return exit_codes.INFEASIBLE if infeasible else exit_codes.NO_PLAN
        failed = list(self.gates.failures(row.plan))
        for failure in failed:
            streams.tell(f"{row.scenario}: {failure}")
        return self.code_of(row.plan, bool(failed))


def _failed(scenario: Scenario, why: str) -> WhatIfRow:
    from milp_planner.questions.sweeps.rows import RowStatus, WhatIfRow

    named = scenario.name, scenario.settings, RowStatus.FAILED
    return WhatIfRow(*named, error=why, numbers=scenario.numbers)


def _rank(code: int) -> int:
    return WORST_FIRST.index(code) if code in WORST_FIRST else len(WORST_FIRST)
