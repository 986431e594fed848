"""Reads what the commands share: the problem, and the catalog that goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milp_planner.cli.parts import bars, streams
from milp_planner.cli.parts.clock import command_began_s

if TYPE_CHECKING:
    from milp_planner.candidates.records import CandidateList, PlanningInput
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem

STDIN = "-"


def read_problem(file: str) -> Problem:
    """The problem in a file, or on standard input; old words in it are read, and noted."""
    from milp_planner.errors import PlannerError
    from milp_planner.inputs.problem.load import load_problem
    from milp_planner.inputs.problem.old_words import old_words_in

    if not file:
        raise PlannerError("FILE: must not be empty; - reads standard input")
    problem = load_problem(file)
    for note in old_words_in(problem):
        streams.tell(f"note: {note}")
    return problem


def read_catalog(
    problem: Problem,
    file: str,
    name: str | None = None,
    overlays: Sequence[Path] | None = None,
    as_of: date | None = None,
) -> Catalog:
    """The catalog that the command line names, else the problem's own.

    A folder that the problem names is relative to the problem's file; one on the command line is
    relative to where the command runs.
    """
    from milp_planner.inputs.problem.load import folder_of, load_catalog_of

    if name is not None:
        return read_named_catalog(name, overlays, as_of)
    _check_overlays(overlays or ())
    return load_catalog_of(problem, base=folder_of(file), overlays=overlays or (), as_of=as_of)


def read_named_catalog(
    name: str, overlays: Sequence[Path] | None = None, as_of: date | None = None
) -> Catalog:
    """The catalog that `--catalog` names."""
    from milp_planner.errors import InputError, PlannerError
    from milp_planner.inputs.problem.load import load_named_catalog
    from milp_planner.inputs.reading.records import CATALOG_KEY

    if not name:
        raise PlannerError("--catalog: must not be empty")
    _check_overlays(overlays or ())
    named = shipped_name(name) or name
    try:
        return load_named_catalog(named, overlays=overlays or (), as_of=as_of)
    except InputError as error:
        raise InputError(
            replace(fault, path="--catalog" if fault.path == CATALOG_KEY else fault.path)
            for fault in error.faults
        ) from None


def shipped_name(named: str) -> str | None:
    """The name of the shipped catalog that lies in that folder; None where none does.

    Read as a user's folder, a shipped one would lie on top of itself.
    """
    from milp_planner.inputs.catalog.folders import _shipped_root, shipped_catalogs

    root = _shipped_root()
    try:
        folder = Path(named).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # no folder can have that name
        return None
    shipped = {name: Path(str(root.joinpath(name))).resolve() for name in shipped_catalogs()}
    return next((name for name, path in shipped.items() if path == folder), None)


def inputs_of(
    problem: Problem, file: str, catalog: str | None, overlays: Sequence[Path] | None
) -> Iterator[Path]:
    """Every file and folder that a command reads, none of which it may write into."""
    from milp_planner.inputs.problem.load import home_of

    home = home_of(problem)
    if file != STDIN:
        yield Path(file)
    yield Path(catalog) if catalog is not None else home / problem.catalog
    yield from overlays or ()
    for w in problem.workloads:
        trace = getattr(w.traffic, "file", None)
        if trace is not None:
            yield home / trace


def _check_overlays(overlays: Sequence[Path]) -> None:
    from milp_planner.errors import PlannerError, did_you_mean

    for overlay in overlays:
        try:
            folder = overlay.expanduser()
            if folder.is_dir():
                continue
            what = "is a file; an overlay is a folder of CSV files"
            if not folder.exists():
                beside = [f.name for f in folder.parent.iterdir() if f.is_dir()]
                what = f"there is no such folder{did_you_mean(folder.name, beside)}"
        except (OSError, RuntimeError, ValueError):  # too long, `~nobody`, a NUL
            what = "there is no such folder"
        raise PlannerError(f"--overlay {overlay}: {what}")


def of_today(problem: Problem) -> str:
    """What is to be known where a month is shown of a problem with several futures."""
    names = ", ".join(future.name for future in problem.futures)
    return f"this shows traffic and prices as stated; solve plans over the futures {names}"


def prepared(
    file: str,
    catalog: str | None,
    overlays: Sequence[Path] | None,
    as_of: date | None,
    time_limit_s: float | None,
    quiet: bool,
) -> PlanningInput:
    """The problem with its blocks, and candidates where time is enough to list them; what is to be
    known of them is told."""
    from milp_planner.candidates.listing import list_candidates
    from milp_planner.deadline import until
    from milp_planner.futures.cases import cases_of, without_futures
    from milp_planner.solving.prepare import listed, outline_of

    began_s = command_began_s()
    problem = read_problem(file)
    known = read_catalog(problem, file, catalog, overlays, as_of)
    with bars.reading(quiet=quiet):
        if problem.futures:
            cases_of(problem, known)  # each is refused here if it is to be
            streams.warn([of_today(problem)], quiet=quiet)
            problem = without_futures(problem)
        outline = outline_of(problem, known)
    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s

    def in_time(*asked: Any) -> CandidateList:
        with until(began_s + limit_s):
            return list_candidates(*asked, in_time=True)

    instance = listed(outline, in_time)  # what is listed is held against bounds after the limit
    streams.warn(instance.candidates.said, quiet=quiet)
    return instance
