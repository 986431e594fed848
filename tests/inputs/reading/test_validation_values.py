"""From plain data to records: values of every sort, each refused at its line in plain words."""

from __future__ import annotations

import pytest

from milp_planner import InputError
from milp_planner.inputs.reading.validation import validate_python
from tests.support.sample_records import (
    HEAD,
    TRAFFIC,
    Problem,
    faults,
    limit_faults,
    workload_faults,
)

# Kinds, words and other choices


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "{kind: tokens}",
            "5:21: workloads[0].traffic.kind: 'tokens' is not one of "
            "tokens_per_day, requests_per_second, profile\n"
            "  hint: did you mean 'tokens_per_day'?",
        ),
        (
            "{kind: 3}",
            "5:21: workloads[0].traffic.kind: 3 is not one of "
            "tokens_per_day, requests_per_second, profile",
        ),
        (
            "{kind: }",
            "5:21: workloads[0].traffic.kind: expected one of "
            "tokens_per_day, requests_per_second, profile, found nothing",
        ),
        (
            "{tokens_per_day: 5M}",
            "5:14: workloads[0].traffic.kind: required; one of "
            "tokens_per_day, requests_per_second, profile",
        ),
        ("", "5:13: workloads[0].traffic: expected keys, found nothing"),
        ("5M", "5:14: workloads[0].traffic: expected keys, found '5M'"),
        ("[a]", "5:14: workloads[0].traffic: expected keys, found a list"),
    ],
)
def test_traffic_needs_a_known_kind(written, expected):
    assert faults(f"{HEAD}    traffic: {written}\n") == [f"x.yaml:{expected}"]


def test_a_kind_spelt_like_a_key_is_not_taken_for_it():
    text = "traffic: {kind: tokens_per_day, tokens_per_day: -5, pattern: {burst_factor: 0.5}}"
    assert faults(f"{HEAD}    {text}\n") == [
        "x.yaml:5:53: workloads[0].traffic.tokens_per_day: must be greater than 0 (is -5)",
        "x.yaml:5:81: workloads[0].traffic.pattern.burst_factor: must be at least 1 (is 0.5)",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "fial",
            "22: limits.when_short: 'fial' is not one of fail, fair\n  hint: did you mean 'fail'?",
        ),
        ("no", "22: limits.when_short: 'no' is not one of fail, fair"),
        ("[fail]", "22: limits.when_short: expected one of fail, fair, found a list"),
    ],
)
def test_a_word_outside_the_choice_is_refused_with_the_choice(written, expected):
    assert limit_faults(f"when_short: {written}") == [f"x.yaml:6:{expected}"]


# Numbers, text, dates and booleans


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("-3", "must be greater than 0 (is -3)"),
        ("0", "must be greater than 0 (is 0)\n  hint: remove the workload"),
        ("-3k", "must be greater than 0 (is -3k)"),
        ("'1,000'", "'1,000' is not a number; write 1000, 1_000 or 1k"),
        (".inf", "'.inf' is not a number; write 1000, 1_000 or 1k"),
        ("1e400", "'1e400' is too large"),
        ("true", "expected a number, found true"),
        ("[3]", "expected a number, found a list"),
        ("{a: 3}", "expected a number, found keys"),
        ("", "expected a number, found nothing"),
    ],
)
def test_a_demand_must_be_a_positive_number(written, expected):
    text = f"{HEAD}    traffic:\n      kind: requests_per_second\n      requests_per_second: "
    (fault,) = faults(f"{text}{written}\n")
    assert fault.partition("requests_per_second: ")[2] == expected


