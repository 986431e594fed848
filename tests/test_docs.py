"""The documents are true: their code runs, transcripts are what is printed, lists are complete."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from milp_planner import Problem, Status, __version__, load_catalog, load_problem, prepare
from milp_planner.cli.app import app
from milp_planner.cli.commands.catalogs.import_files import CatalogFormat, Peer
from milp_planner.cli.parts.exit_codes import EXIT_CODES
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.files import TABLES
from milp_planner.inputs.problem.keys import leaves
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import CONSTRAINTS, DECIDED_BEFORE
from tests.scripts import readme
from tests.scripts.readme import DOCUMENTS, README, ROOT, Transcript, blocks, name_of, transcripts
from tests.support.structure import WINGS

PACKAGE = ROOT / "milp_planner"
CI = ROOT / ".ci" / "run"
THE_PACKAGE = PACKAGE / "README.md"
THE_MATHEMATICS = PACKAGE / "milp" / "README.md"
THE_COMMANDS = PACKAGE / "cli" / "README.md"
THE_QUESTIONS = PACKAGE / "questions" / "README.md"
THE_PROBLEMS = ROOT / "problems" / "README.md"
THE_CATALOGS = ROOT / "catalogs" / "README.md"
THE_TESTS = ROOT / "tests" / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"


@cache
def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def prose_of(document: Path) -> str:
    """A document without its fenced blocks."""
    return readme.FENCED.sub("", text_of(document))


def quoted(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def missing_from(document: Path, names: list[str]) -> list[str]:
    """The names that a document does not have in backticks."""
    return [name for name in names if f"`{name}`" not in text_of(document)]


def table_row(document: Path, name: str) -> str:
    """The one row of a document's tables that begins with this name in backticks."""
    rows = re.findall(rf"^\| `{re.escape(name)}` \|.*$", text_of(document), re.MULTILINE)
    assert len(rows) == 1, f"{name_of(document)} has {len(rows)} rows for {name}"
    return rows[0]


def cases(pairs: Iterator[tuple[Path, Any]]) -> list[Any]:
    """One case each, named after its document and number."""
    return [pytest.param(*pair, id=f"{name_of(pair[0])}-{i}") for i, pair in enumerate(pairs)]


