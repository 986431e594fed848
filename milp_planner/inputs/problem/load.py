"""Reads a problem file, and the catalog that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from milp_planner.errors import Fault, InputError, did_you_mean, input_error
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.folders import shipped_catalogs
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.traffic import Trace
from milp_planner.inputs.reading.arguments import check_source
from milp_planner.inputs.reading.files import NOT_NAMED, opened_from
from milp_planner.inputs.reading.records import CATALOG_KEY
from milp_planner.inputs.reading.strict_yaml import NOWHERE, Document, Steps, read_yaml
from milp_planner.inputs.reading.validation import validate
from milp_planner.units import shown


def load_problem(source: str | Path, *, text: str | None = None) -> Problem:
    """The problem in a YAML file.

    source: a file name; `-` reads standard input. text: the content itself; then nothing is read,
    and `source` only names it, in messages and as the folder of what the problem names.

    Returns a Problem. Files that it names are read when it is solved.

    Raises InputError that names every fault with file, line and column, and the nearest valid name;
    ArgumentError where `source` is no file name.

    >>> from milp_planner import load_problem
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> problem.workload("chat").llm, problem.workload("chat").latency.tpot_s
    ('llama-3.3-70b', 0.05)
    """
    check_source("load_problem", source, text)
    document = read_yaml(source, text=text)
    problem = validate(Problem, document)
    problem._origin = document
    return problem


def load_catalog_of(
    problem: Problem,
    *,
    base: Path | None = None,
    overlays: Sequence[Path] = (),
    as_of: date | None = None,
) -> Catalog:
    """The catalog that `problem` names; its faults stand at the line that names it.

    A relative folder is relative to `base`, by default the folder of the problem's file.
    """
    folder = home_of(problem) if base is None else base
    try:
        return load_named_catalog(problem.catalog, base=folder, overlays=overlays, as_of=as_of)
    except InputError as error:
        raise InputError(_at_its_name(problem, fault) for fault in error.faults) from None


def load_named_catalog(
    named: str | Path,
    *,
    base: Path | None = None,
    overlays: Sequence[Path] = (),
    as_of: date | None = None,
) -> Catalog:
    """`load_catalog` of a name that a user wrote: one that no folder can have is an InputError."""
    _refuse_unnamed(named)
    try:
        for folder in ((base or Path()) / Path(named).expanduser(), *overlays):
            _refuse_pipes(folder.expanduser())
        return load_catalog(named, base=base, overlays=overlays, as_of=as_of)
    except (OSError, RuntimeError) as error:  # too long a name, `~nobody`
        why = getattr(error, "strerror", None) or str(error)
        raise input_error(f"no catalog {shown(str(named))}: {why}", path=CATALOG_KEY) from None


def files_of(problem: Problem) -> Iterator[str]:
    """The files that a problem names: traces, and tables of quality."""
    for w in problem.workloads:
        if isinstance(w.traffic, Trace):
            yield w.traffic.file
        if isinstance(w.llm, AnyLlm) and w.llm.quality_from is not None:
            yield w.llm.quality_from.file


def home_of(problem: Problem) -> Path:
    """The folder of the problem's file; the working directory where there is none."""
    document: Document | None = problem._origin
    return Path() if document is None else folder_of(document.file)


def folder_of(file: str) -> Path:
    """What the names in a problem file are relative to; a pipe or standard input has no folder."""
    path = Path(file)
    return path.parent if path.is_file() else Path()


def located(
    problem: Problem, fault: Fault, at: Steps | None = None, *, at_key: bool = False
) -> Fault:
    """`fault` with file, line and column, where the problem came from a file.

    `at` are the steps to the value or key to blame, where they say more than the fault's path.
    """
    document: Document | None = problem._origin
    if document is None:
        return fault
    line, column = document.named(fault.path)
    if at is not None:
        exact = document.at(at) if at_key else document.value_at(at)
        line, column = (line, column) if exact == NOWHERE else exact
    return replace(fault, file=document.file, line=line, column=column)


def _at_its_name(problem: Problem, fault: Fault) -> Fault:
    """A fault of the catalog as a whole is one of the line that names it."""
    if fault.path == CATALOG_KEY and not fault.file:
        return located(problem, fault)
    if not fault.path and fault.file.rstrip("/") == problem.catalog.rstrip("/"):
        message = f"{fault.file} {fault.message}"
        return located(problem, replace(fault, file="", path=CATALOG_KEY, message=message))
    return fault


def _refuse_unnamed(named: str | Path) -> None:
    """What comes from outside may name shipped catalogs alone."""
    names = shipped_catalogs()
    if opened_from(named) is None and str(named) not in names:
        raise input_error(
            f"{NOT_NAMED}: {shown(str(named))}{did_you_mean(str(named), names)}",
            path=CATALOG_KEY,
            hint=f"the shipped catalogs are {', '.join(names)}",
        )


def _refuse_pipes(folder: Path) -> None:
    """Reading a pipe that nobody writes to would never end."""
    faults = [
        Fault(str(file), 0, 0, "", "is not a file; a catalog is a folder of CSV files")
        for file in _tables_in(folder)
        if not file.is_file()
    ]
    if faults:
        raise InputError(faults)


def _tables_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(f for f in folder.iterdir() if f.name.lower().endswith(".csv"))
