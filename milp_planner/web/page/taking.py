"""Choices as new questions: what a problem must say for its plan to be what a choice buys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from milp_planner.errors import readable_path
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.comparisons import WIDER_KEYS
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.sheet.other_parts import SheetChoice
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.choices.usual import LARGE_CLOUDS, RESERVED
from milp_planner.reporting.sheets.words import choice_row
from milp_planner.web.page.document import document_of, text_of, with_patch
from milp_planner.web.page.fields import FIELDS, shown

Patch = dict[str, Any]
"""Values by dotted key of the problem."""


@dataclass(frozen=True)
class Taking:
    """A sheet, and the question and catalog that it is of."""

    problem: Problem
    catalog: Catalog
    sheet: Sheet

    def rows(self) -> Iterator[tuple[str, Patch]]:
        """(row of the sheet as it is shown, what it changes) of whatever can be taken."""
        for choice in self.sheet.choices or ():
            patch = self._patch(choice) if choice.verdict == "found" else None
            if patch:
                yield choice_row(self.sheet, choice)[0], patch
        if self.sheet.diagnosis is not None:
            for change in self.sheet.diagnosis.changes:
                yield change.text[:1].upper() + change.text[1:], change.patch

    def _patch(self, choice: SheetChoice) -> Patch | None:
        if choice.key in self.problem.choices.own:
            plain = not {*WIDER_KEYS} & self.problem.choices.own[choice.key].keys()
            return dict(self.problem.choices.patch(choice.key)) if plain else None
        make = PATCHES.get(choice.key)
        return None if make is None else make(self, choice)

    def more_billings(self, *billings: str) -> Patch:
        """More ways to pay than the problem allows."""
        return {
            "limits.billing.allow": [*dict.fromkeys((*allowed_billings(self.problem), *billings))]
        }

    def large_clouds(self) -> Patch:
        """Those of them that the problem lets through."""
        through = self.problem.limits.providers.allow or ("*",)
        names = [name for name in LARGE_CLOUDS if name in self.catalog.providers]
        kept = [name for name in names if any(fnmatchcase(name, glob) for glob in through)]
        return {"limits.providers.allow": kept}

    def region_group(self, group: str) -> Patch | None:
        """Nothing where the problem names places itself: one of them may be in another group."""
        named = self.problem.limits.regions.allow
        return None if named else {"limits.regions.allow": [group]}


PATCHES: Mapping[str, Callable[[Taking, SheetChoice], Patch | None]] = {
    "one_provider": lambda t, c: {"limits.providers.max_count": 1},
    "fewest_providers": lambda t, c: {"limits.providers.max_count": int(c.detail or 1)},
    "one_gpu_type": lambda t, c: {"limits.gpus.max_count": 1},
    "one_provider_one_gpu_type": lambda t, c: {
        "limits.providers.max_count": 1,
        "limits.gpus.max_count": 1,
    },
    "large_clouds": lambda t, c: t.large_clouds(),
    "one_region_group": lambda t, c: t.region_group(c.detail),
    "survives_provider_loss": lambda t, c: {"limits.survive_loss_of": "provider"},
    "spot": lambda t, c: t.more_billings("spot"),
    "reservations": lambda t, c: t.more_billings(*RESERVED),
    "switched_off_when_idle": lambda t, c: {"policy.switch_off_dedicated": True},
    "per_token": lambda t, c: {"limits.billing.allow": ["per_token"]},
}
"""By the key of a usual choice; what runs today, and halves of a workload, no limit stands for."""


def taken(base: str, text: str, patch: Patch) -> dict[str, Any]:
    """The question that a patch makes: fields to set, or the text of a new file.

    base: the file that the form began with; text: what its fields have made of it.
    """
    fields = {readable_path(field.at): name for name, field in FIELDS.items()}
    if not base and patch.keys() <= fields.keys():
        return {"fields": {fields[key]: shown(value) or "" for key, value in patch.items()}}
    return {"yaml": text_of(with_patch(document_of(text), patch))}
