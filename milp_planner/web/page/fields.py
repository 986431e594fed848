"""The fields of the form, and where in a problem each of them stands.

To add one, name it in `FIELDS` and give it an input in `templates/form.html`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.errors import Fault, readable_path
from milp_planner.inputs.one_line import VOLUMES, WORDS
from milp_planner.lazily import dataclass

Steps = tuple[str | int, ...]

TRAFFIC: Steps = ("workloads", 0, "traffic")


@dataclass(frozen=True)
class Field:
    """One input of the form."""

    at: Steps
    is_list: bool = False


def _word(name: str) -> Field:
    return Field(WORDS[name].at, WORDS[name].is_list)


FIELDS: Mapping[str, Field] = {
    **{name: _word(name) for name in ("catalog", "llm", "precision", *VOLUMES)},
    **{name: _word(name) for name in ("tokens_per_s", "pattern")},
    "hours": Field((*TRAFFIC, "weights"), is_list=True),
    "trace": Field((*TRAFFIC, "file")),
    **{name: _word(name) for name in ("input", "output", "tpot", "ttft", "budget")},
    "when_short": Field(("limits", "budget", "when_short")),
    "providers": _word("providers"),
    "max_providers": Field(("limits", "providers", "max_count")),
    "region": _word("region"),
    "gpus": _word("gpus"),
    "max_gpu_types": Field(("limits", "gpus", "max_count")),
    "billing": Field(("limits", "billing", "allow"), is_list=True),
    "survive_loss_of": _word("survive_loss_of"),
    "switch_off": Field(("policy", "switch_off_dedicated")),
    "today": _word("today"),
}
"""Every field, in the order of a problem file. Those of one line have the names that it has."""

OF_TRAFFIC = (*VOLUMES, "tokens_per_s", "pattern", "hours", "trace")
"""Fields that say together which kind of traffic it is."""

KINDS = {**VOLUMES, "hours": "profile", "trace": "trace"}
"""The kind of traffic that each of them stands for; the later ones say more."""

KEPT = ("growth", "burstiness")
"""Keys of a traffic that every kind has."""


OTHERWISE = object()
"""Stands for a value that is said in a way that no field of the form has."""


def at_a_field(fault: Fault) -> str:
    """The field whose value a fault is about; '' for one of something else."""
    found = [name for name, field in FIELDS.items() if _is_at(fault.path, readable_path(field.at))]
    return found[0] if found else ""


def _is_at(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def texts_of(document: Mapping[str, Any]) -> dict[str, str]:
    """What each field shows of a document; fields that cannot show what is there are left out."""
    return dict(_texts_of(document))


def _texts_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, field in FIELDS.items():
        value = value_at(document, field.at)
        text, is_list = shown(value), isinstance(value, list)
        if text is not None and (field.is_list or not is_list):
            yield name, text


def shown(value: Any) -> str | None:
    """`[eu, us]` as `eu, us`, `5760.0` as `5760`; None for what one line cannot show."""
    if isinstance(value, list | tuple):
        parts = [None if isinstance(part, list) else shown(part) for part in value]
        return None if None in parts else ", ".join(map(str, parts))
    if isinstance(value, Mapping) or value is OTHERWISE:
        return None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def value_at(document: Any, at: Sequence[str | int]) -> Any:
    """What stands there; None where nothing does, `OTHERWISE` where it is said another way."""
    for step in at:
        if document is None:
            return None
        if isinstance(step, int):
            is_there = isinstance(document, list) and step < len(document)
            document = document[step] if is_there else OTHERWISE
        else:
            document = document.get(step) if isinstance(document, Mapping) else OTHERWISE
        if document is OTHERWISE:
            return OTHERWISE
    return document
