"""A small problem file as records: kinds, optional blocks, aliases, values in two shapes.

They stand for the real ones, so that the tests of wording need not follow the real file's changes.
Below them are files of such records: a test says only the lines it is about, from line 5 on.
"""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Literal, Self

import pytest
from pydantic import Field, model_validator

from milp_planner import InputError
from milp_planner.errors import RecordError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.inputs.reading.validation import validate
from milp_planner.units import NonNegativeNumber, PositiveNumber, Seconds, Share, WholeNumber, YesNo

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=20)]


class Pattern(Frozen):
    active_ratio: Annotated[Share, Field(gt=0)] = 1.0
    burst_factor: Annotated[PositiveNumber, Field(ge=1)] = 1.0


class Growth(Frozen):
    factor: PositiveNumber


class TokensPerDay(Frozen):
    kind: Literal["tokens_per_day"]
    tokens_per_day: PositiveNumber
    pattern: Literal["steady", "bursty"] | Pattern = "steady"
    growth: Growth | None = None


class RequestsPerSecond(Frozen):
    kind: Literal["requests_per_second"]
    requests_per_second: PositiveNumber


class Profile(Frozen):
    kind: Literal["profile"]
    requests_per_day: PositiveNumber
    weights: tuple[NonNegativeNumber, ...] = Field(min_length=2, max_length=4)


class Size(Frozen):
    input_tokens: PositiveNumber
    output_tokens: PositiveNumber
    share: Share | None = None


class Latency(Frozen):
    tpot_s: Seconds | None = Field(None, alias="tpot")
    ttft_s: Seconds = Field(2.0, alias="ttft")


class Workload(Frozen):
    name: Id
    llm: str = Field(min_length=1)
    precision: tuple[Literal["bf16", "fp8"], ...] | None = None
    traffic: Annotated[TokensPerDay | RequestsPerSecond | Profile, Field(discriminator="kind")]
    requests: Size | tuple[Size, ...] | None = None
    latency: Latency | None = None
    min_replicas: Annotated[int, Field(ge=1)] = 1
    groups: WholeNumber = 1

    @model_validator(mode="after")
    def _is_not_cursed(self) -> Self:
        if self.name == "cursed":
            raise ValueError("this workload is cursed")
        return self


class When(enum.Enum):
    FAIL = "fail"
    FAIR = "fair"


class Limits(Frozen):
    usd_per_month: PositiveNumber | None = None
    when_short: When = When.FAIL
    allow: tuple[str, ...] = ()
    max_units: dict[Id, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    survive: Literal["none", "region"] | Pattern | tuple[int, ...] = "none"
    confidence: Literal["p50", "p90"] | Share = "p90"
    certify: YesNo = True
    bare: bool = True
    since: date | None = None
    ratio: float = 0.5


class Problem(Frozen):
    schema_version: Literal[1] = 1
    workloads: tuple[Workload, ...] = Field(min_length=1, max_length=3)
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [w.name for w in self.workloads]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise RecordError(
                    f"two workloads are named {name!r}",
                    at=("workloads", i, "name"),
                    clashes_with=("workloads", names.index(name), "name"),
                    hint="rename one",
                )
        return self


HEAD = "schema_version: 1\nworkloads:\n  - name: chat\n    llm: llama\n"
TRAFFIC = "    traffic: {kind: requests_per_second, requests_per_second: 3}\n"


def problem(text: str) -> Problem:
    return validate(Problem, read_yaml("x.yaml", text=text))


def faults(text: str) -> list[str]:
    """What is printed for a file, a fault each."""
    with pytest.raises(InputError) as caught:
        problem(text)
    return [str(fault) for fault in caught.value.faults]


def workload_faults(lines: str) -> list[str]:
    return faults(f"{HEAD}{TRAFFIC}    {lines}\n")


def limit_faults(lines: str) -> list[str]:
    """The faults of a limit, which stands on line 6, from column 10."""
    return faults(f"{HEAD}{TRAFFIC}limits: {{{lines}}}\n")