# --- Python, problems and shell ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "code"),
    cases((document, code) for document in DOCUMENTS for code in blocks(document, "python")),
)
def test_the_python_in_a_document_runs(document, code, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(compile(code, name_of(document), "exec"), {})


def test_plain_dicts_and_lists_give_the_problem_that_the_readme_builds_of_records():
    # The README builds it in its second block; type checkers want records, Python does not.
    names: dict[str, Any] = {}
    records, _ = blocks(README, "python")[1].split("plan = ")
    exec(compile(records, "README.md", "exec"), names)
    document = {
        "workloads": [
            {
                "name": "chat",
                "llm": "llama-3.3-70b",
                "traffic": {"kind": "requests_per_second", "requests_per_second": 6},
                "requests": {"input_tokens": 1500, "output_tokens": 300},
                "latency": {"tpot_s": 0.05},
            }
        ],
        "limits": {"providers": {"deny": ["vast-ai", "akash"]}, "max_gpus": {"total": 16}},
    }
    assert Problem(**document) == Problem(workloads=(names["chat"],), limits=names["limits"])


def test_the_problem_in_the_readme_is_the_quickstart():
    quickstart = (ROOT / "problems" / "quickstart.yaml").read_text(encoding="utf-8")
    assert blocks(README, "yaml") == [quickstart]


def test_the_problem_with_every_key_can_be_planned():
    (text,) = [block for block in blocks(THE_PROBLEMS, "yaml") if "schema_version" in block]
    problem = load_problem("problems/README.md", text=text)
    assert prepare(problem, load_catalog()).candidates.candidates


def test_every_key_of_a_problem_is_shown():
    shown = set(re.findall(r"\w+", text_of(THE_PROBLEMS)))
    assert not [key for key in leaves(Problem) if key.rpartition(".")[2] not in shown]


def parts_of_a_workload() -> list[str]:
    """The keys of a workload that problems/README.md shows one by one."""
    shown = [block for block in blocks(THE_PROBLEMS, "yaml") if "schema_version" not in block]
    return [part for block in shown for part in re.split(r"^(?=\w)", block, flags=re.M) if part]


@pytest.mark.parametrize("part", parts_of_a_workload(), ids=lambda part: part[:40].strip())
def test_a_part_of_a_problem_that_is_shown_alone_is_in_order(part):
    written = yaml.safe_load(part)
    workload = {
        "name": "chat",
        "llm": "llama-3.1-8b",
        "traffic": {"kind": "requests_per_second", "requests_per_second": 1},
        "requests": {"input_tokens": 1000, "output_tokens": 200},
    } | written
    if workload["traffic"]["kind"] == "trace":  # it brings the sizes of its requests
        del workload["requests"]
    document = yaml.safe_dump({"schema_version": 1, "workloads": [workload]})
    (read,) = load_problem("part.yaml", text=document).workloads
    assert {*written} <= read.model_fields_set


def test_the_readme_has_the_two_commands_that_ci_runs_and_the_script_gives_them():
    first, second = blocks(README, "sh")
    assert (readme.command(1), readme.command(2)) == (first, second)
    assert "milp-planner solve" in first
    assert "-m pytest" in second
    with pytest.raises(SystemExit, match=r"README\.md has 2 shell blocks, none with number 3"):
        readme.command(3)


def test_ci_takes_the_commands_from_the_readme_and_calls_every_script():
    ci = text_of(CI)
    assert "$(readme_command 1)" in ci
    assert 'readme.py --command "$1"' in ci
    assert "readme.py --command 2" in text_of(ROOT / "tests" / "scripts" / "test")
    assert "check_types_outside.py" in text_of(ROOT / "tests" / "scripts" / "check")
    for line in ("tests/scripts/check", "tests/scripts/readme.py --check", "tests/scripts/test"):
        assert re.search(rf"^[^#\n]*{re.escape(line)}$", ci, re.MULTILINE), line
    assert ci.splitlines()[-1] == "tests/scripts/test"  # pytest has the last word


def test_the_script_prints_a_command_where_nothing_is_installed():
    alone = [sys.executable, "-I", "-S", str(ROOT / "tests/scripts/readme.py"), "--command", "2"]
    ran = subprocess.run(alone, capture_output=True, encoding="utf-8", check=True)
    assert ran.stdout == blocks(README, "sh")[1]


def test_the_slow_tests_that_ci_leaves_out_exist():
    # pytest says nothing of a test to deselect that is not there, and would run the longest ones.
    left_out = re.findall(r"--deselect (\S+)::(\w+)", text_of(CI))
    assert len(left_out) == 15
    for file, name in left_out:
        found = {
            node.name: [ast.unparse(decorator) for decorator in node.decorator_list]
            for node in ast.parse(text_of(ROOT / file)).body
            if isinstance(node, ast.FunctionDef)
        }
        assert "pytest.mark.slow" in found[name], f"{file}::{name}"


# --- transcripts -------------------------------------------------------------------------------

TRANSCRIPTS = [transcript for document in DOCUMENTS for transcript in transcripts(document)]


@pytest.mark.slow
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=[one.command for one in TRANSCRIPTS])
def test_a_transcript_is_what_is_printed(transcript: Transcript):
    stale = readme.difference(transcript, readme.printed(transcript.command))
    assert not stale, f"{stale}\n\npython tests/scripts/readme.py prints it again"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (README, "milp-planner solve problems/quickstart.yaml"),
        (THE_QUESTIONS, "milp-planner what-if problems/quickstart.yaml --budget"),
        (THE_QUESTIONS, "milp-planner explain problems/quickstart.yaml --provider"),
        (THE_QUESTIONS, "milp-planner explain problems/quickstart.yaml --limits"),
        (THE_QUESTIONS, "milp-planner solve -"),
    ],
)
def test_every_question_has_a_transcript(document, words):
    assert any(one.document == document and words in one.command for one in TRANSCRIPTS)


HEAD = "Optimal plan: $4,212 per month      certified by CBC and HiGHS, gap 0 %, 0.3 s"
FOOT = "Solvers: CBC 2.10.3 optimal, HiGHS 1.13.1 optimal; 1 row. milp-planner 0.1.0."


