"""`milp-planner plan` and `plan_for`: a problem from one line, and the file that it stands for."""

from __future__ import annotations

import json

import pytest
from typer.main import get_command

from milp_planner import InputError, load_catalog, load_problem, plan_for, solve
from milp_planner.cli.app import app
from milp_planner.cli.commands.plan import PARAMETERS
from milp_planner.inputs.one_line import (
    USUAL_SIZES,
    VOLUMES,
    WORDS,
    LineWords,
    problem_of,
    problem_text,
)

pytest_plugins = ["tests.support.toy_cli"]

# At 75 % a big one serves 7.5 requests/s for $4/h, a small one 2.25 for $1.50/h: 13 take two big.
LINE = ("plan", "--llm", "tiny", "--catalog", "toy", "--no-choices", "--reproducible")
SIZES = ("--input", "1", "--output", "1")
RATE = ("--requests-per-second", "13")

EVERY_WORD = {
    "catalog": "toy",
    "llm": "tiny",
    "precision": "bf16,fp8",
    "tokens_per_day": "5M",
    "pattern": "bursty",
    "input": "1500",
    "output": "300",
    "tpot": "50ms",
    "ttft": "2s",
    "budget": "$9k",
    "providers": "AWS, gcp",
    "region": "EU",
    "gpus": "h100-*",
    "allow": "spot,per_token",
    "survive_loss_of": "provider",
    "today": "12k",
}


def test_one_line_is_planned_and_printed_as_a_sheet(run):
    code, out, err = run(*LINE, *RATE, *SIZES)
    assert (code, err) == (0, "")
    assert out.startswith("Optimal plan: $5,760 per month")
    assert "2 GPUs at acme: 2 x big acme" in out


def test_the_file_that_it_stands_for_gives_the_same_plan(run, folder):
    code, out, err = run(*LINE, *RATE, *SIZES, "--allow", "spot", "--save", "mine.yaml")
    assert (code, err) == (0, "wrote mine.yaml; next: milp-planner solve mine.yaml\n")
    assert (folder / "mine.yaml").read_text() == (
        "schema_version: 1\n"
        "catalog: toy\n"
        "workloads:\n"
        "  - name: chat\n"
        "    llm: tiny\n"
        "    traffic: {kind: requests_per_second, requests_per_second: 13}\n"
        "    requests: {input_tokens: 1, output_tokens: 1}\n"
        "limits:\n"
        "  billing: {allow: [dedicated, autoscaling, owned, spot]}\n"
    )
    again = run("solve", "mine.yaml", "--no-choices", "--reproducible")
    assert again[:2] == (0, out)


def test_a_file_that_is_there_is_not_written_over(run, folder):
    (folder / "mine.yaml").write_text("mine")
    code, out, err = run(*LINE, *RATE, *SIZES, "--save", "mine.yaml")
    assert (code, out) == (2, "")
    assert "mine.yaml" in err
    assert (folder / "mine.yaml").read_text() == "mine"


def test_sizes_that_are_not_said_are_said_to_be_assumed(run, folder):
    assert USUAL_SIZES == {"input": "1500", "output": "300"}
    code, _, err = run(*LINE, "--tokens-per-day", "5M", "--output", "1", "--save", "mine.yaml")
    assert "warning: requests of 1,500 input tokens are assumed: --input says otherwise\n" in err
    assert "--output says otherwise" not in err
    line = "    requests: {input_tokens: 1500, output_tokens: 1}  # assumed: input\n"
    assert line in (folder / "mine.yaml").read_text()
    assert code == 3  # the toy's rates are of other sizes


def test_every_word_has_its_place_and_is_read():
    text = problem_text(EVERY_WORD)
    asked = load_problem("x.yaml", text=text)
    assert set(EVERY_WORD) | set(VOLUMES) | {"tokens_per_s"} == set(WORDS)
    [chat] = asked.workloads
    assert (asked.catalog, chat.llm, chat.precision) == ("toy", "tiny", ("bf16", "fp8"))
    assert (chat.traffic.tokens_per_day, chat.traffic.pattern) == (5e6, "bursty")
    assert (chat.latency.tpot_s, chat.latency.ttft_s) == (0.05, 2)
    limits = asked.limits
    assert (limits.budget.usd_per_month, asked.today.usd_per_month) == (9000, 12000)
    assert (limits.providers.allow, limits.regions.allow) == (("aws", "gcp"), ("eu",))
    assert limits.gpus.allow == ("h100-*",)
    assert limits.billing.allow == ("dedicated", "autoscaling", "owned", "spot", "per_token")
    assert limits.survive_loss_of == "provider"
    assert problem_of(EVERY_WORD).limits == limits


