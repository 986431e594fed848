"""Choices and levers as new questions: what a problem must say to have such a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.comparisons import WIDER_KEYS
from milp_planner.inputs.problem.patching import Patch, steps_of
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.plans.sheet.other_parts import SheetChoice
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.choices.usual import LARGE_CLOUDS, RESERVED
from milp_planner.reporting.sheets.words import choice_row
from milp_planner.web.page.document import document_of, text_of, with_patch
from milp_planner.web.page.fields import FIELDS, Steps, shown, value_at


@dataclass(frozen=True)
class Taking:
    """A sheet, and the question and catalog that it is of."""

    problem: Problem
    catalog: Catalog
    sheet: Sheet
    patches: Mapping[str, Patch] = field(default_factory=dict)
    """What each lever changes, by its name."""

    def rows(self) -> Iterator[tuple[str, Patch]]:
        """(row of the sheet as it is shown, what it changes) of whatever can be taken."""
        for row, _, patch in self._choices():
            if patch:
                yield row, patch
        if self.sheet.diagnosis is not None:
            for change in self.sheet.diagnosis.changes:
                yield change.text[:1].upper() + change.text[1:], change.patch

    def levers(self) -> Iterator[tuple[str, Patch]]:
        """The same of what would lower the cost."""
        for lever in self.sheet.levers or ():
            if lever.name in self.patches:
                yield lever.name, self.patches[lever.name]

    def untaken(self) -> Iterator[tuple[str, str]]:
        """(row of the sheet, why no problem says it) of the other choices."""
        for row, choice, patch in self._choices():
            if not patch:
                yield row, NOT_SAID.get(choice.key, OWN_WIDER)

    def _choices(self) -> Iterator[tuple[str, SheetChoice, Patch | None]]:
        for choice in self.sheet.choices or ():
            if choice.verdict == "found":
                yield choice_row(self.sheet, choice)[0], choice, self._patch(choice)

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
"""By the key of a usual choice."""

NOT_SAID: Mapping[str, str] = {
    "one_region_group": "the problem names its places itself",
    "half_per_token": "no key of a problem sends half to an API",
    "todays_fleet": "no key of a problem holds on to a fleet; milp-planner evaluate judges it",
    "todays_bill": "a bill says no fleet; written as the budget, it binds",
}
"""Why a choice cannot be taken, by its key."""

OWN_WIDER = "it changes more than keys of a problem"
"""Of one's own choice with traffic, prices or a budget as scenarios have them."""


def taken(base: str, text: str, patch: Patch) -> dict[str, Any]:
    """The question that a patch makes: fields to set, or the text of a new file.

    base: the file that the form began with; text: what its fields have made of it.
    """
    document = document_of(text)
    fields = {one.at: name for name, one in FIELDS.items()}
    said = {steps_of(Problem, document, key): value for key, value in patch.items()}
    places = {at: value for at, value in said.items() if not _is_unsaid(document, at, value)}
    if not base and places.keys() <= fields.keys():
        return {"fields": {fields[at]: shown(value) or "" for at, value in places.items()}}
    return {"yaml": text_of(with_patch(document, patch))}


def _is_unsaid(document: dict[str, Any], at: Steps, value: Any) -> bool:
    """Whether a key is taken out that is not there; a limit of no names is none."""
    is_none = value is None or (value == [] and at[0] == "limits")
    return is_none and value_at(document, at) is None
