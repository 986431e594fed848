"""Figures of quality out of the files that a problem names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from milp_planner.errors import Fault, InputError, did_you_mean
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import AnyLlm, QualityFile
from milp_planner.inputs.problem.load import home_of, located
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.reading.strict_csv import csv_rows

Figures = dict[str, float]


def with_quality_read(problem: Problem, catalog: Catalog) -> Problem:
    """The problem with the figures that its files state; what the problem states itself stands.

    Raises InputError for a file that is no such table, for an LLM with two figures or none, and for
    wishes that no LLM keeps.
    """
    workloads = [
        _read(problem, catalog, i, w, w.llm)
        if isinstance(w.llm, AnyLlm) and w.llm.quality_from and w.llm.not_stated
        else w
        for i, w in enumerate(problem.workloads)
    ]
    if all(one is w for one, w in zip(workloads, problem.workloads, strict=True)):
        return problem
    return problem.model_copy(update={"workloads": tuple(workloads)})


def _read(problem: Problem, catalog: Catalog, i: int, w: Workload, llm: AnyLlm) -> Workload:
    """The workload with what the file states of its LLMs."""
    assert llm.quality_from is not None
    stated = _stated(home_of(problem), llm.quality_from, catalog)
    found = {
        name: stated[key]
        for name in llm.not_stated
        if (key := _key(catalog, name)) in stated
    }  # fmt: skip
    read = llm.model_copy(update={"quality": {**llm.quality, **found}})
    at = f"workloads[{i}].llm"
    missing = [
        Fault("", 0, 0, f"{at}.quality_from", said, did_you_mean(name, stated).strip())
        for name in read.not_stated
        for said in [f"{llm.quality_from.file} states none of {name}"]
    ]
    fault = read.wish_fault()
    if not missing and fault is not None:
        missing = [Fault("", 0, 0, f"{at}.{fault[0]}", fault[1])]
    if missing:
        raise InputError([located(problem, one) for one in missing])
    return w.model_copy(update={"llm": read})


def _stated(home: Path, named: QualityFile, catalog: Catalog) -> Figures:
    """The figure of every LLM of a file, by its id, or its name where the catalog has none."""
    columns = (named.llm_column, named.quality_column)
    rows = csv_rows(home / named.file, columns, numbers=columns[1:])
    figures: dict[str, tuple[int, float]] = {}
    faults: list[Fault] = []
    for line, name, figure in _figures(rows, named):
        key = _key(catalog, name)
        before, other = figures.setdefault(key, (line, figure))
        if other != figure:
            said = f"{name} has {figure:g} here, and {other:g} on line {before}"
            faults.append(Fault(str(home / named.file), line, 0, named.quality_column, said))
    if faults:
        raise InputError(faults)
    return {key: figure for key, (_, figure) in figures.items()}


def _figures(
    rows: Iterator[tuple[int, dict[str, str]]], named: QualityFile
) -> Iterator[tuple[int, str, float]]:
    """(line, LLM, figure) of the rows that have both."""
    for line, cells in rows:
        name, figure = cells[named.llm_column], cells[named.quality_column]
        if name and figure:
            yield line, name, float(figure)


def _key(catalog: Catalog, name: str) -> str:
    llm = catalog.llm(name)
    return name if llm is None else llm.id
