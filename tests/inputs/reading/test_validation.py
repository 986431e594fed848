"""From plain data to records: every fault at its line, in the reader's words.

The records in `sample_records.py` stand for those of a problem file.
"""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import InputError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.inputs.reading.validation import validate, validate_python
from tests.support.sample_records import (
    HEAD,
    TRAFFIC,
    Latency,
    Problem,
    Size,
    TokensPerDay,
    When,
    faults,
    problem,
    workload_faults,
)

# What is right


def test_a_file_becomes_a_frozen_record():
    found = problem(
        f"{HEAD}    traffic: {{kind: tokens_per_day, tokens_per_day: 5M, pattern: bursty}}\n"
        "    latency: {tpot: 50ms}\n    requests: [{input_tokens: 1k, output_tokens: 300}]\n"
        "limits: {confidence: 60%, max_units: {a: 4}, when_short: fair}\n"
    )
    (chat,) = found.workloads
    assert chat.traffic == TokensPerDay(
        kind="tokens_per_day", tokens_per_day=5_000_000, pattern="bursty"
    )
    assert chat.latency is not None
    assert chat.latency.tpot_s == 0.05
    assert chat.requests == (Size(input_tokens=1_000, output_tokens=300),)
    assert (found.limits.confidence, found.limits.when_short) == (0.6, When.FAIR)


def test_python_may_use_the_fields_names_and_numbers_without_units():
    assert validate_python(Latency, {"tpot_s": 0.05, "ttft": 1}).ttft_s == 1


# The version


def test_a_file_must_tell_its_version_even_though_python_need_not():
    assert faults(f"{HEAD}{TRAFFIC}".removeprefix("schema_version: 1\n")) == [
        "x.yaml: schema_version: required; add 'schema_version: 1'"
    ]
    assert validate_python(Problem, problem(f"{HEAD}{TRAFFIC}").model_dump()).schema_version == 1


def test_a_required_version_is_asked_for_once():
    class Versioned(Frozen):
        schema_version: Literal[1]

    with pytest.raises(InputError) as caught:
        validate(Versioned, read_yaml("x.yaml", text="{}"))
    assert str(caught.value) == "x.yaml: schema_version: required; add 'schema_version: 1'"


def test_a_later_version_is_the_only_thing_said():
    from milp_planner._version import __version__

    assert faults("schema_version: 2\nfuture: 1\n") == [
        "x.yaml:1:17: schema_version 2 is newer than this milp-planner "
        f"({__version__} understands 1)"
    ]


@pytest.mark.parametrize("written", ["0", "'1'", "one"])
def test_another_version_is_refused_like_any_other_value(written):
    text = f"{HEAD}{TRAFFIC}".replace("version: 1", f"version: {written}")
    shown = written if written in ("0", "'1'") else repr(written)
    assert faults(text) == [f"x.yaml:1:17: schema_version: must be 1 (is {shown})"]


# Keys


def test_a_misspelt_key_is_told_with_the_right_one_at_the_place_of_the_key():
    assert faults(f"{HEAD}    traffic:\n      kind: tokens_per_day\n      token_per_day: 5M\n") == [
        "x.yaml:6:7: workloads[0].traffic.tokens_per_day: required for kind: tokens_per_day",
        "x.yaml:7:7: workloads[0].traffic.token_per_day: unknown key; "
        "did you mean 'tokens_per_day'?",
    ]


def test_a_fields_name_is_not_its_spelling_in_a_file():
    assert workload_faults("latency: {tpot_s: 50ms}") == [
        "x.yaml:6:15: workloads[0].latency.tpot_s: unknown key; did you mean 'tpot'?"
    ]


def test_a_record_within_a_kind_is_not_of_that_kind():
    text = "traffic: {kind: tokens_per_day, tokens_per_day: 5, growth: {weights: 1}}"
    assert faults(f"{HEAD}    {text}\n") == [
        "x.yaml:5:64: workloads[0].traffic.growth.factor: required",
        "x.yaml:5:65: workloads[0].traffic.growth.weights: unknown key\n  hint: known keys: factor",
    ]


