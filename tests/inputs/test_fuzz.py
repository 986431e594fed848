"""Near-valid inputs of every kind: the only outcomes are a value or our error."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import (
    Catalog,
    InputError,
    Plan,
    PlanningInput,
    Problem,
    load_catalog,
    load_problem,
    prepare,
)
from milp_planner.cli import main
from milp_planner.cli.entry import wants_json
from milp_planner.cli.parts import exit_codes
from milp_planner.inputs.problem.load import load_named_catalog
from milp_planner.questions import solve as planner
from milp_planner.reporting.formats import FORMATS
from tests.support.examples import slow_tries, tries
from tests.support.spoilt.mutations import CELLS, FULL, TEXTS, documents, tables
from tests.support.toy import CATALOG, PROBLEM, ROOT

TODAY = date(2026, 11, 1)
SHIPPED = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "problems" / "inference-atlas").glob("*.yaml"))
}
QUICKSTART = yaml.safe_load((ROOT / "problems" / "quickstart.yaml").read_text(encoding="utf-8"))


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return load_catalog(lay(tmp_path_factory.mktemp("fuzz")) / "toy", as_of=TODAY)


@pytest.fixture(scope="module")
def atlas() -> Catalog:
    return load_catalog("inference-atlas")


def lay(folder: Path) -> Path:
    """The toy catalog and its problem in a folder."""
    (folder / "toy").mkdir()
    for name, content in CATALOG.items():
        (folder / "toy" / name).write_text(content, encoding="utf-8")
    (folder / "toy.yaml").write_text(PROBLEM, encoding="utf-8")
    return folder


def as_text(document: Any) -> str:
    """As a user would write it, or the next best."""
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def read(document: Any, catalog: Catalog) -> PlanningInput | None:
    """What the planner would start from; None where it refuses, as it should."""
    try:
        problem = load_problem("x.yaml", text=as_text(document))
        assert isinstance(problem, Problem)
        return prepare(problem, catalog)
    except InputError as error:
        check(error)
        return None


def check(error: InputError, *, in_a_file: bool = False) -> None:
    """Every fault says something, on one line and in characters that steer nothing."""
    assert error.faults
    for fault in error.faults:
        assert fault.message
        assert all(line.isprintable() for line in str(fault).split("\n"))
        assert fault.file or not in_a_file


# ---- problems


def test_the_good_document_is_good(toy):
    assert read(FULL, toy) is not None


@tries(3, suppress_health_check=CHECKS)
@given(document=documents(FULL))
def test_a_problem_with_something_wrong_is_prepared_or_refused(toy, document):
    read(document, toy)


@tries(1, suppress_health_check=CHECKS)
@given(document=st.sampled_from(sorted(SHIPPED)).flatmap(lambda name: documents(SHIPPED[name])))
def test_a_shipped_problem_with_something_wrong_is_prepared_or_refused(atlas, document):
    read(document, atlas)


@pytest.mark.slow
@slow_tries(0.6, suppress_health_check=CHECKS)
@given(document=documents(QUICKSTART))
def test_a_problem_of_the_market_with_something_wrong_is_prepared_or_refused(document):
    read(document, load_catalog("market"))


@tries(0.15, suppress_health_check=CHECKS)
@given(document=documents(FULL, most=1))
def test_what_is_prepared_is_planned_and_reported(toy, document):
    given_ = read(document, toy)
    if given_ is not None:
        plan = planner.solve(given_.problem, toy, alternatives=0)
        assert isinstance(plan, Plan)
        for write in FORMATS.values():
            assert "nan" not in write(plan).lower().split()


# ---- catalogs


@tries(1.5, suppress_health_check=CHECKS)
@given(name=st.sampled_from([n for n in CATALOG if n != "catalog.csv"]), data=st.data())
def test_a_catalog_with_something_wrong_is_read_or_refused(tmp_path_factory, name, data):
    folder = lay(tmp_path_factory.mktemp("c"))
    text = data.draw(tables(CATALOG[name]))
    (folder / "toy" / name).write_text(text, encoding="utf-8", newline="")
    try:
        catalog = load_catalog(folder / "toy", as_of=TODAY)
    except InputError as error:
        check(error, in_a_file=True)
        return
    read(yaml.safe_load(PROBLEM), catalog)


@tries(0.6, suppress_health_check=CHECKS)
@given(
    cells=st.lists(
        st.tuples(
            st.sampled_from(["name", "version", "date", "extends", "x"]), st.sampled_from(CELLS)
        ),
        max_size=3,
    )
)
def test_a_manifest_with_something_wrong_is_read_or_refused(tmp_path_factory, cells):
    folder = lay(tmp_path_factory.mktemp("m"))
    quoted = [f'{key},"{value.replace(chr(34), chr(34) * 2)}"' for key, value in cells]
    manifest = "\n".join(["field,value", *quoted]) + "\n"
    (folder / "toy" / "catalog.csv").write_text(manifest, encoding="utf-8", newline="")
    try:
        load_named_catalog(folder / "toy", as_of=TODAY)
    except InputError as error:
        check(error)


# ---- command lines

COMMANDS = [
    "solve",
    "check",
    "candidates",
    "schema",
    "catalog",
    "catalog list",
    "catalog show",
    "catalog check",
    "init",
    "",
]
FLAGS = [
    *("--json", "--quiet", "-q", "--help", "--debug", "--reproducible", "--require-optimal"),
    *("--fail-on-estimates", "--per-workload", "--all", "--version", "--nope", "--", "-", "-x"),
]
OPTIONS = [
    *("--format", "-f", "--output", "-o", "--time-limit", "--gap", "--alternatives", "--solver"),
    *("--differ-by", "--max-cost", "--max-price-age", "--as-of", "--overlay", "--catalog"),
    *("--workload", "-w", "--nope"),
]
WORDS = [
    *TEXTS,
    *("toy.yaml", "toy", "toy/gpus.csv", "nope.yaml", "-", "json", "csv", "text", "60s", "2min"),
    *("cbc", "highs", "both", "offerings", "llms", "20000", "60d", "market", "out.json", "nan"),
    *("\0", "\udcff", "\x1b[31m", "9" * 500, "--json", "/dev/null", "/"),
]


@pytest.fixture(scope="module")
def found_plan(toy) -> Plan:
    return planner.solve(load_problem("toy.yaml", text=PROBLEM), toy)


@tries(2, suppress_health_check=CHECKS)
@given(
    command=st.sampled_from(COMMANDS),
    file=st.sampled_from(["toy.yaml", "toy.yaml", "toy.yaml", *WORDS]),
    words=st.lists(
        st.one_of(
            st.sampled_from(FLAGS).map(lambda flag: (flag,)),
            st.tuples(st.sampled_from(OPTIONS), st.sampled_from(WORDS)),
            st.tuples(st.sampled_from(OPTIONS), st.text(max_size=6)),
        ),
        max_size=4,
    ),
)
def test_any_command_line_ends_in_a_documented_code(
    tmp_path_factory, monkeypatch, capsys, found_plan, command, file, words
):
    folder = lay(tmp_path_factory.mktemp("f"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(planner, "solve", lambda *given, **options: found_plan)
    arguments = [*command.split(), file, *(word for group in words for word in group)]
    before = {path.name: path.read_bytes() for path in (folder / "toy").iterdir()}
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code in exit_codes.EXIT_CODES
    assert code != exit_codes.BUG, err
    if "--debug" not in arguments:
        assert "Traceback" not in err
    if code != exit_codes.FOUND and wants_json(arguments):
        json.loads(out)
    assert {path.name: path.read_bytes() for path in (folder / "toy").iterdir()} == before
    assert (folder / "toy.yaml").read_text(encoding="utf-8") == PROBLEM
