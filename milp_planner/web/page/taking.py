"""Choices as new questions: what a problem must say for its plan to be what a choice buys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from milp_planner.errors import readable_path
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.sheet.other_parts import SheetChoice
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.choices.usual import LARGE_CLOUDS, RESERVED
from milp_planner.reporting.sheets.words import choice_row
from milp_planner.web.page.document import document_of, text_of, with_patch
from milp_planner.web.page.fields import FIELDS

Patch = dict[str, Any]
"""Values by dotted key of the problem."""


def _with_billings(problem: Problem, *billings: str) -> Patch:
    return {"limits.billing.allow": [*dict.fromkeys((*allowed_billings(problem), *billings))]}


PATCHES: Mapping[str, Callable[[Problem, SheetChoice, Sheet], Patch]] = {
    "one_provider": lambda p, c, s: {"limits.providers.max_count": 1},
    "fewest_providers": lambda p, c, s: {"limits.providers.max_count": int(c.detail or 1)},
    "one_gpu_type": lambda p, c, s: {"limits.gpus.max_count": 1},
    "one_provider_one_gpu_type": lambda p, c, s: {
        "limits.providers.max_count": 1,
        "limits.gpus.max_count": 1,
    },
    "large_clouds": lambda p, c, s: {"limits.providers.allow": [*LARGE_CLOUDS]},
    "one_region_group": lambda p, c, s: {"limits.regions.allow": [c.detail]},
    "survives_provider_loss": lambda p, c, s: {"limits.survive_loss_of": "provider"},
    "spot": lambda p, c, s: _with_billings(p, "spot"),
    "reservations": lambda p, c, s: _with_billings(p, *RESERVED),
    "switched_off_when_idle": lambda p, c, s: {"policy.switch_off_dedicated": True},
    "per_token": lambda p, c, s: {"limits.billing.allow": ["per_token"]},
}
"""By the key of a usual choice; what runs today, and halves of a workload, no limit stands for."""


def patches_of(problem: Problem, sheet: Sheet) -> Iterator[tuple[str, Patch]]:
    """(row of the sheet as it is shown, what it changes) of whatever can be taken."""
    for choice in sheet.choices or ():
        if choice.verdict == "found":
            if choice.key in PATCHES:
                yield choice_row(sheet, choice)[0], PATCHES[choice.key](problem, choice, sheet)
            elif choice.key in problem.choices.own:
                yield choice_row(sheet, choice)[0], dict(problem.choices.patch(choice.key))
    if sheet.diagnosis is not None:
        for change in sheet.diagnosis.changes:
            yield change.text, change.patch


def taken(base: str, text: str, patch: Patch) -> dict[str, Any]:
    """The question that a patch makes: fields to set, or the text of a new file.

    base: the file that the form began with; text: what its fields have made of it.
    """
    fields = {readable_path(field.at): name for name, field in FIELDS.items()}
    if not base and patch.keys() <= fields.keys():
        return {"fields": {fields[key]: _shown(value) for key, value in patch.items()}}
    return {"yaml": text_of(with_patch(document_of(text), patch))}


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