@pytest.mark.parametrize(
    ("line", "now", "is_stale"),
    [
        (HEAD, HEAD.replace("0.3 s", "12.5 s"), False),
        (FOOT, FOOT.replace("1.13.1", "1.14.0").replace("0.1.0", "0.2.0"), False),
        (HEAD, HEAD.replace("4,212", "4,213"), True),
        (FOOT, FOOT.replace("1 row", "2 rows"), True),
        ("tpot 50 ms, ttft 2.0 s", "tpot 50 ms, ttft 3.0 s", True),  # no time of a solver
    ],
)
def test_a_transcript_is_stale_when_more_than_seconds_and_versions_differ(line, now, is_stale):
    shown = Transcript(README, "milp-planner solve", f"{line}\n")
    assert bool(readme.difference(shown, f"{now}\n")) is is_stale


def test_what_is_stale_is_written_again_and_the_rest_stays(tmp_path, monkeypatch):
    text = f"# One\n\n```\n$ first\n{HEAD}\n```\n\n```\n$ second\nold\n```\n\n```sh\nold\n```\n"
    document = tmp_path / "README.md"
    document.write_text(text, encoding="utf-8")
    today = {"first": f"{HEAD.replace('0.3 s', '9.9 s')}\n", "second": "new\n"}
    monkeypatch.setattr(readme, "printed", today.__getitem__)
    assert readme.rewritten(document) == text.replace("$ second\nold", "$ second\nnew")


def test_a_transcripts_command_that_fails_is_an_error_and_no_transcript():
    with pytest.raises(RuntimeError, match=r"exit code 2\n(.|\n)*no-such-file.yaml"):
        readme.printed("milp-planner solve no-such-file.yaml")


# --- lists ---------------------------------------------------------------------------------------


def test_every_rule_has_its_row_with_the_keys_that_it_reads():
    for rule in (*CONSTRAINTS, *DECIDED_BEFORE):
        shown = quoted(table_row(THE_MATHEMATICS, rule.name))
        assert not unnamed(rule.keys, shown), rule.name


def test_every_cost_term_has_its_row_with_the_keys_that_it_reads():
    for term in COST_TERMS:
        shown = quoted(table_row(THE_MATHEMATICS, term.name))
        assert not unnamed(term.keys, shown), term.name


def unnamed(keys: frozenset[str], shown: list[str]) -> set[str]:
    """The keys that are neither shown nor below one that is."""
    return {key for key in keys if not any(f"{key}.".startswith(f"{one}.") for one in shown)}


@pytest.mark.parametrize("folder", ["presolve", "engines"])
def test_every_file_that_solves_has_its_row(folder):
    files = (PACKAGE / "milp" / folder).glob("[!_]*.py")
    assert [table_row(THE_MATHEMATICS, file.name) for file in files]


def test_every_billing_and_status_is_among_the_words():
    statuses = [status.value for status in Status]
    assert not missing_from(README, [*BILLING_MODES, *statuses])


def test_every_command_has_its_row():
    for name in commands():
        assert re.search(rf"^\| `{name}[ `]", text_of(THE_COMMANDS), re.MULTILINE), name


def test_every_exit_code_has_its_row():
    shown = re.findall(r"^\| ([\d, ]+) \|", text_of(THE_COMMANDS), re.MULTILINE)
    assert {int(code) for codes in shown for code in codes.split(",")} == {*EXIT_CODES}


def folders_in_order() -> list[str]:
    """The folders of the package, lower layers first."""
    names = [name for wing in WINGS for name in wing]
    return [f"{name}/" for name in names if (PACKAGE / name).is_dir()]


@pytest.mark.parametrize("document", [THE_PACKAGE, CONTRIBUTING], ids=name_of)
def test_every_folder_of_the_package_is_named_in_the_order_of_imports(document):
    on_disk = {f"{file.parent.name}/" for file in PACKAGE.glob("*/__init__.py")}
    named = [name for name in dict.fromkeys(quoted(prose_of(document))) if name in on_disk]
    assert on_disk == {*folders_in_order()}
    assert named == folders_in_order()


def test_every_problem_catalog_file_and_benchmark_is_named():
    problems = [path.name for path in (ROOT / "problems").glob("*.yaml")]
    own = [path.stem for path in (ROOT / "problems" / "inference-atlas").glob("*.yaml")]
    assert not missing_from(THE_PROBLEMS, [*problems, *own])
    assert not [name for name in TABLES if f"**{name}**" not in text_of(THE_CATALOGS)]
    benchmarks = [path.name for path in (ROOT / "tests" / "benchmarks").glob("bench_*.py")]
    assert not [name for name in benchmarks if name not in text_of(THE_TESTS)]


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (.*)$", text_of(PACKAGE / "CHANGELOG.md"), re.MULTILINE)
    assert versions == [__version__, "0.1.0"]


