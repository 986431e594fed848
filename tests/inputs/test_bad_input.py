"""What a user reads when a problem file is wrong, to the letter.

Every case runs as `check`, as `solve`, and as `solve --json`; none may show a traceback, and the
three must say the same.
"""

from __future__ import annotations

import pytest

from tests.support.toy import PROBLEM, write

pytest_plugins = ["tests.support.spoilt.refusing"]

RATE = "requests_per_second: 13"
SIZE = "requests: {input_tokens: 1, output_tokens: 1}"
TRAFFIC = "traffic: {kind: requests_per_second, requests_per_second: 13}"
POLICY = "policy: {utilization: {target: 100%}}"
LLM = "llm: tiny"


# ---- the keys


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("", "x.yaml: schema_version: required; add 'schema_version: 1'\n"),
        (
            "schema_version: 2\n",
            "x.yaml:1:17: schema_version 2 is newer than this milp-planner (0.2.0 understands 1)\n",
        ),
        ("schema_version: 0\n", "x.yaml:1:17: schema_version: must be 1 (is 0)\n"),
        (
            "schema_version: true\n",
            "x.yaml:1:17: schema_version: expected a whole number, found true\n",
        ),
        (
            "schema_version: 1.0\n",
            "x.yaml:1:17: schema_version: expected a whole number, found 1.0\n",
        ),
        (
            "schema_version:\n",
            "x.yaml:1:16: schema_version: expected one of 1, found nothing\n",
        ),
    ],
)
def test_the_version_must_be_one_that_is_understood(changed, new, expected):
    assert changed("schema_version: 1\n", new) == expected


