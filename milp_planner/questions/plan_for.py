"""A plan from a few words, as `milp-planner plan` takes them."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.one_line import in_words, problem_of
from milp_planner.plans.records import Plan
from milp_planner.questions.solve import solve

Amount = float | str
"""A number, or how a problem file writes it: `5M`, `9k`."""


def plan_for(
    llm: str,
    *,
    tokens_per_day: Amount | None = None,
    tokens_per_month: Amount | None = None,
    requests_per_second: Amount | None = None,
    users: Amount | None = None,
    tokens_per_s: Amount | None = None,
    pattern: str | None = None,
    input: Amount | None = None,
    output: Amount | None = None,
    tpot: str | None = None,
    ttft: str | None = None,
    precision: str | Sequence[str] | None = None,
    region: str | Sequence[str] | None = None,
    providers: str | Sequence[str] | None = None,
    gpus: str | Sequence[str] | None = None,
    allow: str | Sequence[str] | None = None,
    budget: Amount | None = None,
    survive_loss_of: str | None = None,
    today: Amount | None = None,
    catalog: Catalog | None = None,
) -> Plan:
    """The cheapest fleet for one LLM, with proof.

    llm: its id. One of `tokens_per_day` (input and output together), `tokens_per_month` (30 days),
    `requests_per_second` (at the peak) and `users` (at a time, each at `tokens_per_s`) says how
    much is asked. pattern: steady, business_hours or bursty. input, output: tokens of a request;
    default: 1,500 and 300. tpot, ttft: times with a unit, `50ms`. budget, today: USD per month.
    precision, region, providers, gpus: the only ones that may be used. allow: ways to pay beside
    those allowed by default. survive_loss_of: provider, region, offering or spot. catalog:
    default: `market`.

    Returns a Plan, whose `alternatives` come next. Raises InputError that names the word to blame,
    and SolverError.

    >>> from milp_planner import plan_for
    >>> plan = plan_for("llama-3.3-70b", tokens_per_day="5M", pattern="bursty", region=["eu"])
    >>> plan.status.value
    'optimal'
    """
    asked = {
        "llm": llm,
        "tokens_per_day": tokens_per_day,
        "tokens_per_month": tokens_per_month,
        "requests_per_second": requests_per_second,
        "users": users,
        "tokens_per_s": tokens_per_s,
        "pattern": pattern,
        "input": input,
        "output": output,
        "tpot": tpot,
        "ttft": ttft,
        "precision": precision,
        "region": region,
        "providers": providers,
        "gpus": gpus,
        "allow": allow,
        "budget": budget,
        "survive_loss_of": survive_loss_of,
        "today": today,
    }
    words = {name: _said(value) for name, value in asked.items() if value is not None}
    try:
        return solve(problem_of(words), catalog)
    except InputError as error:
        raise in_words(error) from None


def _said(value: Amount | Sequence[str]) -> str | Sequence[str]:
    """The value as a line writes it."""
    return repr(value) if isinstance(value, int | float) else value