def test_only_a_demand_of_zero_says_to_remove_the_workload():
    assert limit_faults("usd_per_month: 0") == [
        "x.yaml:6:25: limits.usd_per_month: must be greater than 0 (is 0)"
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("latency: {tpot: 800}", "tpot: a time needs a unit: write '800ms' or '2s'"),
        ("latency: {tpot: -3ms}", "tpot: must be greater than 0 (is -3ms)"),
        ("min_replicas: 0", "min_replicas: must be at least 1 (is 0)"),
        ("min_replicas: 1.5", "min_replicas: must be a whole number (is 1.5)"),
        ("min_replicas: two", "min_replicas: 'two' is not a whole number"),
        ("min_replicas: [2]", "min_replicas: expected a whole number, found a list"),
        (f"min_replicas: {'9' * 5000}", f"min_replicas: '{'9' * 57}...' is too large"),
        ("groups: true", "groups: expected a whole number, found true"),
        ("precision: fp8", "precision: expected a list, found 'fp8'; write [fp8]"),
        (
            "precision: [fp9]",
            "precision[0]: 'fp9' is not one of bf16, fp8\n  hint: did you mean 'fp8'?",
        ),
        ("requests: 5", "requests: expected keys or a list, found 5"),
        (
            "requests: [5]",
            "requests[0]: expected keys, found 5\n"
            "  hint: known keys: input_tokens, output_tokens, share",
        ),
    ],
)
def test_a_value_of_a_workload_is_refused(lines, expected):
    (fault,) = workload_faults(lines)
    assert fault.endswith(expected)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("certify: no", "certify: expected true or false, found 'no'; write false"),
        ("bare: maybe", "bare: expected true or false, found 'maybe'"),
        ("bare: [yes]", "bare: expected true or false, found a list"),
        ("since: soon", "since: 'soon' is not a date; write 2026-05-24"),
        ("since: [1]", "since: expected a date, found a list; write 2026-05-24"),
        ("ratio: x", "ratio: 'x' is not a number"),
        ("ratio: {}", "ratio: expected a number, found keys"),
        ("allow: eu-*", "allow: expected a list, found 'eu-*'; write [eu-*]"),
        ("allow: '*'", "allow: expected a list, found '*'; write ['*']"),
        ("allow: {a: 1}", "allow: expected a list, found keys\n  hint: start each entry with '- '"),
        ("allow: [5]", "allow[0]: expected text, found 5; write '5'"),
        ("allow: [true]", "allow[0]: expected text, found true; write 'true'"),
        ("allow: [~]", "allow[0]: expected text, found nothing"),
        ("max_units: 5", "max_units: expected keys, found 5"),
        ("max_units: {a: -1}", "max_units.a: must be at least 0 (is -1)"),
        (
            "max_units: {a/b: 1}",
            "max_units['a/b']: use lower-case letters, digits and '-' (found 'a/b')",
        ),
        ("confidence: 90", "confidence: must be at most 1 (is 90)\n  hint: write 90% or 0.9"),
        ("confidence: 1.4", "confidence: must be at most 1 (is 1.4)"),
        ("confidence: 140%", "confidence: must be at most 1 (is 140%)"),
    ],
)
def test_a_limit_is_refused(lines, expected):
    (fault,) = limit_faults(lines)
    assert fault.endswith(f"limits.{expected}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("'Chat #1'", "use lower-case letters, digits and '-' (found 'Chat #1')"),
        ("''", "use lower-case letters, digits and '-' (found '')"),
        ("5", "expected text, found 5; write '5'"),
        ("a-name-of-more-than-20-characters", "must have at most 20 characters (has 33)"),
    ],
)
def test_a_name_must_be_an_id(name, expected):
    text = f"{HEAD}{TRAFFIC}".replace("name: chat", f"name: {name}")
    assert faults(text) == [f"x.yaml:3:11: workloads[0].name: {expected}"]


def test_an_empty_text_is_refused():
    text = f"{HEAD}{TRAFFIC}".replace("llama", "''")
    assert faults(text) == ["x.yaml:4:10: workloads[0].llm: must not be empty"]


# Lists that are too short or too long


def test_an_empty_list_needs_at_least_one_entry():
    expected = ["x.yaml:2:12: workloads: at least one is needed"]
    assert faults("schema_version: 1\nworkloads: []\n") == expected


def test_a_list_of_wrong_entries_is_not_also_called_empty():
    assert faults("schema_version: 1\nworkloads: [5]\n") == [
        "x.yaml:2:13: workloads[0]: expected keys, found 5\n"
        "  hint: known keys: groups, latency, llm, min_replicas, name, precision, requests, traffic"
    ]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("[1]", "at least 2 are needed, not 1"),
        ("[1, 2, 3, 4, 5]", "at most 4 are allowed, not 5"),
    ],
)
def test_a_list_of_another_length_is_refused(weights, expected):
    text = f"    traffic: {{kind: profile, requests_per_day: 5, weights: {weights}}}\n"
    assert faults(f"{HEAD}{text}") == [f"x.yaml:5:60: workloads[0].traffic.weights: {expected}"]


# Values that may be written in several shapes


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("regoin", "survive: 'regoin' is not one of none, region\n  hint: did you mean 'region'?"),
        ("{active_ratio: 0}", "survive.active_ratio: must be greater than 0 (is 0)"),
        ("[x]", "survive[0]: 'x' is not a whole number"),
        ("3", "survive: 3 is not one of none, region"),
        ("true", "survive: true is not one of none, region"),
        ("", "survive: expected one of none, region or keys or a list, found nothing"),
    ],
)
def test_only_the_shape_that_was_written_is_judged(written, expected):
    (fault,) = limit_faults(f"survive: {written}")
    assert fault.endswith(f"limits.{expected}")


def test_a_word_beside_a_number_is_judged_as_a_word():
    (fault,) = limit_faults("confidence: p91")
    assert "limits.confidence: 'p91' is not one of p50, p90\n  hint: did you mean " in fault


# Validators of our own


def test_a_validators_words_are_told_as_they_are():
    text = f"{HEAD}{TRAFFIC}".replace("name: chat", "name: cursed")
    assert faults(text) == ["x.yaml:3:5: workloads[0]: this workload is cursed"]


def test_a_validator_may_name_the_keys_to_blame():
    workload = "  - name: chat\n    llm: llama\n" + TRAFFIC
    assert faults(f"schema_version: 1\nworkloads:\n{workload}{workload}") == [
        "x.yaml:6:11: workloads[1].name: two workloads are named 'chat' (lines 3 and 6)\n"
        "  hint: rename one"
    ]


def test_without_a_file_two_values_clash_without_lines():
    workload = {"name": "a", "llm": "b", "traffic": {"kind": "requests_per_second"}}
    workload["traffic"]["requests_per_second"] = 3  # type: ignore[index]
    with pytest.raises(InputError) as caught:
        validate_python(Problem, {"workloads": [workload, workload]})
    expected = "workloads[1].name: two workloads are named 'a'\n  hint: rename one"
    assert str(caught.value) == expected