NUMBER = "x.yaml:7:63: workloads[0].traffic.requests_per_second: "


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", "must be greater than 0 (is 0)\n  hint: remove the workload"),
        ("-0.0", "must be greater than 0 (is -0.0)\n  hint: remove the workload"),
        ("-3", "must be greater than 0 (is -3)"),
        ("1e-400", "must be greater than 0 (is 0.0)\n  hint: remove the workload"),
        ("1e309", "'1e309' is too large"),
        ("9" * 400, f"'{'9' * 57}...' is too large"),
        ("10**400", "'10**400' is not a number; write 1000, 1_000 or 1k"),
        (".nan", "'.nan' is not a number; write 1000, 1_000 or 1k"),
        (".inf", "'.inf' is not a number; write 1000, 1_000 or 1k"),
        ('"1,000"', "'1,000' is not a number; write 1000, 1_000 or 1k"),
        ("13 000", "'13 000' is not a number; write 1000, 1_000 or 1k"),
        ("0x10", "'0x10' is not a number; write 1000, 1_000 or 1k"),
        ("1:30", "'1:30' is not a number; write 1000, 1_000 or 1k"),
        ("2024-01-01", "'2024-01-01' is not a number; write 1000, 1_000 or 1k"),
        ("no", "'no' is not a number; write 1000, 1_000 or 1k"),
        ("true", "expected a number, found true"),
        ("null", "expected a number, found nothing"),
        ("[13]", "expected a number, found a list"),
        ("\u0661\u0663", "'\u0661\u0663' is not a number; write 1000, 1_000 or 1k"),
        ('"\\u202e13"', "'\\u202e13' is not a number; write 1000, 1_000 or 1k"),
        ("\U0001f4a5", "'\U0001f4a5' is not a number; write 1000, 1_000 or 1k"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_rate_must_be_a_positive_finite_number(changed, written, expected):
    assert changed(RATE, f"requests_per_second: {written}") == f"{NUMBER}{expected}\n"


def test_a_comma_for_thousands_is_explained(changed):
    assert changed(RATE, "requests_per_second: 1,000") == (
        "x.yaml:7:65: a key must be text, found 000\n  hint: write 1000 or 1_000, not 1,000\n"
    )


@pytest.mark.parametrize("written", ["012", "1e1", " 1_0", '"13"'])
def test_what_is_clearly_a_number_is_one(run, folder, written):
    file = write(folder, "x.yaml", RATE, f"requests_per_second: {written}")
    assert run("check", file)[0] == 0


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            "traffic: {kind: tokens}",
            "x.yaml:7:21: workloads[0].traffic.kind: 'tokens' is not one of ",
        ),
        (
            "traffic: {tokens_per_day: 5M}",
            "x.yaml:7:14: workloads[0].traffic.kind: required; one of tokens_per_day, ",
        ),
        (
            "traffic: {kind: tokens_per_day}",
            "x.yaml:7:14: workloads[0].traffic.tokens_per_day: required for kind: tokens_per_day\n",
        ),
        (
            "traffic: {kind: tokens_per_day, tokens_per_day: 5M, token_per_day: 5M}",
            "x.yaml:7:57: workloads[0].traffic.token_per_day: "
            "unknown key; did you mean 'tokens_per_day'?\n",
        ),
        (
            "traffic: {kind: tokens_per_day, tokens_per_day: 5M, pattern: {active_ratio: 1.4}}",
            "x.yaml:7:81: workloads[0].traffic.pattern.active_ratio: must be at most 1 (is 1.4)\n",
        ),
        ("traffic:", "x.yaml:7:13: workloads[0].traffic: expected keys, found nothing\n"),
        ("traffic: 13", "x.yaml:7:14: workloads[0].traffic: expected keys, found 13\n"),
        ("traffic: []", "x.yaml:7:14: workloads[0].traffic: expected keys, found a list\n"),
    ],
)
def test_traffic_is_of_a_known_kind_with_its_keys(changed, new, expected):
    assert changed(TRAFFIC, new).startswith(expected)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("requests: []", ": at least one class is needed"),
        ("requests: 5", ": expected keys or a list, found 5"),
        (
            "requests: {input_tokens: 1, output_tokens: 1, share: 50%}",
            ": the shares sum to 0.5, not to 1",
        ),
        (
            "requests: [{input_tokens: 1, output_tokens: 1, share: 50%}]",
            ": the shares sum to 0.5, not to 1",
        ),
        (
            "requests: [{input_tokens: 1, output_tokens: 1, share: 0.6}, "
            "{input_tokens: 2, output_tokens: 2, share: 0.400003}]",
            ": the shares sum to 1.000003, not to 1",
        ),
        (
            "requests: [{input_tokens: 1, output_tokens: 1, share: 0.6}, "
            "{input_tokens: 2, output_tokens: 2}]",
            ": every class needs a share when there are several",
        ),
    ],
)
def test_shares_of_requests_sum_to_one(changed, new, expected):
    assert changed(SIZE, new) == f"x.yaml:8:15: workloads[0].requests{expected}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "latency: {tpot: 800}",
            "7:21: workloads[0].latency.tpot: a time needs a unit: write '800ms' or '2s'",
        ),
        ("latency: {tpot: 0s}", "7:21: workloads[0].latency.tpot: must be greater than 0 (is 0s)"),
        (
            "latency: {tpto: 5ms}",
            "7:15: workloads[0].latency.tpto: unknown key; did you mean 'tpot'?",
        ),
        ("tpot: 50ms", "7:5: workloads[0].tpot: unknown key; did you mean 'latency.tpot'?"),
        (
            "precision: fp8",
            "7:16: workloads[0].precision: expected a list, found 'fp8'; write [fp8]",
        ),
        ("precision: []", "7:16: workloads[0].precision: at least one is needed"),
        (
            "precision: [int3]",
            "7:17: workloads[0].precision[0]: 'int3' is not one of bf16, fp16, fp8, int8, "
            "nvfp4, mxfp4, int4, fp32\n  hint: did you mean 'int8'?",
        ),
        (
            "tensor_parallel: [3]",
            "7:23: workloads[0].tensor_parallel[0]: 3 is not one of 1, 2, 4, 8, 16, 32, 64",
        ),
        (
            'tensor_parallel: ["2"]',
            "7:23: workloads[0].tensor_parallel[0]: '2' is not one of 1, 2, 4, 8, 16, 32, 64\n"
            "  hint: write it without quotes",
        ),
        (
            "tensor_parallel: [true]",
            "7:23: workloads[0].tensor_parallel[0]: expected a whole number, found true",
        ),
        ("min_replicas: 0", "7:19: workloads[0].min_replicas: must be at least 1 (is 0)"),
        ("min_replicas: 1.5", "7:19: workloads[0].min_replicas: must be a whole number (is 1.5)"),
        (
            "min_replicas: 1000001",
            "7:19: workloads[0].min_replicas: must be at most 1000000 (is 1000001)",
        ),
    ],
)
def test_a_key_of_a_workload_is_refused(changed, line, expected):
    assert changed(LLM, f"{LLM}\n    {line}") == f"x.yaml:{expected}\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('"Chat #1"', "'Chat #1'"),
        ('""', "''"),
        ("../../etc", "'../../etc'"),
        ('"=1+1"', "'=1+1'"),
        ('"[red]x[/red]"', "'[red]x[/red]'"),
        ('"\\u202etahc"', "'\\u202etahc'"),
        ("\u200bchat", "'\\u200bchat'"),
    ],
)
def test_a_name_is_plain_and_printed_so_where_it_is_not(changed, name, shown):
    expected = f"use lower-case letters, digits and '-' (found {shown})"
    assert (
        changed("- name: chat", f"- name: {name}")
        == f"x.yaml:5:11: workloads[0].name: {expected}\n"
    )


def test_two_workloads_of_one_name_are_told_with_both_lines(refused):
    again = PROBLEM[PROBLEM.index("  - name") : PROBLEM.index("policy")]
    assert refused(PROBLEM.replace("policy:", again + "policy:")) == (
        "x.yaml:9:11: workloads[1].name: two workloads are named 'chat' (lines 5 and 9)\n"
    )


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        ("[]", "3:12: workloads: at least one is needed"),
        ("", "3:11: workloads: expected a list, found nothing"),
        ("{}", "3:12: workloads: expected a list, found keys\n  hint: start each entry with '- '"),
    ],
)
def test_workloads_are_a_list_of_at_least_one(refused, workloads, expected):
    content = f"schema_version: 1\ncatalog: toy\nworkloads: {workloads}".rstrip() + "\n"
    assert refused(content) == f"x.yaml:{expected}\n"


