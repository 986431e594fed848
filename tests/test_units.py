"""Numbers, times, shares and sizes as people write them."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from milp_planner.units import (
    FROM_FILE,
    Number,
    Seconds,
    Share,
    Usd,
    WholeNumber,
    YesNo,
    found,
    parse_duration_s,
    parse_memory_gib,
    parse_number,
    parse_share,
    shown,
)

PARSERS = [parse_number, parse_duration_s, parse_memory_gib, parse_share]


def message_of(kind: object, value: object, **context: bool) -> str:
    """The message with which a type refuses a value."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value, context=context)
    return caught.value.errors()[0]["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000", 1_000),
        ("1_000", 1_000),
        ("1k", 1_000),
        ("2K", 2_000),
        ("5M", 5_000_000),
        ("1.5 G", 1_500_000_000),
        ("3B", 3_000_000_000),
        ("1e6", 1_000_000),
        (".5", 0.5),
        ("5.", 5),
        ("-3", -3),
        ("+7", 7),
        ("010", 10),
        (" 12 ", 12),
    ],
)
def test_a_number_may_have_a_suffix_and_underscores(text, expected):
    assert parse_number(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1,000",
        "five",
        "",
        "5m",
        "1__0",
        "1_",
        "_1",
        "1.2.3",
        "0x10",
        "nan",
        ".inf",
        "-",
        "60%",
        "٣",
    ],
)
def test_what_is_no_number_is_told_how_to_write_one(text):
    with pytest.raises(ValueError, match="is not a number; write 1000, 1_000 or 1k") as caught:
        parse_number(text)
    assert str(caught.value).startswith(repr(text))


@pytest.mark.parametrize("parse", PARSERS)
def test_a_number_beyond_the_largest_float_is_too_large(parse):
    unit = {parse_duration_s: "h", parse_memory_gib: "TiB"}.get(parse, "")
    with pytest.raises(ValueError, match=f"'1e400{unit}' is too large"):
        parse(f"1e400{unit}")


def test_a_long_text_is_cut_in_the_message():
    with pytest.raises(ValueError, match=r"'a+\.\.\.' is not a number") as caught:
        parse_number("a" * 5_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("800ms", 0.8),
        ("2s", 2),
        ("1.5 min", 90),
        ("2h", 7_200),
        ("1d", 86_400),
        ("50us", 5e-5),
        ("50µs", 5e-5),  # micro sign
        ("50μs", 5e-5),  # Greek mu
        ("-3ms", -0.003),
    ],
)
def test_a_time_is_read_in_seconds(text, expected):
    assert parse_duration_s(text) == expected


@given(st.integers(min_value=0, max_value=10**6))
def test_milliseconds_and_percents_are_as_exact_as_the_decimal_number(n):
    assert parse_duration_s(f"{n}ms") == float(f"{n}e-3")
    assert parse_share(f"{n}%") == float(f"{n}e-2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("800", "a time needs a unit: write '800ms' or '2s'"),
        ("soon", "'soon' is not a time; write '800ms' or '2s'"),
        ("5m", "'5m' has no known unit; use one of us, ms, s, min, h, d"),
    ],
)
def test_a_time_without_a_known_unit_is_refused(text, message):
    with pytest.raises(ValueError, match=r"unit|time") as caught:
        parse_duration_s(text)
    assert str(caught.value) == message


def test_memory_is_read_in_gib_and_gigabytes_are_smaller():
    assert parse_memory_gib("80GiB") == 80
    assert parse_memory_gib("512MiB") == 0.5
    assert parse_memory_gib("80GB") == pytest.approx(74.506, abs=1e-3)  # 80e9 / 2^30


