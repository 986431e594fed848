"""Choices on an executor: those that ask the same travel together, so that it is solved once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Final

from milp_planner.candidates.listing import lister_of
from milp_planner.candidates.records import PlanningInput
from milp_planner.executors.parcels import Shared
from milp_planner.executors.processes import stop_here
from milp_planner.executors.side_by_side import side_by_side
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.records import Plan, Provenance
from milp_planner.questions.choices.records import Choice, ChoiceVerdict
from milp_planner.questions.choices.usual import OWN, USUAL, Asking
from milp_planner.solving.re_solve import Resolver
from milp_planner.solving.results import Settings

TOGETHER: Final = (
    "one_provider",
    "one_gpu_type",
    "one_provider_one_gpu_type",
    "fewest_providers",
)
"""Choices that look at one another's plans."""

Ask = Callable[[Asking, str], Choice | None]
"""Solves a choice by its key."""


@dataclass(frozen=True)
class _Sent(Shared):
    """One plan and what is solved beside it, on its way to workers."""

    instance: PlanningInput
    settings: Settings
    provenance: Provenance
    most_s: float
    plan: Plan
    listed: PlanningInput | None
    most_columns: int | None
    ask: Ask

    def spoken_of(self) -> Iterator[object]:
        """Candidates."""
        for one in (self.instance, self.listed):
            yield from () if one is None else one.candidates.every

    def asking(self) -> Asking:
        """What solves choices on this worker."""
        cancel = self.settings.cancel or stop_here()
        resolver = Resolver(
            self.instance,
            replace(self.settings, cancel=cancel),
            self.provenance,
            self.most_s,
            lister_of(self.instance.catalog),
        )
        resolver.knows_plan(self.plan)
        if self.listed is not None:
            resolver.knows(self.listed)
        return Asking(resolver, self.plan, self.listed, self.most_columns)


@dataclass(frozen=True)
class _Told:
    """What a worker says of a choice."""

    choice: Choice | None
    columns: int = 0
    """How much of a fixed limit on work it took."""


def choices_on(
    executor: Executor, asking: Asking, keys: Sequence[str], ask: Ask
) -> Iterator[Choice]:
    """The choices of these keys, each as soon as it is known; `ask` solves one, here or there.

    Where work is limited by its size they come in the order of their keys, and what no longer fits
    is asked here, as it is where all are. What no worker tells in time is asked here, too.
    """
    resolver = asking.resolver
    left_s = resolver.seconds_left
    ends_s = time.monotonic() + left_s  # which stays behind where a worker has another clock
    settings = replace(resolver.settings, time_limit_s=left_s, ends_s=ends_s)
    sent = _Sent(
        *(resolver.instance, settings, resolver.provenance, resolver.most_s, asking.plan),
        *(asking.listed, asking.most_columns, ask),
    )
    known: dict[str, _Told] = {}
    answers = side_by_side(executor, _told_there, sent, _tasks(keys), _lost, late=lambda _: {})
    while (told := _next_in_time(asking, answers)) is not None:
        known.update(told)
        if asking.most_columns is None:
            yield from (one.choice for one in told.values() if one.choice is not None)
    left = keys if asking.most_columns is not None else [key for key in keys if key not in known]
    for key in left:
        choice = _within_limit(asking, key, known.get(key), ask)
        if choice is not None:
            yield choice


def _next_in_time(asking: Asking, answers: Iterator[dict[str, _Told]]) -> dict[str, _Told] | None:
    """What the next worker tells; the deadline is not one of whoever reads on."""
    with asking.resolver.in_force():
        return next(answers, None)


def _within_limit(asking: Asking, key: str, told: _Told | None, ask: Ask) -> Choice | None:
    most = asking.most_columns
    if told is None or (most is not None and asking.columns + told.columns > most):
        return ask(asking, key)
    asking.columns += told.columns
    return told.choice


def _tasks(keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Keys that are asked by one worker; those that take longest begin first."""
    together = tuple(key for key in TOGETHER if key in keys)
    return [*([together] if together else []), *((key,) for key in keys if key not in together)]


def _told_there(sent: _Sent, keys: tuple[str, ...]) -> dict[str, _Told]:
    """What a worker says of a few choices."""
    asking, told = sent.asking(), {}
    for key in keys:
        asking.columns = 0
        choice = sent.ask(asking, key)
        told[key] = _Told(choice, asking.columns)
    return told


def _lost(keys: tuple[str, ...], why: str) -> dict[str, _Told]:
    """That nothing is known of choices whose worker died."""
    return {key: _Told(replace(_unknown(key), why=why)) for key in keys}


def _unknown(key: str) -> Choice:
    name = key.removeprefix(OWN)
    words = USUAL[key][0] if name == key else name
    return Choice(name, words, ChoiceVerdict.NOT_REACHED)
