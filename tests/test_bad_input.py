"""What a user reads when something is wrong, through the command line, to the letter.

Every case runs as `check`, as `solve`, and as `solve --json`; none may show a traceback, and the
three must say the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import builders
import pytest
from toy import CATALOG, ENVIRONMENT, PROBLEM, write

from milp_planner.cli import exit_codes
from milp_planner.errors import InputError
from milp_planner.inputs.bounded import MOST_UNITS
from milp_planner.inputs.load import load_problem
from milp_planner.planning.arguments import check_settings
from milp_planner.planning.prepare import prepare

pytest_plugins = ["toy_cli"]

RATE = "requests_per_second: 13"
SIZE = "requests: {input_tokens: 1, output_tokens: 1}"
TRAFFIC = "traffic: {kind: requests_per_second, requests_per_second: 13}"
POLICY = "policy: {utilization: {target: 100%}}"
LLM = "llm: tiny"
ANYWHERE = "name: toy\n"


@pytest.fixture
def refused(run, folder):
    """What `check` says of a file with that content; `solve` must say the same."""

    def refuse(content: str | bytes, name: str = "x.yaml") -> str:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
        code, out, err = run("check", name)
        assert (code, out) == (exit_codes.INPUT, ""), err
        assert run("solve", name) == (code, out, err)
        json_code, document, json_err = run("solve", name, "--json")
        assert (json_code, json_err) == (code, err)
        error = json.loads(document)["error"]
        assert error["exit_code"] == exit_codes.INPUT
        assert error["message"] + "\n" == err
        assert all(fault["message"] in err for fault in error["faults"])
        return err

    return refuse


@pytest.fixture
def changed(refused):
    """What is said of the toy problem with one thing changed."""

    def change(old: str, new: str) -> str:
        assert old in PROBLEM
        return refused(PROBLEM.replace(old, new))

    return change


# ---- the file


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        ("# a\n", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        ("\n\n", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        (
            PROBLEM + "\0",
            "x.yaml:11: control characters are not allowed\n  hint: U+0000 in column 1\n",
        ),
        (
            PROBLEM + "# \x1b[31m\n",
            "x.yaml:11: control characters are not allowed\n  hint: U+001B in column 3\n",
        ),
        (PROBLEM + "\tx: 1\n", "x.yaml:11:1: not valid YAML: tab character; indent with spaces\n"),
        (
            PROBLEM + "limits: [1,\n",
            "x.yaml:12:1: not valid YAML: did not find expected node content\n",
        ),
        (
            PROBLEM + 'limits: "abc\n',
            "x.yaml:12:1: not valid YAML: found unexpected end of stream\n"
            "  hint: while scanning a quoted scalar, which starts on line 11\n",
        ),
        (PROBLEM + "name: x\n", "x.yaml:11:1: 'name' is given twice (first on line 2)\n"),
        (PROBLEM + "---\na: 1\n", "x.yaml:11:1: only one YAML document per file\n"),
        ("- a\n", "x.yaml:1:1: expected keys such as 'workloads:', found a list\n"),
        ("hello\n", "x.yaml:1:1: expected keys such as 'workloads:', found 'hello'\n"),
        ("a,b\n1,2\n", "x.yaml:1:1: expected keys such as 'workloads:', found 'a,b 1,2'\n"),
        (PROBLEM.encode("utf-16"), "x.yaml:1: not UTF-8 text\n  hint: save it as UTF-8\n"),
        (
            PROBLEM.replace("tiny", "t\u00efny").encode("latin-1"),
            "x.yaml:6: not UTF-8 text\n  hint: save it as UTF-8\n",
        ),
        (b"\x1f\x8b\x08\x00abc", "x.yaml:1: not UTF-8 text\n  hint: save it as UTF-8\n"),
        ("a: " + "[" * 100_000, "x.yaml:1:35: nested deeper than 32 levels\n"),
        (
            "\n".join(" " * depth + "a:" for depth in range(200)),
            "x.yaml:33:33: nested deeper than 32 levels\n",
        ),
        ("#" * 5_000_001, "x.yaml: file is larger than 5 MB\n"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_not_a_yaml_file_of_keys_is_refused(refused, content, expected):
    assert refused(content) == expected


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            "&a tiny",
            "x.yaml:6:10: YAML anchors and aliases (& and *) are not supported\n"
            "  hint: write the value out\n",
        ),
        ("!env tiny", "x.yaml:6:10: YAML tags are not supported: !env\n"),
        (
            "!!python/object/apply:os.system [ls]",
            "x.yaml:6:10: YAML tags are not supported: !!python/object/apply:os.system\n",
        ),
        (
            '"\\e[31m"',
            "x.yaml:6: control characters are not allowed\n  hint: U+001B, from an escape\n",
        ),
    ],
)
def test_yaml_that_could_do_harm_is_refused(changed, new, expected):
    assert changed(LLM, f"llm: {new}") == expected


def test_there_are_200000_values_at_most(run, folder):
    (folder / "x.yaml").write_text("a: [" + "1," * 200_000 + "]")
    assert run("check", "x.yaml")[2] == "x.yaml:1:399999: more than 200,000 values\n"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_foreign_line_ends_and_a_byte_order_mark_change_nothing(run, folder, newline):
    (folder / "x.yaml").write_bytes(("\ufeff" + PROBLEM.replace("\n", newline)).encode())
    assert run("check", "x.yaml") == run("check", "toy.yaml")


def test_a_missing_file_is_told_with_its_neighbour(run):
    expected = "tpy.yaml: file not found\n  hint: did you mean toy.yaml?\n"
    assert run("solve", "tpy.yaml") == (exit_codes.INPUT, "", expected)
    assert run("solve", "toy")[2] == "toy: is a directory; give one YAML file\n"
    assert run("solve", "")[2] == "FILE: must not be empty; - reads standard input\n"
    assert run("solve", "a\0b")[2] == "a\\x00b: not a file name\n"


def test_a_link_to_nothing_says_where_it_leads(run, folder):
    (folder / "link.yaml").symlink_to("gone.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    assert run("solve", "link.yaml")[2] == (
        "link.yaml: file not found: it is a link to 'gone.yaml'\n"
    )
    assert run("solve", "loop.yaml")[2] == (
        "loop.yaml: cannot be read: Too many levels of symbolic links\n"
    )


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(run, folder):
    os.mkfifo(folder / "pipe")
    expected = "pipe: is a named pipe\n  hint: give it as standard input: - < pipe\n"
    assert run("check", "pipe") == (exit_codes.INPUT, "", expected)
    code, _, err = run("solve", "toy.yaml", "--output", "pipe")
    assert (code, err) == (exit_codes.INPUT, "--output pipe: is a pipe that nobody reads\n")
    (folder / "mine").mkdir()
    os.mkfifo(folder / "mine" / "offerings.csv")
    code, _, err = run("check", "toy.yaml", "--overlay", "mine")
    assert code == exit_codes.INPUT
    assert err == "mine/offerings.csv: is not a file; a catalog is a folder of CSV files\n"
    assert run("catalog", "check", "mine")[2] == err


def test_devices_are_read_no_further_than_a_file(run):
    assert "file is empty" in run("check", "/dev/null")[2]
    if Path("/dev/zero").exists():
        assert run("check", "/dev/zero")[2] == "/dev/zero: file is larger than 5 MB\n"


@pytest.fixture
def without_rights(run, folder, monkeypatch):
    """A folder that may not be written to; for root, as somebody whom permissions bind."""
    run("solve", "toy.yaml")  # imports all that there is to import, which may be closed to others
    with tempfile.TemporaryDirectory() as closed:
        shutil.copytree(folder, closed, dirs_exist_ok=True)
        monkeypatch.chdir(closed)
        os.chmod(closed, 0o555)
        is_root = os.getuid() == 0
        if is_root:
            os.setresgid(65534, 65534, 0)
            os.setresuid(65534, 65534, 0)
        try:
            yield Path(closed)
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
                os.setresgid(0, 0, 0)
            os.chmod(closed, 0o755)


def test_where_nothing_may_be_written_is_told_before_solving(run, without_rights):
    expected = "--output plan.json: its directory may not be written to\n"
    assert run("solve", "toy.yaml", "-o", "plan.json") == (exit_codes.INPUT, "", expected)
    expected = "new.yaml: cannot be written: Permission denied\n"
    assert run("init", "new.yaml") == (exit_codes.INPUT, "", expected)


def test_a_file_that_may_not_be_read_is_told(run, folder, monkeypatch):
    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert run("check", "toy.yaml")[2] == "toy.yaml: permission denied\n"


# ---- the keys


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("", "x.yaml: schema_version: required; add 'schema_version: 1'\n"),
        (
            "schema_version: 2\n",
            "x.yaml:1:17: schema_version 2 is newer than this milp-planner (0.1.0 understands 1)\n",
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
            "7:17: workloads[0].precision[0]: 'int3' is not one of bf16, fp16, fp8, nvfp4, "
            "mxfp4, int4\n  hint: did you mean 'int4'?",
        ),
        (
            "tensor_parallel: [3]",
            "7:23: workloads[0].tensor_parallel[0]: 3 is not one of 1, 2, 4, 8",
        ),
        (
            'tensor_parallel: ["2"]',
            "7:23: workloads[0].tensor_parallel[0]: '2' is not one of 1, 2, 4, 8\n"
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
        ("{spot_share: 1e-9}", "11:22: limits.spot_share: must be 0 or at least 0.001 (is 1e-09)"),
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
            "11:27: limits.survive_loss_of: 'no' is not one of provider, region, offering, none\n"
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


# ---- names that the catalog does not know, each at its own line


@pytest.mark.parametrize(
    ("llm", "hint"),
    [
        ("tinny", "; did you mean 'tiny'?"),
        ("Tiny", "; did you mean 'tiny'?"),
        ("gpt", ""),
        ('"[red]x"', ""),
    ],
)
def test_an_unknown_llm_is_told_with_the_nearest(changed, llm, hint):
    shown = llm.strip('"')
    assert changed(LLM, f"llm: {llm}") == (
        f"x.yaml:6:10: workloads[0].llm: '{shown}' is not in the catalog 'toy'{hint}\n"
    )


LIMITS_BY_LINE = """\
limits:
  regions:
    allow:
      - eu-*
      - eu-wst-*
  gpus:
    deny:
      - bigg
  max_units:
    acme/big/eu-1: 4
    acme/big/eu-2: 4
  max_gpus:
    per_provider:
      acme: 4
      bolted: 4
