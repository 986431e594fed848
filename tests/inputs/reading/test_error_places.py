"""Errors outside of problem files: rows, records built in Python, and unusual declared types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Discriminator, Field, RootModel, Tag, ValidationError

from milp_planner import InputError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.validation import faults_of, validate_python
from milp_planner.units import PositiveNumber, Share


class Size(Frozen):
    input_tokens: PositiveNumber
    output_tokens: PositiveNumber
    share: Share | None = None


class Pattern(Frozen):
    active_ratio: Annotated[Share, Field(gt=0)] = 1.0
    burst_factor: Annotated[PositiveNumber, Field(ge=1)] = 1.0


class Profile(Frozen):
    kind: Literal["profile"]
    weights: tuple[float, ...]


class Steady(Frozen):
    kind: Literal["steady"]
    rate: PositiveNumber


class Workload(Frozen):
    name: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    traffic: Annotated[Profile | Steady, Field(discriminator="kind")]
    requests: Size | tuple[Size, ...] | None = None


def test_a_row_of_a_table_is_worded_alike_at_its_line():
    with pytest.raises(ValidationError) as caught:
        Size.model_validate({"input_tokens": "-5", "output_tokens": "x", "colour": "red"})
    assert [str(f) for f in faults_of(caught.value, None, Size, file="sizes.csv", line=7)] == [
        "sizes.csv:7: input_tokens: must be greater than 0 (is -5)",
        "sizes.csv:7: output_tokens: 'x' is not a number; write 1000, 1_000 or 1k",
        "sizes.csv:7: colour: unknown key\n  hint: known keys: input_tokens, output_tokens, share",
    ]


def test_a_record_built_in_python_is_worded_alike():
    with pytest.raises(InputError) as caught:
        Workload(name="A", traffic={"kind": "profile"}, requests=[{}])  # type: ignore
    assert [str(fault) for fault in caught.value.faults] == [
        "name: use lower-case letters, digits and '-' (found 'A')",
        "traffic.weights: required for kind: profile",
        "requests[0].input_tokens: required",
        "requests[0].output_tokens: required",
    ]


def test_of_two_records_the_one_with_more_known_keys_is_judged():
    class Either(Frozen):
        block: Size | Pattern

    with pytest.raises(InputError) as caught:
        validate_python(Either, {"block": {"active_ratio": 2, "burst_factor": 2}})
    assert (
        str(caught.value)
        == "block.active_ratio: must be at most 1 (is 2)\n  hint: write 2% or 0.02"
    )


def test_a_union_of_records_alone_is_worded_even_when_its_data_is_not_known():
    class Either(Frozen):
        block: Size | Pattern

    with pytest.raises(ValidationError) as caught:
        Either.model_validate({"block": {"input_tokens": -1, "output_tokens": 2}})
    (fault,) = faults_of(caught.value, None, Either)
    assert str(fault) == "block.input_tokens: must be greater than 0 (is -1)"


def sort_of(data: Any) -> str:
    return "size" if isinstance(data, dict) and "input_tokens" in data else "pattern"


Sorted = Annotated[
    Annotated[Size, Tag("size")] | Annotated[Pattern, Tag("pattern")], Discriminator(sort_of)
]


class Unusual(Frozen):
    """Types that the problem file does not use, and that a later one may."""

    by_function: Sorted | None = None
    by_key: dict[str, Sorted] = Field(default_factory=dict)
    pair: tuple[int, Size] | None = None
    root: RootModel[list[Size]] | None = None
    many: frozenset[int] = frozenset()
    of: Annotated[float, Field(multiple_of=0.5, lt=10)] = 1.0
    code: Annotated[str, Field(pattern="^p[0-9]{2}$")] = "p90"
    alias_chosen: int = Field(1, validation_alias="chosen")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"by_function": {"input_tokens": 1}}, "by_function.output_tokens: required"),
        (
            {"by_key": {"a": {"burst_factor": 0}}},
            "by_key.a.burst_factor: must be greater than 0 (is 0)",
        ),
        ({"pair": [1, {"input_tokens": 1}]}, "pair[1].output_tokens: required"),
        ({"pair": [1]}, "pair[1]: required"),
        ({"root": [{"input_tokens": 1}]}, "root[0].output_tokens: required"),
        ({"many": ["x"]}, "many[0]: 'x' is not a whole number"),
        ({"of": 0.7}, "of: must be a multiple of 0.5 (is 0.7)"),
        ({"of": 10.0}, "of: must be less than 10 (is 10.0)"),
        ({"of": 10**400}, f"of: 1{'0' * 56}... is too large"),
        ({"of": float("nan")}, "of: must be a finite number (is nan)"),
        ({"code": "x"}, "code: 'x' does not match the pattern ^p[0-9]{2}$"),
        ({"chosen": "x"}, "chosen: 'x' is not a whole number"),
        ({"alias_chose": 1}, "alias_chose: unknown key; did you mean 'chosen'?"),
        (
            3,
            "expected keys, found 3\n"
            "  hint: known keys: by_function, by_key, chosen, code, many, of, pair, root",
        ),
    ],
)
def test_unusual_types_are_walked_too(data, expected):
    with pytest.raises(InputError) as caught:
        validate_python(Unusual, data)
    assert str(caught.value) == expected