# --- links, paths and commands -------------------------------------------------------------------


def links_of(document: Path) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(document)))


def anchors_of(document: Path) -> set[str]:
    """What links into a document may name: its headings as a reader of Markdown spells them."""
    headings = re.findall(r"^#+ (.*)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_between_documents_resolves(document):
    for link in links_of(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_document_can_be_reached_from_the_readme():
    reached, waiting = set(), [README]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        targets = {
            (document.parent / link.partition("#")[0]).resolve() for link in links_of(document)
        }
        waiting += [target for target in targets & {*DOCUMENTS} if target not in reached]
    assert reached == {*DOCUMENTS}


THE_USERS = (
    *("mine/", "FOLDER/", "problem.yaml", "result.json"),
    *("profile_export_aiperf.json", "benchmarks.json"),
)
"""Paths of files that a reader has, and this project has not."""


def paths_in(document: Path) -> Iterator[str]:
    """Paths that a document names: words in backticks that end as files or folders here do."""
    for word in (word for span in quoted(prose_of(document)) for word in span.split()):
        path = word.rstrip(",;:").partition("::")[0]
        if re.fullmatch(r"[\w.-][\w./-]*(/|\.(py|md|yaml|toml))", path):
            yield path


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_in_a_document_is_there(document):
    roots = (document.parent, ROOT, PACKAGE, *document.parent.glob("*/"), PACKAGE / "milp/program")
    for path in paths_in(document):
        assert path.startswith(THE_USERS) or any((at / path).exists() for at in roots), path


def below(command: Any) -> dict[str, Any]:
    """The commands of a group of commands; none of a plain one."""
    return getattr(command, "commands", {})


def commands() -> dict[str, Any]:
    """The commands of the command line, by name; not the old words, which are hidden."""
    shown = below(typer.main.get_command(app)).items()
    return {name: command for name, command in shown if not command.hidden}


def flags_of(command: Any) -> set[str]:
    """The options of a command and of all below it."""
    own = {flag for parameter in command.params for flag in parameter.opts}
    return own.union({"--help"}, *map(flags_of, below(command).values()))


def asked_of(line: str) -> Iterator[tuple[Any, set[str]]]:
    """The commands that a line of a document calls, with the options that it gives them."""
    for words in re.findall(r"milp-planner ([a-z-].*)", line):
        command = typer.main.get_command(app)
        for word in words.split():
            if word.startswith("-") or not below(command) or not word.islower():
                break
            assert word in below(command), line
            command = below(command)[word]
        yield command, set(re.findall(r"(?<!\S)--[a-z-]+", words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_in_a_document_exists_with_the_options_given(document):
    shell = [line for text in blocks(document, "sh") for line in text.split("&&")]
    shown = [one.command for one in transcripts(document)]
    for line in (*quoted(prose_of(document)), *shell, *shown):
        for command, flags in asked_of(line):
            assert flags <= flags_of(command), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_import_in_a_document_is_of_a_format_that_is_read(document):
    for prices, name in re.findall(
        r"`(?:milp-planner )?(catalog )?import ([a-z]+)", text_of(document)
    ):
        assert name in {*(CatalogFormat if prices else Peer)}, name


OF_OTHER_TOOLS = {"--strict", "--none-skipped", "--cov", "--cov-report", "--hypothesis-profile"}
OF_OTHER_TOOLS |= {"--save-result", "--max-concurrency"}  # of what `calibrate` reads


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_option_in_a_document_is_one_of_a_command(document):
    known = set().union(OF_OTHER_TOOLS, *map(flags_of, commands().values()))
    flags = re.findall(r"(?<!\S)--[a-z-]+", " ".join(quoted(prose_of(document))))
    assert {*flags} <= known


def test_every_option_in_the_table_of_commands_is_one_of_its_command():
    for name, command in commands().items():
        row = re.search(rf"^\| `{name}[ `].*$", text_of(THE_COMMANDS), re.MULTILINE)
        assert row is not None
        assert set(re.findall(r"--[a-z-]+", row[0])) <= flags_of(command), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_module_that_a_document_runs_is_there(document):
    for module in re.findall(r"python3? -m ([\w.]+)", text_of(document)):
        assert module in ("venv", "pytest") or importlib.util.find_spec(module), module
