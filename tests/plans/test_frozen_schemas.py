"""The schemas that are shipped as files: what programs that read documents may build on.

A key that goes, or changes its type, needs the next version and a file of its own; one that is
added is written with `--update-golden`, into the file of the version that has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import milp_planner
from milp_planner import calendar_schema, plan_schema, sheet_schema, solve
from milp_planner.cli import main
from milp_planner.plans.calendars.records import CALENDAR_VERSION
from milp_planner.plans.document import DOCUMENT_VERSION
from milp_planner.plans.sheet.records import SHEET_VERSION
from tests.support.builders import big_and_small, problem

FOLDER = Path(milp_planner.__file__).parent / "plans" / "schemas"
Schema = dict[str, Any]

SHIPPED = {
    "plan": (plan_schema, DOCUMENT_VERSION),
    "sheet": (sheet_schema, SHEET_VERSION),
    "calendar": (calendar_schema, CALENDAR_VERSION),
}


def keys_of(schema: Schema, part: Schema | None = None, path: str = "") -> Iterator[str]:
    """`purchases[].units: integer`, and so on: every key, where it is and what it holds."""
    part = schema if part is None else part
    if "$ref" in part:
        yield from keys_of(schema, schema["$defs"][part["$ref"].rsplit("/", 1)[1]], path)
        return
    for way in part.get("anyOf", ()):
        yield from keys_of(schema, way, path)
    if "items" in part:
        yield from keys_of(schema, part["items"], f"{path}[]")
    if isinstance(part.get("additionalProperties"), dict):
        yield from keys_of(schema, part["additionalProperties"], f"{path}{{}}")
    for name, inner in part.get("properties", {}).items():
        yield from keys_of(schema, inner, f"{path}.{name}")
    if "anyOf" not in part:
        held = part.get("enum", [part["const"]] if "const" in part else "")
        yield f"{path}: {part.get('type', 'anything')} {held}".rstrip()


def needed(schema: Schema) -> set[str]:
    """Every key with what it holds."""
    return set(keys_of(schema))


@pytest.mark.parametrize("name", SHIPPED)
def test_no_key_changes_without_a_version(name: str, update_golden: bool) -> None:
    make, version = SHIPPED[name]
    file = FOLDER / f"{name}-{version}.json"
    frozen = json.loads(file.read_text()) if file.exists() else {}
    lost = needed(frozen) - needed(make()) if frozen else set()
    assert not lost, f"{name} {version} has these no more, or otherwise: raise its version"
    if update_golden:
        file.write_text(json.dumps(make(), indent=1) + "\n")
        return
    assert needed(frozen) == needed(make()), f"{file.name} lacks keys: write it, --update-golden"


def without(schema: Schema) -> None:
    del schema["properties"]["name"]


def otherwise(schema: Schema) -> None:
    schema["properties"]["name"]["type"] = "integer"


@pytest.mark.parametrize("change", [without, otherwise])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_key_that_goes_or_changes_is_seen(name: str, change: Callable[[Schema], None]) -> None:
    make, _ = SHIPPED[name]
    changed = make()
    change(changed)
    assert needed(make()) - needed(changed)


def test_a_key_deep_inside_is_seen() -> None:
    changed = sheet_schema()
    del changed["$defs"]["TrafficPoint"]["properties"]["fleet"]
    assert needed(sheet_schema()) - needed(changed) == {".traffic.points[].fleet: string"}


def test_a_plan_keeps_to_its_schema_and_no_other_version_does() -> None:
    document = json.loads(json.dumps(solve(problem(13), big_and_small()).to_dict()))
    validator = jsonschema.Draft202012Validator(plan_schema())
    validator.validate(document)
    assert not validator.is_valid({**document, "document_version": 2})
    assert not validator.is_valid({**document, "nonsense": 1})


@pytest.mark.parametrize("name", SHIPPED)
def test_the_command_prints_each_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--of", name]) == 0
    assert json.loads(capsys.readouterr().out) == SHIPPED[name][0]()