def test_there_are_200_workloads_at_most(refused, run, folder):
    one = (
        "  - {name: w%d, llm: tiny, traffic: {kind: requests_per_second, requests_per_second: 1}, "
    )
    one += "requests: {input_tokens: 1, output_tokens: 1}}\n"
    head = "schema_version: 1\ncatalog: toy\nworkloads:\n"
    assert refused(head + "".join(one % i for i in range(201))) == (
        "x.yaml:4:3: workloads: at most 200 are allowed, not 201\n"
    )
    (folder / "most.yaml").write_text(head + "".join(one % i for i in range(200)))
    assert run("check", "most.yaml")[0] == 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "{utilization: {target: 0}}",
            "9:32: policy.utilization.target: must be greater than 0 (is 0)",
        ),
        (
            "{utilization: {target: 75}}",
            "9:32: policy.utilization.target: must be at most 1 (is 75)\n  hint: write 75% or 0.75",
        ),
        (
            "{utilization: {target: 1e-9}}",
            "9:32: policy.utilization.target: must be at least 0.001 (is 1e-09)",
        ),
        (
            "{utilization: {target: 90%, ceiling: 80%}}",
            "9:23: policy.utilization: ceiling 0.8 is below the target 0.9",
        ),
        (
            "{utilization: {ceiling: 401%}}",
            "9:33: policy.utilization.ceiling: must be at most 4 (is 401%)",
        ),
        (
            "{confidence: p100}",
            "9:22: policy.confidence: 'p100' is not a quantile; write p90 or 0.9",
        ),
        (
            "{confidence: 90}",
            "9:22: policy.confidence: must be at most 1 (is 90)\n  hint: write 90% or 0.9",
        ),
        (
            "{switch_off_dedicated: no}",
            "9:32: policy.switch_off_dedicated: expected true or false, found 'no'; write false",
        ),
        ("{hours_per_month: 745}", "9:27: policy.hours_per_month: must be at most 744 (is 745)"),
        (
            "{penalties: {scaling: {usd_per_gpu: 1e300}}}",
            "9:45: policy.penalties.scaling.usd_per_gpu: must be at most 1000000000 (is 1e+300)",
        ),
    ],
)
def test_a_policy_is_refused(changed, policy, expected):
    assert changed(POLICY, f"policy: {policy}") == f"x.yaml:{expected}\n"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (
            "{budget: {usd_per_month: 0}}",
            "11:34: limits.budget.usd_per_month: must be greater than 0 (is 0)",
        ),
        (
            "{budget: {usd_per_month: 1e-9}}",
            "11:34: limits.budget.usd_per_month: must be at least 0.01 (is 1e-09)",
        ),
        (
            "{budget: {usd_per_month: 1e13}}",
            "11:34: limits.budget.usd_per_month: must be at most 1000000000000 "
            "(is 10000000000000.0)",
        ),
        (
            "{max_spot_share: 1e-9}",
            "11:26: limits.max_spot_share: must be 0 or at least 0.001 (is 1e-09)",
        ),
        (
            "{providers: {max_share: 60}}",
            "11:33: limits.providers.max_share: must be at most 1 (is 60)\n"
            "  hint: write 60% or 0.6",
        ),
        (
            "{providers: {allow: acme}}",
            "11:29: limits.providers.allow: expected a list, found 'acme'; write [acme]",
        ),
        ("{regions: {allow: ['']}}", "11:28: limits.regions.allow[0]: must not be empty"),
        (
            "{regions: {allow: [12]}}",
            "11:28: limits.regions.allow[0]: expected text, found 12; write '12'",
        ),
        (
            "{max_units: {acme/big/eu-1: -1}}",
            "11:37: limits.max_units['acme/big/eu-1']: must be at least 0 (is -1)",
        ),
        (
            "{survive_loss_of: no}",
            "11:27: limits.survive_loss_of: 'no' is not one of provider, region, offering, spot, "
            "none\n"
            "  hint: did you mean 'none'?",
        ),
    ],
)
def test_a_limit_is_refused(refused, limits, expected):
    assert refused(f"{PROBLEM}limits: {limits}\n") == f"x.yaml:{expected}\n"


def test_all_faults_come_at_once_and_the_rest_is_counted(refused):
    content = PROBLEM + "".join(f"k{i}: 1\n" for i in range(30))
    lines = [line for line in refused(content).splitlines() if not line.startswith("  hint: ")]
    assert lines[:2] == ["x.yaml:11:1: k0: unknown key", "x.yaml:12:1: k1: unknown key"]
    assert (len(lines), lines[-1]) == (21, "and 10 more")
