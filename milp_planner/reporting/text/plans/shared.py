"""Which replicas stand on which of the units that they share."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.sharing.shared_units import Contents, SharedUnits, gpus_on
from milp_planner.candidates.sharing.standing import part_words
from milp_planner.plans.records import Plan
from milp_planner.reporting.text.wording import columns, count, escape, plural, usd


def shared_lines(plan: Plan) -> list[str]:
    """A table of the units, or nothing where none are shared."""
    if not plan.shared_units:
        return []
    head = ["shared units", "each holds", "idle GPUs", "rent"]
    rows = [row for one in plan.shared_units for row in _rows(plan, one)]
    return columns([head, *rows], "<<>>")


def _rows(plan: Plan, one: SharedUnits) -> Iterator[list[str]]:
    k = one.candidate
    rent = usd(one.rent_usd_per_month)
    for blocks, units, contents in one.alike:
        at = "" if len(blocks) == len(plan.blocks) else f" in {_names(plan, blocks)}"
        unit = f"{count(units)} x {k.gpus_per_unit} x {escape(k.gpu)}, {escape(k.offering.id)}{at}"
        yield [unit, _stands(contents), count(k.gpus_per_unit - gpus_on(contents)), rent]
        rent = ""


def _names(plan: Plan, blocks: tuple[int, ...]) -> str:
    names = [escape(plan.blocks[t].name) for t in blocks]
    return names[0] if len(names) == 1 else f"{names[0]} and {plural(len(names) - 1, 'more block')}"


def _stands(contents: Contents) -> str:
    return ", ".join(
        f"{escape(k.workload)} {replicas} x {f'{escape(k.llm)} ' if k.llm else ''}"
        f"{escape(k.precision)} tp {k.tensor_parallel}"
        f"{part_words(k)}"
        for k, replicas in contents
    )
