"""Same inputs, same bytes: whatever the hash seed, the order of files and rows, or the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from milp_planner.solving import optimum
from tests.support.builders import OF_ONE_MONTH
from tests.support.toy import CATALOG, ENVIRONMENT, PROBLEM, ROOT

pytest_plugins = ["tests.support.toy_cli"]

SHIPPED = ROOT / "problems" / "quickstart.yaml"

RUN_ALL = """
import sys
from milp_planner.cli import main
for file in sys.argv[1:]:
    for command in (
        ["solve", file, "--reproducible"],
        ["solve", file, "--reproducible", "--format", "csv"],
        ["solve", file, "--reproducible", "--json"],
        ["check", file, "--json"],
        ["candidates", file, "--all"],
        ["candidates", file, "--json"],
    ):
        print(command[0], main(command))
main(["catalog", "list", "offerings", "--json"])
main(["schema"])
"""


WITHOUT_CHOICES = RUN_ALL.replace('"--reproducible"],', '"--reproducible", "--no-choices"],', 1)
"""For all shipped problems: their choices and levers are hundreds of programs."""


NOW = str(int(time.time()))
"""Of all runs, or midnight makes every price a day older between two of them."""


def output_of(folder: Path, hash_seed: str, *files: str, run: str = RUN_ALL) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", run, *files],
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONHASHSEED": hash_seed, "SOURCE_DATE_EPOCH": NOW},
        capture_output=True,
        timeout=600,  # a hung process ends; a busy machine may take minutes
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_no_output_depends_on_the_hash_seed(folder):
    """Two processes with other hash seeds: every report of a toy."""
    first = output_of(folder, "0", "toy.yaml")
    assert first.count(b"solve 0\n") == 3
    assert output_of(folder, "4242", "toy.yaml") == first


@pytest.mark.slow
def test_the_quickstarts_sheet_does_not_depend_on_the_hash_seed(folder):
    one, other = (output_of(folder, seed, str(SHIPPED)) for seed in ("0", "4242"))
    assert one == other


@pytest.mark.slow
def test_no_shipped_problem_depends_on_the_hash_seed(folder):
    files = [*map(str, OF_ONE_MONTH)]
    one, other = (output_of(folder, seed, *files, run=WITHOUT_CHOICES) for seed in ("1", "77"))
    assert one == other


FORMATS = [("--json",), ("--format", "csv"), ()]


@pytest.mark.parametrize("options", FORMATS, ids=lambda words: " ".join(words) or "text")
def test_two_runs_of_one_process_say_the_same(run, options):
    arguments = ("solve", "toy.yaml", "--reproducible", *options)
    assert run(*arguments) == run(*arguments)


def test_the_order_in_which_a_folder_lists_its_files_does_not_matter(run, folder, monkeypatch):
    arguments = ("solve", "toy.yaml", "--reproducible", "--json")
    expected = run(*arguments)
    listed = Path.iterdir
    for order in (sorted, lambda paths: sorted(paths, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda self, order=order: iter(order(listed(self))))
        assert run(*arguments) == expected


def test_the_order_of_rows_and_columns_changes_nothing_but_the_catalogs_hash(run, folder):
    arguments = ("solve", "toy.yaml", "--reproducible", "--json", "--alternatives", "3")
    expected = json.loads(run(*arguments)[1])
    for name, content in CATALOG.items():
        if name == "catalog.csv":
            continue
        head, *rows = (line.split(",") for line in content.splitlines())
        lines = [",".join(reversed(row)) for row in (head, *reversed(rows))]
        (folder / "toy" / name).write_text("\n".join(lines) + "\n")
    found = json.loads(run(*arguments)[1])
    assert found["provenance"]["catalog"].pop("sha256") != (
        expected["provenance"]["catalog"].pop("sha256")
    )
    assert found == expected


def test_the_layout_of_a_problem_changes_nothing(run, folder):
    data = yaml.safe_load(PROBLEM)
    other = {key: data[key] for key in reversed(data)}
    other["workloads"] = [{key: w[key] for key in reversed(w)} for w in data["workloads"]]
    (folder / "other.yaml").write_text("# a note\n" + json.dumps(other, indent=1))
    options = ("--reproducible", "--json")
    assert run("solve", "other.yaml", *options) == run("solve", "toy.yaml", *options)


@pytest.mark.slow
def test_neither_the_locale_nor_the_time_zone_nor_the_folder_is_seen(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    command = [sys.executable, "-m", "milp_planner", "solve", "--reproducible", "-q"]
    here = subprocess.run(
        [*command, "toy.yaml"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True
    )
    odd = {**ENVIRONMENT, "LC_ALL": "C.UTF-8", "TZ": "Pacific/Kiritimati", "COLUMNS": "40"}
    there = subprocess.run(
        [*command, os.path.relpath(folder / "toy.yaml", elsewhere)],
        cwd=elsewhere,
        env=odd,
        capture_output=True,
        check=True,
    )
    assert there.stdout == here.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sheet", "json"])
def test_reproducible_plans_wait_for_the_slower_engine_and_others_do_not(run, monkeypatch, form):
    certified, patient = optimum.solve_certified, []

    def noted(*given, **asked):
        patient.append(asked["patient"])
        return certified(*given, **asked)

    monkeypatch.setattr(optimum, "solve_certified", noted)
    assert run("solve", "toy.yaml", "--format", form, "--reproducible")[0] == 0
    assert set(patient) == {True}
    patient.clear()
    assert run("solve", "toy.yaml", "--format", form)[0] == 0
    assert set(patient) == {False}