def test_a_share_is_a_percentage_or_a_fraction():
    assert parse_share("60%") == parse_share("0.6") == 0.6
    with pytest.raises(ValueError, match=r"'half' is not a share; write 60% or 0\.6"):
        parse_share("half")


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text() | st.from_regex(r"[+-]?[\d_.]*([eE]-?\d+)? ?[A-Za-zµ%]*", fullmatch=True))
@example(text="1e999999999")
@example(text="9" * 5_000)
@example(text="1e-999999999 ms")
def test_whatever_the_text_a_parser_gives_a_finite_float_or_a_value_error(parse, text):
    with contextlib.suppress(ValueError):
        value = parse(text)
        assert isinstance(value, float)
        assert math.isfinite(value)


def test_in_a_file_a_time_needs_its_unit_and_in_python_it_is_in_seconds():
    assert TypeAdapter(Seconds).validate_python(2) == 2
    assert TypeAdapter(Seconds).validate_python("800ms", context={FROM_FILE: True}) == 0.8
    message = message_of(Seconds, 800, **{FROM_FILE: True})
    assert message == "a time needs a unit: write '800ms' or '2s'"


def test_a_time_of_zero_is_too_short_with_or_without_a_unit():
    assert message_of(Seconds, 0, **{FROM_FILE: True}) == "Input should be greater than 0"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "expected a number, found true"),
        (None, "expected a number, found nothing"),
        ([1], "expected a number, found a list"),
        ({}, "expected a number, found keys"),
        (math.nan, "must be a finite number (is nan)"),
        (math.inf, "must be a finite number (is inf)"),
    ],
)
def test_a_number_field_refuses_everything_else(value, message):
    assert message_of(Number, value) == message


@pytest.mark.parametrize("kind", [Number, Seconds, Share, WholeNumber])
@pytest.mark.parametrize(
    "value", [10**400, 10**5_000, -(10**400)], ids=["1e400", "1e5000", "-1e400"]
)
def test_an_integer_beyond_the_largest_float_is_refused_without_a_crash(kind, value):
    assert message_of(kind, value).startswith("must be a ")


def test_a_share_stays_between_zero_and_one():
    assert TypeAdapter(Share).validate_python("100%") == 1
    assert message_of(Share, 1.4) == "Input should be less than or equal to 1"


def test_a_whole_number_may_be_written_with_a_suffix():
    read = TypeAdapter(WholeNumber).validate_python
    assert [read(v) for v in (8, 8.0, "8", "1_000", "2k")] == [8, 8, 8, 1_000, 2_000]
    assert message_of(WholeNumber, 1.5) == "must be a whole number (is 1.5)"
    assert message_of(WholeNumber, "0.5") == "must be a whole number (is '0.5')"
    assert message_of(WholeNumber, True) == "expected a whole number, found true"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no", "expected true or false, found 'no'; write false"),
        ("On", "expected true or false, found 'On'; write true"),
        (1, "expected true or false, found 1; write true"),
        (0, "expected true or false, found 0; write false"),
        ("maybe", "expected true or false, found 'maybe'"),
        (None, "expected true or false, found nothing"),
    ],
)
def test_yes_and_no_are_true_and_false_and_nothing_else(value, message):
    assert TypeAdapter(YesNo).validate_python(True) is True
    assert message_of(YesNo, value) == message


def test_the_json_schema_tells_how_the_units_are_written():
    class Record(BaseModel):
        tpot_s: Seconds
        share: Share
        usd: Usd
        certify: YesNo
        gpus: WholeNumber

    properties = Record.model_json_schema()["properties"]
    assert properties["tpot_s"]["examples"] == ["800ms", "2s"]
    number, text = properties["share"]["anyOf"]
    assert number == {"type": "number", "minimum": 0, "maximum": 1}
    assert text == {"type": "string"}
    assert properties["usd"]["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0}
    assert properties["certify"]["type"] == "boolean"
    assert properties["gpus"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]


def test_a_value_is_shown_as_it_is_written():
    assert [shown(v) for v in (True, 3, 0.5, "x")] == ["true", "3", "0.5", "'x'"]
    assert [found(v) for v in ({}, (), None, "x")] == ["keys", "a list", "nothing", "'x'"]
