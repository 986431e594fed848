"""The commands beside `solve`: check, candidates, init, schema, catalog, and the help."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator

from milp_planner import __version__, load_problem
from milp_planner.cli.commands.init import example
from milp_planner.cli.commands.schema import problem_schema
from milp_planner.cli.parts import exit_codes
from milp_planner.questions import solve as planner
from tests.support.toy import CATALOG, ENVIRONMENT, PROBLEM, ROOT, raising, write

pytest_plugins = ["tests.support.toy_cli"]

PROBLEMS = ROOT / "problems"


# ---- check and candidates


def test_check_summarises_without_solving(run, folder, monkeypatch):
    monkeypatch.setattr(planner, "solve", raising(AssertionError("not reached")))
    file = write(folder, "limited.yaml", "policy:", "limits: {regions: {allow: [eu-*]}}\npolicy:")
    code, out, err = run("check", file)
    assert (code, err) == (0, "")
    assert out.startswith("toy: the problem is in order\n")
    assert re.search(r"chat +tiny +1 +13\.0 req/s +67\.4 M +1 +1\n", out)
    assert "  limits.regions.allow  eu-*\n" in out
    assert "Catalog toy 7" in out
    assert "2 offerings of 2 providers" in out


def test_check_counts_those_who_sell_tokens_apart_from_what_is_rented(run, folder):
    columns = "provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,as_of,source"
    file = folder / "toy" / "token_prices.csv"
    file.write_text(f"{columns}\ncove,tiny,1,1,2026-01-15,test\n")
    assert "2 offerings and 1 token price of 3 providers" in run("check", "toy.yaml")[1]


def test_check_as_json_gives_figures(run):
    found = json.loads(run("check", "toy.yaml", "--json")[1])
    assert found["valid"] is True
    assert found["blocks"] == [{"name": "active", "hours": 720.0}]
    [chat] = found["workloads"]
    assert (chat["peak_per_second"], chat["candidates"], chat["turned_down"]) == (13.0, 2, 0)
    assert chat["tokens_per_month"] == 13 * 2 * 720 * 3600
    assert found["limits"] == {}


def test_check_of_a_workload_that_nothing_serves_is_exit_3(run, folder):
    file = write(folder, "lonely.yaml", "llm: tiny", "llm: lonely")
    code, _, err = run("check", file)
    assert code == exit_codes.INFEASIBLE
    assert "nothing that is allowed can serve workload 'chat'" in err
    assert run("solve", file)[0] == exit_codes.INFEASIBLE


def test_options_sorts_candidates_by_price_of_capacity(run):
    # Big: 4 x 720 / 10 = $288 per request/s; small: 1.5 x 720 / 3 = $360.
    code, out, _ = run("candidates", "toy.yaml")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "/eu-1" in line or "/us-1" in line]
    assert rows == [
        ["acme/big/eu-1", "dedicated", "1", "raw", "1", "10.0", "4.0", "288", "-", "raw"],
        ["bolt/small/us-1", "dedicated", "1", "raw", "1", "3.00", "1.5", "360", "-", "raw"],
    ]


def test_options_gives_every_offering_turned_down_its_reason(run, folder):
    file = write(folder, "denied.yaml", "policy:", "limits: {gpus: {deny: [small]}}\npolicy:")
    _, out, _ = run("candidates", file, "--all")
    assert "chat  tiny: 1 candidate, 1 offering turned down" in out
    assert "… is denied by limits.gpus.deny" in out
    assert "bolt/small/us-1  dedicated  small is denied by limits.gpus.deny (small)" in out
    [chat] = json.loads(run("candidates", file, "--json")[1])["workloads"]
    assert chat["turned_down"]["offerings"] == [
        {
            "offering": "bolt/small/us-1",
            "billing": "dedicated",
            "reason": "small is denied by limits.gpus.deny (small)",
        }
    ]
    assert [k["usd_per_request_per_second_month"] for k in chat["candidates"]] == [288.0]


def test_options_of_one_workload(run):
    assert run("candidates", "toy.yaml", "--workload", "chat")[0] == 0


# ---- init and schema


def test_init_writes_an_example_that_is_in_order_and_never_overwrites(run, folder):
    code, out, err = run("init")
    assert (code, out) == (0, "")
    assert err == "wrote problem.yaml; next: milp-planner solve problem.yaml\n"
    assert load_problem("problem.yaml").name == "example"
    assert run("check", "problem.yaml", "--quiet")[0] == 0
    (folder / "problem.yaml").write_text("mine")
    code, _, err = run("init")
    assert (code, err) == (exit_codes.INPUT, "problem.yaml: exists already; give another name\n")
    assert (folder / "problem.yaml").read_text() == "mine"


def test_init_to_standard_output(run, folder):
    assert run("init", "-") == (0, example(), "")
    assert not (folder / "problem.yaml").exists()


def test_every_commented_line_of_the_example_is_valid_too():
    # Prose starts with a capital letter, a key that is commented out with a small one or a dash.
    text = re.sub(r"(?m)^( *)# (?![A-Z])", r"\1", example())
    text = re.sub(r"(?m)^ *pattern: steady.*\n", "", text)  # the other pattern follows it
    problem = load_problem("all.yaml", text=text)
    assert [w.name for w in problem.workloads] == ["chat", "classify"]
    assert problem.workloads[0].min_replicas == 2
    assert problem.limits.budget is not None
    assert problem.limits.budget.usd_per_month == 20_000
    assert problem.solver.time_limit_s == 60


def test_schema_is_a_draft_2020_12_schema(run):
    code, out, _ = run("schema")
    assert code == 0
    found = json.loads(out)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["required"] == ["schema_version", "workloads"]
    Draft202012Validator.check_schema(found)


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(problem_schema())


@pytest.mark.parametrize(
    "path", sorted(PROBLEMS.rglob("*.yaml")), ids=lambda p: str(p.relative_to(PROBLEMS))
)
def test_every_shipped_problem_keeps_to_the_schema(validator, path):
    faults = validator.iter_errors(yaml.safe_load(path.read_text()))
    assert [fault.message for fault in faults] == []


def test_the_schema_refuses_what_the_planner_refuses(validator):
    good = yaml.safe_load(PROBLEM)
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "limit": {}})
    assert not validator.is_valid({k: v for k, v in good.items() if k != "schema_version"})
    assert not validator.is_valid({**good, "workloads": []})


# ---- catalog


def test_catalog_list_counts_what_there_is(run):
    found = json.loads(run("catalog", "list", "--catalog", "toy", "--json")[1])
    assert (found["catalog"], found["version"]) == ("toy", "7")
    assert (found["gpus"], found["llms"], found["offerings"], found["providers"]) == (2, 2, 2, 2)
    assert (found["oldest_price"], found["newest_price"]) == ("2026-01-15", "2026-02-20")


@pytest.mark.parametrize(
    ("kind", "first"),
    [("llms", "lonely"), ("gpus", "big"), ("offerings", "acme/big/eu-1"), ("providers", "acme")],
)
def test_catalog_list_shows_every_record(run, kind, first):
    code, out, _ = run("catalog", "list", kind, "--catalog", "toy")
    assert code == 0
    assert out.splitlines()[1].split()[0] == first
    assert len(json.loads(run("catalog", "list", kind, "--catalog", "toy", "--json")[1])) == 2


def test_catalog_show_of_an_llm_fits_a_terminal_of_80_columns_but_for_sources(run):
    _, out, _ = run("catalog", "show", "qwen3-coder-480b-a35b")
    facts = out[out.index("  weights by group") : out.index("  where facts come from")]
    assert max(map(len, facts.splitlines())) <= 80
    # 62 layers · 2 · 8 KV heads · 128 · 2 bytes = 248 KiB; 2,560 / 8 = 320 is 2.5 blocks of 128
    assert "KV KiB per token bf16  248" in facts
    assert "8  not in fp8: 2,560 / 8 is no multiple of 128; needs expert_parallel" in facts
    assert "architecture  ai-dynamo/aiconfigurator" in out


def test_catalog_show_knows_gpus_llms_and_offerings(run):
    _, out, _ = run("catalog", "show", "big", "--catalog", "toy")
    assert out.startswith("GPU big\n")
    assert "acme/big/eu-1" in out
    _, out, _ = run("catalog", "show", "tiny", "--catalog", "toy")
    assert out.startswith("LLM tiny\n")
    assert re.search(r"^ +big +bf16 +1 +1 +20", out, re.MULTILINE)
    found = json.loads(run("catalog", "show", "bolt/small/us-1", "--catalog", "toy", "--json")[1])
    assert [row["usd_per_hour"] for row in found["billings"]] == [1.5]


def test_catalog_check_finds_faults_with_their_line(run, folder):
    code, out, _ = run("catalog", "check", "toy")
    assert code == 0
    assert out.startswith("toy: the catalog is in order\n")
    offerings = folder / "toy" / "offerings.csv"
    offerings.write_text(CATALOG["offerings.csv"].replace(",1.5,", ",-1.5,"))
    code, out, err = run("catalog", "check", "toy")
    assert (code, out) == (exit_codes.INPUT, "")
    assert "toy/offerings.csv:3: usd_per_hour: must be at least 0 (is -1.5)" in err


# ---- the rest


def test_the_version_is_the_packages_own(run):
    assert run("--version") == (0, f"milp-planner {__version__}\n", "")


def test_every_command_has_help(run):
    commands = run("--help")[1].split("Commands:")[1]
    listed = re.findall(r"^  ([\w-]+)  +\w", commands, re.MULTILINE)
    assert {"solve", "check", "candidates", "traffic", "init", "schema", "catalog"} <= set(listed)
    for command in (*listed, "catalog list", "catalog show", "catalog check"):
        code, out, _ = run(*command.split(), "--help")
        assert code == 0
        assert "Usage: milp-planner" in out


def printed_by(script: str) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True).stdout


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from milp_planner.cli import main; main(['--help']); "
        "print(sorted({'pandas', 'pulp', 'highspy', 'pydantic', 'yaml', 'numpy'}"
        " & set(sys.modules)))"
    )
    assert printed_by(script).endswith("[]\n")


def test_a_plan_imports_only_what_plans_need():
    """Neither what else is asked, nor what replays, nor what reads traces and benchmarks."""
    script = (
        "import sys; sys.modules['highspy'] = None; import milp_planner.questions.sheet.builder; "
        "print([m for m in sys.modules if "
        "m.startswith(('milp_planner.replaying', 'milp_planner.inputs.imports', "
        "'milp_planner.questions.choices', 'milp_planner.questions.diagnosis', "
        "'milp_planner.questions.sweeps', 'milp_planner.traffic.sources', "
        "'milp_planner.futures', 'milp_planner.plans.schema', 'numpy', 'pandas'))])"
    )
    assert printed_by(script) == "[]\n"


def test_a_command_imports_no_other_command():
    script = (
        "import sys; from milp_planner.cli import main; main(['solve', '--help']); "
        "print([m for m in sys.modules if m.startswith('milp_planner.cli.commands.')])"
    )
    assert printed_by(script).endswith("['milp_planner.cli.commands.solve']\n")


def test_no_record_is_made_ready_before_it_is_used():
    script = (
        "from milp_planner.inputs.problem.records import Problem; "
        "from milp_planner.inputs.catalog.records import Offering; "
        "print(Problem.__pydantic_complete__, Offering.__pydantic_complete__)"
    )
    assert printed_by(script) == "False False\n"
