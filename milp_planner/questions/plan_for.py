"""A plan from a few words, as `milp-planner plan` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from milp_planner.errors import InputError, argument_error, did_you_mean
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.one_line import WORDS, Amount, LineWords, Names, in_words, problem_of
from milp_planner.plans.records import Plan
from milp_planner.questions.solve import solve


def plan_for(llm: str, *, catalog: Catalog | None = None, **words: Unpack[LineWords]) -> Plan:
    """The cheapest fleet for one LLM, with proof.

    llm: its id. catalog: default: `market`. words: those of `milp-planner plan`, see `LineWords`.
    One of `tokens_per_day`, `tokens_per_month`, `requests_per_second` and `users` says how much is
    asked; times have a unit, `tpot="50ms"`; `precision`, `region`, `providers` and `gpus` are the
    only ones that may be used.

    Returns a Plan, whose `alternatives` come next. Raises InputError that names the word to blame,
    and SolverError.

    >>> from milp_planner import plan_for
    >>> plan = plan_for("llama-3.3-70b", tokens_per_day="5M", pattern="bursty", region=["eu"])
    >>> plan.status.value
    'optimal'
    """
    for name in words:
        if name not in WORDS:
            raise argument_error(f"no such word{did_you_mean(name, WORDS)}", path=name)
    given: dict[str, Any] = {"llm": llm, **words}
    said = {name: _said(value) for name, value in given.items() if value is not None}
    try:
        return solve(problem_of(said), catalog)
    except InputError as error:
        raise in_words(error) from None


def _said(value: Amount | Names) -> str | Sequence[str]:
    """The value as a line writes it."""
    return repr(value) if isinstance(value, int | float) else value