def test_a_key_of_another_kind_is_told_to_be_one():
    text = "traffic: {kind: profile, requests_per_day: 5, weights: [1, 2], tokens_per_day: 3}"
    assert faults(f"{HEAD}    {text}\n") == [
        "x.yaml:5:68: workloads[0].traffic.tokens_per_day: unknown key for kind: profile; "
        "'tokens_per_day' belongs to kind: tokens_per_day"
    ]


def test_a_key_that_belongs_one_level_deeper_is_found():
    assert workload_faults("ttft: 2s") == [
        "x.yaml:6:5: workloads[0].ttft: unknown key; did you mean 'latency.ttft'?"
    ]


def test_a_key_that_is_near_none_gets_the_known_keys():
    assert workload_faults("latency: {zebra: 1}") == [
        "x.yaml:6:15: workloads[0].latency.zebra: unknown key\n  hint: known keys: tpot, ttft"
    ]


def test_a_missing_space_after_a_colon_is_seen():
    assert workload_faults("latency: {tpot:50ms}") == [
        "x.yaml:6:15: workloads[0].latency['tpot:50ms']: unknown key\n"
        "  hint: write a space after ':'"
    ]


def test_a_missing_key_is_told_at_its_record():
    assert workload_faults("requests:\n      - input_tokens: 5") == [
        "x.yaml:7:9: workloads[0].requests[0].output_tokens: required"
    ]
    assert faults("schema_version: 1\n") == ["x.yaml: workloads: required"]


def test_a_key_with_control_characters_is_printed_harmlessly():
    data = {"workloads": [{"\x1b[31m": 1, "a\nb": 2}]}
    with pytest.raises(InputError) as caught:
        validate_python(Problem, data)
    assert "workloads[0]['\\x1b[31m']: unknown key" in str(caught.value)
    assert "\x1b" not in str(caught.value)


# All of a file, and whatever else may come


def test_all_faults_of_a_file_are_told_in_the_order_of_its_lines():
    text = (
        f"{HEAD}    traffic: {{kind: tokens_per_day, tokens_per_day: 5, pattern: burst}}\n"
        "    requests: [{input_tokens: 5}, {output_tokens: x, shar: 1}]\n"
        "    latency: {tpot: 800, ttft: soon}\n"
        "limits: {certify: no, certifi: 1}\n"
        "limit: {}\n"
    )
    assert [fault.split(": ")[0:2] for fault in faults(text)] == [
        ["x.yaml:5:65", "workloads[0].traffic.pattern"],
        ["x.yaml:6:16", "workloads[0].requests[0].output_tokens"],
        ["x.yaml:6:35", "workloads[0].requests[1].input_tokens"],
        ["x.yaml:6:51", "workloads[0].requests[1].output_tokens"],
        ["x.yaml:6:54", "workloads[0].requests[1].shar"],
        ["x.yaml:7:21", "workloads[0].latency.tpot"],
        ["x.yaml:7:32", "workloads[0].latency.ttft"],
        ["x.yaml:8:19", "limits.certify"],
        ["x.yaml:8:23", "limits.certifi"],
        ["x.yaml:9:1", "limit"],
    ]


def test_of_a_file_with_thousands_of_faults_the_last_ones_are_counted_only():
    many = faults(f"{HEAD}{TRAFFIC}" + "".join(f"zebra{n}: 1\n" for n in range(1_234)))
    assert len(many) == 1_001
    assert many[0].startswith("x.yaml:6:1: zebra0: unknown key")
    assert many[-1] == "x.yaml: 234 more faults were found"


KEYS = st.sampled_from(
    [
        "schema_version",
        "workloads",
        "limits",
        "name",
        "llm",
        "traffic",
        "kind",
        "tokens_per_day",
        "pattern",
        "weights",
        "requests",
        "input_tokens",
        "latency",
        "tpot",
        "survive",
        "confidence",
        "max_units",
        "allow",
        "x",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(["tokens_per_day", "profile", "steady", "5M", "50ms", "", "no", "\x1b[0m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_the_data_the_outcome_is_a_record_or_an_input_error(data):
    valid = {"schema_version": 1, "name": "chat", "llm": "x", "kind": "profile"}
    for attempt in (data, {"workloads": [data]}, {"workloads": [{**valid, "traffic": data}]}):
        try:
            validate_python(Problem, attempt)
        except InputError as error:
            text = str(error)
            assert text.replace("\n", "").isprintable()
            assert not any(word in text for word in ("function-", "Input should", "literal["))
