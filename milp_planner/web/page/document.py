"""The problem that a form stands for: the file it began with, and what its fields say instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from milp_planner.errors import Fault, InputError, input_error, readable_path
from milp_planner.inputs.one_line import NAME, USUAL_SIZES, VOLUMES
from milp_planner.inputs.problem.patching import steps_of
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.web.asking.questions import SENT
from milp_planner.web.page.fields import (
    FIELDS,
    KEPT,
    KINDS,
    OF_TRAFFIC,
    TRAFFIC,
    Steps,
    texts_of,
    value_at,
)


class Said(str):
    """A value as a person wrote it: whether it is a number is for the reader of the file to say."""


Fields = Mapping[str, str]
"""Texts by the names of `FIELDS`; an empty one takes the key out."""

_WRITTEN = re.compile(r"[A-Za-z0-9$.][\w.%/+-]*", re.ASCII)
_OTHER_THAN_TEXT = re.compile(
    r"true|false|null|yes|no|on|off|y|n|\.?nan|[-+]?\.?inf|[-+]?[0-9.][0-9._]*(e[-+]?[0-9]+)?|0[xo]\w+",
    re.IGNORECASE,
)

FIRST_KEYS = ("schema_version", "name", "catalog")
IN_THE_FILE = "change it in the file itself"

BLOCKS = ("limits", "policy", "solver", "prices", "alternatives", "choices")
"""Keys whose own keys stand on lines of their own."""


def document_of(text: str) -> dict[str, Any]:
    """The keys of a problem file; those of a new one where there is none. Raises InputError."""
    if not text.strip():
        return {"schema_version": 1}
    data = read_yaml(SENT, text=text).data
    return deepcopy(data) if isinstance(data, dict) else {}


def with_fields(document: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The document with what the fields say.

    Raises InputError where they say twice, or nowhere, how much is asked.
    """
    changed = deepcopy(dict(document))
    if "workloads" not in changed:
        changed["workloads"] = [{"name": NAME}]
    for name in FIELDS:
        if name == OF_TRAFFIC[0]:
            _put_traffic(changed, fields)
        is_kept = name in OF_TRAFFIC or (name in USUAL_SIZES and fields.get("trace"))
        if is_kept or name not in fields:
            continue
        field, text = FIELDS[name], fields[name]
        parts = [Said(part.strip()) for part in text.split(",") if part.strip()]
        put(changed, field.at, (parts if field.is_list else Said(text.strip())) or None)
    if not document.get("workloads"):
        for name, tokens in USUAL_SIZES.items():
            if not fields.get(name) and not fields.get("trace"):
                put(changed, FIELDS[name].at, Said(tokens))
    return {key: changed[key] for key in (*FIRST_KEYS, *changed) if key in changed}


def with_patch(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document with values by dotted key, as `Problem.changed` takes them."""
    changed = deepcopy(dict(document))
    for key, value in patch.items():
        for at, one in _single(steps_of(Problem, changed, key), value):
            put(changed, at, one)
    return changed


def _single(at: Steps, value: Any) -> Iterator[tuple[Steps, Any]]:
    """Values one by one: keys beside those of a patch stay."""
    if not isinstance(value, Mapping) or not value:
        yield at, value
        return
    for key, inner in value.items():
        yield from _single((*at, key), inner)


def put(document: dict[str, Any], at: Steps, value: Any) -> None:
    """Write a value there; None takes it out, with keys around it that hold nothing more."""
    around: list[tuple[Any, str | int]] = []
    here: Any = document
    for step, following in zip(at, (*at[1:], None), strict=True):
        around.append((here, step))
        if following is None:
            break
        inner = here.get(step) if isinstance(here, dict) else here[step]
        if isinstance(inner, list) != isinstance(following, int) and inner is not None:
            readable = readable_path(at)
            raise input_error("is said another way in the file", path=readable, hint=IN_THE_FILE)
        if not isinstance(inner, dict | list):
            if value is None:
                return
            inner = here[step] = {}
        here = inner
    if value is not None:
        here[at[-1]] = value
        return
    for holder, step in reversed(around):
        if not isinstance(holder, dict):
            return
        holder.pop(step, None)
        if holder:
            return


def _put_traffic(document: dict[str, Any], fields: Fields) -> None:
    """The traffic that the fields stand for together: one kind has not the keys of another."""
    before = value_at(document, TRAFFIC)
    before = before if isinstance(before, dict) else {}
    said = {name: texts_of(document).get(name, "") for name in OF_TRAFFIC if before}
    said |= {name: text.strip() for name, text in fields.items() if name in OF_TRAFFIC}
    if before and not fields.keys() & set(OF_TRAFFIC):
        return
    volumes = [name for name in VOLUMES if said.get(name)]
    kind = next((KINDS[n] for n in ("trace", "hours") if said.get(n)), "")
    if not kind and len(volumes) != 1:
        every = ", ".join(VOLUMES)
        text = f"only one of {every} can be said" if volumes else "how much is asked?"
        raise InputError([Fault("", 0, 0, "", text, "" if volumes else "write an amount")])
    kind = kind or VOLUMES[volumes[0]]
    traffic: dict[str, Any] = {"kind": kind}
    traffic |= before if before.get("kind") == kind else {k: before[k] for k in KEPT if k in before}
    for name in OF_TRAFFIC:
        key = str(FIELDS[name].at[-1])
        traffic.pop(key, None)
        if said.get(name) and _belongs(name, kind):
            parts = [Said(part) for part in re.split(r"[,\s]+", said[name]) if part]
            traffic[key] = parts if FIELDS[name].is_list else Said(said[name])
    workload = document["workloads"][0]
    if kind == "trace":
        workload.pop("requests", None)  # a trace brings its own
    workload["traffic"] = traffic


def _belongs(name: str, kind: str) -> bool:
    """Whether a field is shown beside that kind of traffic; what is not shown says nothing."""
    if name in ("hours", "trace"):
        return KINDS[name] == kind
    if name == "pattern":
        return kind in ("tokens_per_day", "tokens_per_month")
    if name == "tokens_per_s":
        return kind == "concurrent_users"
    return kind != "trace"


# ---- as text


def text_of(document: Mapping[str, Any]) -> str:
    """The document as a problem file."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        if key == "workloads" and isinstance(value, list) and all(map(_is_keys, value)):
            yield "workloads:"
            for workload in value:
                for number, (inner, inside) in enumerate(workload.items()):
                    yield f"{'    ' if number else '  - '}{_flow(inner)}: {_flow(inside)}"
        elif key in BLOCKS and _is_keys(value):
            yield f"{key}:"
            yield from (f"  {_flow(inner)}: {_flow(inside)}" for inner, inside in value.items())
        else:
            yield f"{_flow(key)}: {_flow(value)}"


def _is_keys(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _flow(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, Said):
        return str(value) if _WRITTEN.fullmatch(value) else json.dumps(value)
    if isinstance(value, str):
        is_plain = _WRITTEN.fullmatch(value) and not _OTHER_THAN_TEXT.fullmatch(value)
        return value if is_plain else json.dumps(value)
    return json.dumps(value)
