"""Files are held against what each tool offers offline: schemas, loaders, lists of its fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from milp_planner import Plan
from tests.support.shown.exported import (
    API,
    JOINED,
    RESERVED,
    SPOT,
    bought,
    candidate,
    documents,
    fleet,
    mixed,
)

FIELDS = json.loads(Path("tests/data/exports/fields.json").read_text())
KUBERNETES = "1.37"
OWN_SCHEMAS = ("v1", "apps/v1", "autoscaling/v2")


def plans() -> dict[str, Plan]:
    return {
        "mixed": mixed(),
        "joined": fleet(bought(JOINED, 1, 1), bought(RESERVED, 2, 1)),
        "api": fleet(bought(SPOT, 2, 0), bought(API, 0, 0)),
    }


def written(name: str, folder: Path, *of: str) -> list[dict[str, Any]]:
    """The documents of a format, for the plans of these names."""
    for plan in of:
        plans()[plan].export(name, folder / plan)
    return [one for plan in of for one in documents(folder / plan)]


def at(document: Any, path: str) -> Iterator[Any]:
    """What stands at `spec.rules[].backendRefs[]`, once for each item."""
    if not path:
        yield document
        return
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    if not isinstance(document, dict) or name not in document:
        return
    for one in document[name] if first.endswith("[]") else [document[name]]:
        yield from at(one, rest)


def unknown_fields(kind: str, document: dict[str, Any]) -> list[str]:
    known = FIELDS[kind]
    keys = [
        f"{path}.{key}"
        for path, names in known["fields"].items()
        for part in at(document, path)
        for key in part
        if key not in names
    ]
    values = [
        f"{path}: {value}"
        for path, allowed in known["values"].items()
        for value in at(document, path)
        if value not in allowed
    ]
    return keys + values


@pytest.mark.parametrize(
    ("name", "kind", "of"),
    [
        ("kubernetes", "LeaderWorkerSet", ["joined"]),
        ("keda", "ScaledObject", ["mixed", "joined"]),
        ("karpenter", "NodePool", ["mixed", "joined"]),
        ("aibrix", "PodAutoscaler", ["mixed"]),
        ("httproute", "HTTPRoute", ["mixed", "api"]),
    ],
)
def test_resources_have_the_fields_of_their_kind(
    name: str, kind: str, of: list[str], tmp_path: Path
) -> None:
    found = [one for one in written(name, tmp_path, *of) if one["kind"] == kind]
    assert found
    assert [unknown_fields(kind, one) for one in found] == [[]] * len(found)


@pytest.mark.parametrize(
    ("name", "kind", "of"),
    [
        ("llm-d", "llm-d-modelservice", ["mixed", "joined"]),
        ("production-stack", "production-stack", ["mixed"]),
        ("dynamo", "PlannerConfig", ["mixed", "joined"]),
        ("litellm", "litellm", ["mixed", "api"]),
    ],
)
def test_values_have_the_fields_of_their_tool(
    name: str, kind: str, of: list[str], tmp_path: Path
) -> None:
    found = written(name, tmp_path, *of)
    assert found
    assert [unknown_fields(kind, one) for one in found] == [[]] * len(found)


def test_a_field_that_is_not_there_is_seen() -> None:
    spoilt = {"spec": {"triggers": [], "minReplicas": 1}}
    assert unknown_fields("ScaledObject", spoilt) == ["spec.minReplicas"]
    assert unknown_fields("PlannerConfig", {"mode": "both"}) == ["mode: both"]


@pytest.mark.parametrize("name", ["kubernetes", "hpa", "aibrix"])
def test_kubernetes_own_schemas_take_the_manifests(name: str, tmp_path: Path) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="needs '.[exports]'")
    of = ["mixed"] if name == "aibrix" else ["mixed", "joined"]
    found = [one for one in written(name, tmp_path, *of) if one["apiVersion"] in OWN_SCHEMAS]
    assert len(found) > 2
    for one in found:
        validator.validate(one, KUBERNETES, strict=True)
    spoilt = {**found[0], "spec": {**found[0]["spec"], "replica": 1}}
    with pytest.raises(validator.ValidationError):
        validator.validate(spoilt, KUBERNETES, strict=True)


def test_pods_of_a_group_are_pods(tmp_path: Path) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="needs '.[exports]'")
    (group,) = (
        d for d in written("kubernetes", tmp_path, "joined") if d["kind"] == "LeaderWorkerSet"
    )
    for role in ("leader", "worker"):
        pod = group["spec"]["leaderWorkerTemplate"][f"{role}Template"]
        whole = {"apiVersion": "v1", "kind": "Pod", **pod}
        whole["metadata"] = {**pod["metadata"], "name": "one"}
        validator.validate(whole, KUBERNETES, strict=True)


def test_dstack_loads_fleets_and_services(tmp_path: Path) -> None:
    models = pytest.importorskip(
        "dstack._internal.core.models.configurations", reason="needs '.[exports]'"
    )
    found = written("dstack", tmp_path, "mixed")
    kinds = [models.parse_apply_configuration(one).type for one in found]
    assert sorted(kinds) == ["fleet"] * 3 + ["service"] * 3


def test_skypilot_loads_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # it keeps its state there
    monkeypatch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    sky = pytest.importorskip("sky", reason="needs '.[exports]'")
    from sky.serve import serve_utils

    elsewhere = candidate("gcp", "g2-standard-48", "l40s-48gb", 4, 4, rate=1.0)
    plan = fleet(bought(RESERVED, 1, 1), bought(SPOT, 3, 0), bought(elsewhere, 1, 1))
    counted = replace(plan, workloads=(replace(plan.workloads[0], unit="tokens/s"),))
    for name, one in (("rates", plan), ("tokens", counted)):
        one.export("skyserve", tmp_path / name)
        files = sorted((tmp_path / name).glob("*.yaml"))
        tasks = {f.stem: sky.Task.from_yaml_config(yaml.safe_load(f.read_text())) for f in files}
        for task in tasks.values():
            serve_utils.validate_service_task(task, pool=False)  # as `sky serve up` does
        assert tasks["chat-l40s-48gb"].service.max_replicas == 4
        assert tasks["chat-l40s-48gb-at-1"].service.min_replicas == 1
        assert len(tasks["chat-l40s-48gb"].resources) == 2