@pytest.mark.parametrize(
    ("volume", "kind"),
    [
        ({"tokens_per_month": "150M"}, "tokens_per_month"),
        ({"requests_per_second": "6"}, "requests_per_second"),
        ({"users": "2000", "tokens_per_s": "20"}, "concurrent_users"),
    ],
)
def test_each_volume_is_a_kind_of_traffic(volume, kind):
    assert problem_of({"llm": "tiny", **volume}).workloads[0].traffic.kind == kind


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (),
            "how much is asked? say one of --tokens-per-day, --tokens-per-month, "
            "--requests-per-second, --users\n",
        ),
        (
            (*RATE, "--users", "5"),
            "only one of --tokens-per-day, --tokens-per-month, --requests-per-second, --users "
            "can be said, not --requests-per-second and --users\n",
        ),
        (("--users", "5", *SIZES), "--tokens-per-s: required for kind: concurrent_users\n"),
        (
            ("--tokens-per-day", "5X", "--pattern", "Bursty", *SIZES),
            "--tokens-per-day: '5X' is not a number; write 1000, 1_000 or 1k\n"
            "--pattern: 'Bursty' is not one of steady, business_hours, bursty\n"
            "  hint: did you mean 'bursty'?\n",
        ),
        (
            (*RATE, *SIZES, "--providers", "acmee"),
            "--providers: no provider 'acmee'; closest: acme\n",
        ),
        ((*RATE, *SIZES, "--region", "eu-1\nx"), "--region: no region 'eu-1\\nx'; closest: eu-1\n"),
        ((*RATE, *SIZES, "--tpot", "50"), "--tpot: a time needs a unit"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(run, options, message):
    code, out, err = run(*LINE, *options)
    assert (code, out) == (2, "")
    assert message in err


def test_an_llm_that_is_missing_or_unknown_is_said_of_its_option(run):
    assert run("plan", *RATE)[2] == "--llm: required\n"
    _, _, err = run("plan", "--llm", "tinny", "--catalog", "toy", *RATE, *SIZES)
    assert err == "--llm: 'tinny' is not in the catalog 'toy'; did you mean 'tiny'?\n"


def test_text_that_yaml_would_read_otherwise_stays_text():
    for text in ("a: b", "{x}", "[x]", "# x", "'", '"', "*x", "&x", "!x", "- x", "null", "é"):
        with pytest.raises(InputError) as refused:
            solve(problem_of({"llm": text, **{"requests_per_second": "1"}}), load_catalog())
        assert "llm" in str(refused.value), text


def test_it_is_written_as_its_ending_says(run, folder):
    for ending, start in ((".html", "<!doctype html>"), (".md", "### "), (".json", "{")):
        assert run(*LINE, *RATE, *SIZES, "-o", f"sheet{ending}")[0] == 0
        assert (folder / f"sheet{ending}").read_text().lower().startswith(start)
    code, _, err = run(*LINE, *RATE, *SIZES, "-o", "sheet.docx")
    assert code == 2
    assert "sheet.docx" in err


def test_in_python_the_words_are_arguments(folder):
    known = load_catalog("toy")
    plan = plan_for("tiny", requests_per_second=13, input=1, output=1, catalog=known)
    assert plan.cash_usd_per_month == pytest.approx(5760)
    dear = plan_for(
        *("tiny",), requests_per_second="13", input=1, output=1, providers=["bolt"], catalog=known
    )
    # 13 at 2.25 each are 6 small ones, $9/h.
    assert dear.cash_usd_per_month == pytest.approx(6480)
    assert json.dumps(dear.to_dict())


def test_in_python_an_unknown_word_is_refused_with_the_one_that_is_meant():
    with pytest.raises(TypeError) as refused:
        plan_for("tiny", tokens_per_days="5M")
    assert str(refused.value) == "tokens_per_days: no such word; did you mean 'tokens_per_day'?"


def test_in_python_and_on_the_command_line_the_words_are_the_same():
    options = {param.name for param in get_command(app).commands["plan"].params}
    assert {PARAMETERS.get(name, name) for name in options} >= set(WORDS)
    assert set(LineWords.__annotations__) == set(WORDS) - {"llm", "catalog"}


def test_in_python_faults_name_the_argument(folder):
    with pytest.raises(InputError) as refused:
        plan_for("tiny", tokens_per_day="5X", tpot="fast", catalog=load_catalog("toy"))
    assert str(refused.value).splitlines() == [
        "tokens_per_day: '5X' is not a number; write 1000, 1_000 or 1k",
        "tpot: 'fast' is not a time; write '800ms' or '2s'",
    ]
