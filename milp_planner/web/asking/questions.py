"""What is asked, as a request says it: strict records, and the problem and catalog they stand for.

To add a question, add its record here, its answer to `answers.py`, and its line to `QUESTIONS`
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from milp_planner.errors import Fault, InputError, RecordError, did_you_mean
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.imports.benchmarks import read_measurements
from milp_planner.inputs.one_line import WORDS, problem_of
from milp_planner.inputs.problem.load import load_problem, located
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.files import only_these
from milp_planner.inputs.reading.records import CATALOG_KEY, Frozen
from milp_planner.inputs.reading.strict_yaml import Document
from milp_planner.inputs.reading.validation import validate
from milp_planner.lazily import dataclass
from milp_planner.questions.deployments.calibrate import compare
from milp_planner.today import day_today
from milp_planner.units import NonNegativeNumber, PositiveNumber, Seconds, Share, WholeNumber, YesNo
from milp_planner.web.asking.sources import Sources

SENT = "problem.yaml"
"""What the text of a problem is called in messages."""

FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]{1,200}$")]
"""A plain name, without folders."""

UploadId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Word = str | float | int | list[str]


class Benchmark(Frozen):
    """An uploaded benchmark, and what it does not say itself."""

    file: FileName
    upload: UploadId
    llm: Name | None = None
    gpu: Name | None = None
    precision: Name | None = None
    tensor_parallel: Annotated[WholeNumber, Field(ge=1, le=64)] | None = None


class Question(Frozen):
    """What every question has: a problem, as a file would say it, or as one line would."""

    problem: dict[str, Any] | str | None = None
    """The problem: its keys, or the text of its file."""

    words: dict[str, Word] | None = None
    """Instead of a problem what `milp-planner plan` takes, with underscores for dashes."""

    uploads: dict[FileName, UploadId] = Field(default_factory=dict, max_length=20)
    """Of every trace that the problem names, the id that its upload was given."""

    benchmarks: Annotated[tuple[Benchmark, ...], Field(max_length=20)] = ()
    """Measurements of your own, which stand before those of the catalog."""

    time_limit_s: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, validation_alias="time_limit", serialization_alias="time_limit"
    )
    """For everything together, such as `10s`; default: that of the problem. The server has one,
    too."""

    gap: Share | None = None
    """Good enough, relative to the score."""

    solver: Literal["both", "cbc", "highs"] | None = None
    as_of: date | None = None
    """The day from which ages of prices are counted; default: today."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.problem is None) == (self.words is None):
            raise RecordError("give a problem, or words, and not both", at=("problem",))
        return self


class PlanQuestion(Question):
    """`POST /api/plan`."""

    document: Literal["plan", "sheet", "report", "csv", "text"] = "plan"
    """What `solve` writes with `--json`, with `--format sheet-json`, as HTML, CSV and text."""

    choices: YesNo = True
    """Of a sheet and a report: solve other choices, too."""

    alternatives: Annotated[WholeNumber, Field(ge=0, le=100)] | None = None
    """Of a plan: next-best plans to look for."""

    reproducible: YesNo = False
    """Leave out seconds: equal questions give equal bytes."""


class WhatIfQuestion(Question):
    """`POST /api/what-if`: every combination of the changes, a row for each."""

    budget: tuple[PositiveNumber, ...] = ()
    every_budget: tuple[NonNegativeNumber, PositiveNumber] | None = None
    """Instead of all others: every step between two budgets, exactly."""

    traffic: tuple[PositiveNumber, ...] = ()
    without: tuple[str | tuple[str, ...], ...] = ()
    price: dict[str, tuple[float | str, ...]] = Field(default_factory=dict)
    limit: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    target: tuple[Share, ...] = ()
    scenarios: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Named patches of the problem."""


class ExplainQuestion(Question):
    """`POST /api/explain`: why something is not in the plan, or what each limit costs."""

    offering: Name | None = None
    gpu: Name | None = None
    provider: Name | None = None
    share: Annotated[Share, Field(gt=0)] | None = None
    limits: YesNo = False

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        named = [n for n in (self.offering, self.gpu, self.provider) if n is not None]
        if len(named) + self.limits != 1:
            raise RecordError("give one of offering, gpu, provider and limits", at=("offering",))
        if self.limits and self.share is not None:
            raise RecordError("is of an offering, a GPU type or a provider", at=("share",))
        return self


class EstimateQuestion(Frozen):
    """`POST /api/estimate`: the file of `estimate --scenarios`, and which catalog."""

    schema_version: Literal[1] = 1
    deployments: tuple[dict[str, Any], ...]
    catalog: Name = "market"
    confidence: Annotated[Share, Field(lt=1)] | None = None


@dataclass(frozen=True)
class Asked:
    """A question read: the problem, what can be rented, and which files its names stand for."""

    problem: Problem
    catalog: Catalog
    files: Mapping[str, Path]

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Inside the block no file opens but those."""
        with only_these(self.files):
            yield


def read_asked(question: Question, sources: Sources) -> Asked:
    """The problem and catalog of a question; raises InputError with every fault and its place."""
    files = sources.files(question.uploads)
    problem = _problem(question)
    try:
        catalog = sources.catalog(problem.catalog)
    except InputError as error:
        raise InputError(_placed(problem, fault) for fault in error.faults) from None
    return Asked(problem, _measured(question, catalog, sources), files)


def _placed(problem: Problem, fault: Fault) -> Fault:
    return located(problem, fault) if fault.path == CATALOG_KEY else fault


def _problem(question: Question) -> Problem:
    if isinstance(question.problem, str):
        return load_problem(SENT, text=question.problem)
    if question.problem is not None:
        document = Document("", question.problem, {}, {})
        problem = validate(Problem, document)
        problem._origin = document
        return problem
    words = question.words or {}
    unknown = [Fault("", 0, 0, w, f"no such word{did_you_mean(w, WORDS)}") for w in words]
    if faults := [fault for fault in unknown if fault.path not in WORDS]:
        raise InputError(faults)
    return problem_of({name: _said(value) for name, value in words.items()})


def _said(value: Word) -> str | list[str]:
    """The value as a line writes it."""
    return repr(value) if isinstance(value, int | float) else value


def _measured(question: Question, catalog: Catalog, sources: Sources) -> Catalog:
    """The catalog with every benchmark on top."""
    today = question.as_of or day_today()
    for benchmark in question.benchmarks:
        files = sources.files({benchmark.file: benchmark.upload})
        with only_these(files):
            found = read_measurements([Path(benchmark.file)])
        defaults = {
            name: getattr(benchmark, name)
            for name in ("llm", "gpu", "precision", "tensor_parallel")
        }
        catalog = compare(found, catalog, {**defaults, "engine": None}, today=today).catalog
    return catalog