"""


def test_every_name_in_limits_is_blamed_at_its_own_line(refused):
    assert refused(PROBLEM + LIMITS_BY_LINE) == (
        "x.yaml:15:9: limits.regions.allow: 'eu-wst-*' matches none of the 2 regions\n"
        "x.yaml:18:9: limits.gpus.deny: no GPU 'bigg'; closest: big\n"
        "x.yaml:21:5: limits.max_units: no offering 'acme/big/eu-2'; closest: acme/big/eu-1\n"
        "x.yaml:25:7: limits.max_gpus.per_provider: no provider 'bolted'; closest: bolt\n"
    )


def test_what_is_both_allowed_and_denied_is_a_contradiction(refused):
    assert refused(PROBLEM + "limits: {providers: {allow: [acme, bolt], deny: [bolt]}}\n") == (
        "x.yaml:11:50: limits.providers.deny: 'bolt' is both allowed and denied\n"
    )


@pytest.fixture
def market(run, folder):
    """What `check` says of a problem of the shipped market."""

    def refuse(rest: str) -> str:
        (folder / "m.yaml").write_text(
            "schema_version: 1\nworkloads:\n  - name: chat\n    llm: llama-3.3-70b\n"
            "    traffic: {kind: tokens_per_day, tokens_per_day: 5M}\n"
            f"    requests: {{input_tokens: 1500, output_tokens: 300}}\n{rest}\n"
        )
        code, _, err = run("check", "m.yaml")
        assert code == exit_codes.INPUT
        return err

    return refuse


def test_a_short_gpu_name_is_ambiguous_only_where_it_stands_for_several(market):
    assert market("limits: {gpus: {deny: [mi300x]}}") == (
        "m.yaml:7:24: limits.gpus.deny: no GPU 'mi300x'; closest: mi300x-192gb\n"
    )
    err = market("limits: {gpus: {deny: [h100]}}")
    assert err.startswith("m.yaml:7:24: limits.gpus.deny: 'h100' is ambiguous; write one of h100-")
    assert err.endswith("  hint: or a pattern, such as h100-*\n")


def test_an_unknown_offering_is_told_with_the_one_that_begins_so(market):
    err = market("limits: {max_units: {runpod/h200-141gb-sxm/us: 4}}")
    assert "limits.max_units: no offering 'runpod/h200-141gb-sxm/us'; closest: runpod/h200-" in err
    err = market("current_fleet: [{offering: aws/p5.48xlarge, units: 1, workload: chat}]")
    assert err.startswith(
        "m.yaml:7:28: current_fleet[0].offering: no offering 'aws/p5.48xlarge'; "
        "closest: aws/p5.48xlarge/"
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("units: 0, workload: chat", "50: current_fleet[0].units: must be at least 1 (is 0)"),
        (
            "units: 1, workload: cht",
            "63: current_fleet[0].workload: no workload 'cht'; did you mean 'chat'?",
        ),
        (
            "units: 1, workload: chat, billing: spot",
            "78: current_fleet[0].billing: acme/big/eu-1 is not sold as spot, only as dedicated",
        ),
        (
            "units: 1, workload: chat}, {offering: acme/big/eu-1, units: 2, workload: chat",
            "70: current_fleet[1]: acme/big/eu-1 billed dedicated for 'chat' is given twice "
            "(first as current_fleet[0]); add the units up",
        ),
    ],
)
def test_a_row_of_the_running_fleet_is_refused(refused, row, expected):
    fleet = f"current_fleet: [{{offering: acme/big/eu-1, {row}}}]\n"
    assert refused(PROBLEM + fleet) == f"x.yaml:11:{expected}\n"


@pytest.mark.parametrize(
    ("catalog", "expected"),
    [
        (
            "mrket",
            "no catalog 'mrket'; did you mean 'market'?\n  hint: the shipped ones are "
            "inference-atlas, market; anything else is the path of a folder",
        ),
        ("toy.yaml", "toy.yaml is not a folder; a catalog is a folder of CSV files"),
        (
            '"~nobody-of-that-name"',
            "no catalog '~nobody-of-that-name': Could not determine home directory.",
        ),
        ("x" * 5000, f"no catalog '{'x' * 57}...': File name too long"),
    ],
    ids=lambda value: value[:12],
)
def test_a_catalog_that_is_not_there_is_told_where_it_is_named(changed, catalog, expected):
    assert changed("catalog: toy", f"catalog: {catalog}") == f"x.yaml:3:10: catalog: {expected}\n"


# ---- sizes beyond what can be planned


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("1e-10", "the peak of 1e-10 requests/s is below 1e-09, the least that is planned"),
        ("1e13", "the peak of 1e+13 requests/s is above 1e+12, the most that is planned"),
        (
            "1e8",  # 10 a second are one big: 1e7 units
            "the peak of 1e+08 requests/s takes 1e+07 units of the largest candidate, "
            "more than the 1,000,000 that can be planned",
        ),
    ],
)
def test_a_rate_beyond_what_a_solver_can_tell_apart_is_refused(changed, rate, expected):
    message = changed(RATE, f"requests_per_second: {rate}")
    assert message == f"x.yaml:7:14: workloads[0].traffic: {expected}\n"


def test_the_largest_and_the_smallest_rate_are_planned(run, folder):
    # 1,000,000 big at 10 requests/s each; the small ones carry 3/10 of that, which is near enough.
    for rate, units in ((10 * MOST_UNITS, MOST_UNITS), (1e-9, 1)):
        file = write(folder, "x.yaml", RATE, f"requests_per_second: {rate}")
        code, out, err = run("solve", file, "--json", "--alternatives", "0")
        assert (code, err) == (0, "")
        assert sum(p["units"] for p in json.loads(out)["purchases"]) == units


def test_a_candidate_that_carries_next_to_nothing_is_turned_down(run, folder):
    # Tiny on small: 1e-9 requests/s, 1.3e10 of them for 13 requests/s.
    table = CATALOG["measurements.csv"].replace(
        "tiny,small,bf16,1,1,1,6,", "tiny,small,bf16,1,1,1,2e-9,"
    )
    (folder / "toy" / "measurements.csv").write_text(table)
    code, out, err = run("solve", "toy.yaml", "--json")
    assert (code, err) == (0, "")
    assert [p["offering"] for p in json.loads(out)["purchases"]] == ["acme/big/eu-1"]
    out = run("options", "toy.yaml", "--all")[1]
    assert "it would take 1.3e+10 units to serve the peak; that is out of reach" in out


def test_a_price_beyond_what_can_be_planned_is_told(run, folder):
    table = CATALOG["offerings.csv"].replace("small,1,1.5,", "small,1,1e-300,")
    (folder / "toy" / "offerings.csv").write_text(table)
    code, _, err = run("solve", "toy.yaml")
    assert code == exit_codes.INPUT
    assert err == (
        "bolt/small/us-1 billed dedicated: usd_per_hour: must be from 0.0001 to 100000 "
        "(is 1e-300)\n"
    )


def test_20000_offerings_are_the_most(run, folder):
    row = "acme,n{0},eu-1,dedicated,big,1,4,2026-01-15,test\n"
    head = CATALOG["offerings.csv"].splitlines(keepends=True)[0]
    (folder / "toy" / "offerings.csv").write_text(
        head + "".join(row.format(i) for i in range(20_001))
    )
    assert run("check", "toy.yaml") == (
        exit_codes.INPUT,
        "",
        "toy/offerings.csv: the catalog has more than 20,000 offerings, the most that is read\n",
    )


# ---- catalogs and overlays

HEADER = "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
ROW = "acme,big,eu-1,dedicated,big,1,4,2026-01-15,test\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ": file is empty; its first line names the columns"),
        (HEADER.replace(",", ";"), ":1: the columns are separated by ';'; separate them by commas"),
        (
            HEADER.replace(",", "\t"),
            ":1: the columns are separated by tabs; separate them by commas",
        ),
        (
            HEADER.replace("usd", "USD") + ROW,
            ":1: USD_per_hour: unknown column; did you mean 'usd_per_hour'?",
        ),
        (HEADER + ROW.replace("test", "te\x1b[31mst"), ":2: control characters are not allowed"),
        (HEADER + ROW.replace("test", "te\0st"), ":2: control characters are not allowed"),
        (
            HEADER + "acme,big\n",
            ":2: has 2 columns, the header has 9; quote a text that holds a comma",
        ),
        (
            HEADER + ROW + '"acme,big\n' + ROW,
            ":4: not valid CSV: unexpected end of data\n  hint: in the row that starts on line 3",
        ),
        (HEADER + ROW.replace("4,2", "-4,2"), ":2: usd_per_hour: must be greater than 0 (is -4)"),
        (
            HEADER + ROW.replace("4,2", "nan,2"),
            ":2: usd_per_hour: must be a finite number (is nan)",
        ),
        (
            HEADER + ROW.replace("4,2", '"4,00",2'),
            ":2: usd_per_hour: '4,00' is not a number; write 1000 or 0.35",
        ),
        (
            HEADER + ROW.replace("big,1,", f"big,{'9' * 5000},"),
            f":2: gpus_per_unit: '{'9' * 57}...' is too large",
        ),
        (
            HEADER + ROW.replace("acme", "=cmd"),
            ":2: provider: use lower-case letters, digits and '.', '_', '+', '-' (found '=cmd')",
        ),
        (
            HEADER + ROW.replace("big,1", "bigg,1"),
            ":2: gpu: 'bigg' is not in the catalog; did you mean 'big'?",
        ),
        (
            HEADER + ROW.replace("2026", "2099"),
            ":2: as_of: 2099-01-15 is in the future (today is 2026-11-01)",
        ),
    ],
)
def test_an_overlay_is_refused_with_file_and_line(run, folder, content, expected):
    (folder / "mine").mkdir()
    (folder / "mine" / "offerings.csv").write_bytes(content.encode())
    options = ("--overlay", "mine", "--as-of", "2026-11-01")
    code, out, err = run("check", "toy.yaml", *options)
    assert (code, out) == (exit_codes.INPUT, "")
    assert f"mine/offerings.csv{expected}\n" in err
    assert run("solve", "toy.yaml", *options) == (code, out, err)
    code, out, _ = run("solve", "toy.yaml", *options, "--json")
    assert code == exit_codes.INPUT
    assert json.loads(out)["error"]["faults"][0]["file"] == "mine/offerings.csv"


def test_a_missing_price_is_unavailable_and_never_free(run, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "offerings.csv").write_text(HEADER + ROW.replace("4,2", ",2"))
    found = json.loads(run("solve", "toy.yaml", "--json", "--overlay", "mine")[1])
    # Without big five small ones serve 13 requests/s, at $1.50 each.
    assert found["cash_usd_per_month"] == 5 * 1.5 * 720


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--overlay", "toi"), "--overlay toi: there is no such folder; did you mean 'toy'?"),
        (
            ("--overlay", "toy.yaml"),
            "--overlay toy.yaml: is a file; an overlay is a folder of CSV files",
        ),
        (
            ("--overlay", "~nobody-of-that-name"),
            "--overlay ~nobody-of-that-name: there is no such folder",
        ),
        (("--catalog", ""), "--catalog: must not be empty"),
        (
            ("--catalog", "nope"),
            "--catalog: no catalog 'nope'\n  hint: the shipped ones are inference-atlas, market; "
            "anything else is the path of a folder",
        ),
    ],
)
def test_a_folder_on_the_command_line_is_told_with_its_option(run, arguments, expected):
    for command in ("check", "solve", "options"):
        assert run(command, "toy.yaml", *arguments) == (exit_codes.INPUT, "", f"{expected}\n")


def test_a_shipped_catalog_checked_by_its_folder_does_not_lie_on_itself(run):
    market = Path(__file__).resolve().parents[1] / "catalogs" / "inference-atlas"
    by_folder = run("catalog", "check", str(market), "--json")
    assert by_folder[0] == 0
    assert by_folder == run("catalog", "check", "inference-atlas", "--json")


# ---- flags


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--time-limit", "0"), "must be greater than 0s (is 0)"),
        (("--time-limit", "-5s"), "must be greater than 0s (is -5s)"),
        (("--time-limit", "1e400"), "'1e400' is too large"),
        (("--time-limit", "nan"), "'nan' is not a time"),
        (("--gap", "2"), "must be from 0 to 1, or 0% to 100% (is 2)"),
        (("--gap", "nan"), "'nan' is not a share; write 60% or 0.6"),
        (("--alternatives", "-1"), "must be a whole number from 0 to 100 (is -1)"),
        (("--alternatives", "\u0661"), "must be a whole number from 0 to 100 (is \u0661)"),
        (("--alternatives", "9" * 5000), "must be a whole number from 0 to 100 (is 999"),
        (("--max-cost", "$"), "'$' is not a number"),
        (("--max-price-age", "60.5"), "a time needs a unit: write '60.5d'"),
        (("--as-of", "20260801"), "'20260801' is not a date; write 2026-08-31"),
        (("--as-of", "2026-02-30"), "'2026-02-30' is not a date; write 2026-08-31"),
        (("--format", "xml"), "'xml' is not one of text, json, csv"),
        (("--nope",), "No such option: --nope"),
        (("toy.yaml",), "Got unexpected extra argument(s) (toy.yaml)"),
        (("-",), "Got unexpected extra argument(s) (-)"),
        (("--json=1",), "'--json' does not take a value"),
    ],
    ids=lambda value: " ".join(value)[:24] if isinstance(value, tuple) else "",
)
def test_a_flag_out_of_range_names_the_range(run, arguments, words):
    code, out, err = run("solve", "toy.yaml", *arguments)
    assert (code, out) == (exit_codes.INPUT, "")
    assert words in err
    assert err.endswith("--help\n")
    code, out, _ = run("solve", "toy.yaml", *arguments, "--json")
    assert code == exit_codes.INPUT
    said = json.loads(out)["error"]["message"]
    assert words in said or "--json and --format xml contradict each other" in said


@pytest.mark.parametrize("flags", [("-qfjson",), ("-qf", "json"), ("-fjson",), ("--format=json",)])
def test_json_asked_for_in_any_spelling_gives_a_document_of_the_error(run, flags):
    code, out, _ = run("solve", "nope.yaml", *flags)
    assert code == exit_codes.INPUT
    assert json.loads(out)["error"]["faults"][0]["file"] == "nope.yaml"


# ---- streams, as only a process can show


@pytest.mark.parametrize(
    ("redirections", "code", "words"),
    [
        ("- <&-", exit_codes.INPUT, b"<stdin>: there is no standard input\n"),
        ("- </dev/null", exit_codes.INPUT, b"<stdin>: file is empty\n"),
        ("toy.yaml >&-", 0, b""),
        ("nope.yaml 2>&-", exit_codes.INPUT, b""),
        ("<(cat toy.yaml) --catalog toy", 0, b""),
    ],
)
def test_closed_streams_and_pipes_end_in_the_right_code(folder, redirections, code, words):
    command = f"exec '{sys.executable}' -m milp_planner check {redirections}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=60
    )
    assert done.returncode == code
    assert done.stderr.startswith(words)
    assert b"Traceback" not in done.stderr


def test_what_the_system_refuses_is_no_bug_of_ours(run, monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("milp_planner.planning.planner.solve", refuse)
    code, _, err = run("solve", "toy.yaml")
    assert code == exit_codes.INPUT
    assert err == (
        "the system refused: No space left on device: /tmp/x\n  hint: --debug shows where\n"
    )


# ---- Python calls


def test_a_problem_and_a_catalog_are_told_from_anything_else():
    good, known = builders.problem(13), builders.big_and_small()
    for problem, catalog, words in (
        (None, known, "expected a Problem, as load_problem() gives, not NoneType"),
        ({}, known, "expected a Problem, as load_problem() gives, not dict"),
        (known, good, "expected a Problem, as load_problem() gives, not Catalog"),
        (good, None, "expected a Catalog, as load_catalog() gives, not NoneType"),
        (good, "market", "expected a Catalog, as load_catalog() gives, not str"),
    ):
        with pytest.raises(TypeError) as caught:
            prepare(problem, catalog)
        assert str(caught.value) == words


@pytest.mark.parametrize(
    ("setting", "value", "kind", "words"),
    [
        ("time_limit_s", -1, InputError, "time_limit_s: must be greater than 0 (is -1)"),
        ("time_limit_s", 0, InputError, "time_limit_s: must be greater than 0 (is 0)"),
        ("time_limit_s", float("nan"), InputError, "time_limit_s: must be a number (is nan)"),
        ("time_limit_s", "60s", TypeError, "time_limit_s: expected a number, not str"),
        ("time_limit_s", True, TypeError, "time_limit_s: expected a number, not bool"),
        ("gap", float("nan"), InputError, "gap: must be a number (is nan)"),
        ("gap", 2, InputError, "gap: must be at most 1 (is 2)"),
        ("gap", -0.1, InputError, "gap: must be at least 0 (is -0.1)"),
        ("alternatives", -1, InputError, "alternatives: must be at least 0 (is -1)"),
        ("alternatives", 101, InputError, "alternatives: must be at most 100 (is 101)"),
        ("alternatives", 1.5, TypeError, "alternatives: expected a whole number, not float"),
        ("solver", "x", InputError, "solver: 'x' is not one of both, cbc, highs"),
        ("solver", "hihgs", InputError, "did you mean 'highs'?"),
        ("solver", "", InputError, "solver: '' is not one of both, cbc, highs"),
        ("solver", 5, TypeError, "solver: expected text, not int"),
    ],
)
def test_a_setting_from_python_is_checked(setting, value, kind, words):
    with pytest.raises(kind) as caught:
        check_settings(**{setting: value})
    assert words in str(caught.value)


def test_settings_in_range_pass():
    check_settings()
    check_settings(time_limit_s=0.5, gap=1, alternatives=0, solver="cbc")


@pytest.mark.parametrize("source", [None, 5, b"x", {}])
def test_a_file_name_is_text_or_a_path(source):
    with pytest.raises(TypeError, match="load_problem takes a file name, not"):
        load_problem(source)
    with pytest.raises(TypeError, match="load_problem takes text as str, not bytes"):
        load_problem("x.yaml", text=b"a: 1")


def test_without_a_file_faults_have_a_path_and_no_line():
    limits = {"regions": {"allow": ["mars"]}}
    with pytest.raises(InputError) as caught:
        prepare(builders.problem(13, limits=limits), builders.big_and_small())
    assert str(caught.value) == "limits.regions.allow: no region 'mars'"
