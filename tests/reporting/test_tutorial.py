"""The notebook `problems/tutorial.ipynb`: its cells run in their order, as a person runs them."""

from __future__ import annotations

import ast
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from milp_planner import Status

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
NOTEBOOK = json.loads((PROBLEMS / "tutorial.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run(cells: list[str]) -> tuple[dict[str, Any], list[Any]]:
    """The names that the cells leave, and what each shows: the value of its last line, or None."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    return names, [shown_by(code, names) for code in cells]


def shown_by(code: str, names: dict[str, Any]) -> Any:
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "tutorial", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "tutorial", "eval"), names)


@pytest.fixture(scope="module")
def ran() -> tuple[dict[str, Any], list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROBLEMS)
        patch.setenv("MPLBACKEND", "Agg")
        can_plot = find_spec("matplotlib") is not None
        return run([code for code in CELLS if can_plot or ".plot(" not in code])


@pytest.mark.slow
def test_the_first_cell_shows_the_plan_as_its_sheet(ran):
    plan = ran[1][0]
    assert plan is ran[0]["plan"]
    assert plan.status is Status.OPTIMAL
    assert "per month" in plan._repr_html_()


@pytest.mark.slow
def test_without_some_sellers_it_costs_no_less(ran):
    names, shown = ran
    assert any(isinstance(one, float) for one in shown)
    assert names["careful"].limits.providers.deny
    assert [row.error for row in names["table"].rows] == [""] * 3
    costs = [row.cash_usd for row in names["table"].rows]
    assert costs == sorted(costs)


def test_the_rule_binds_and_costs_what_the_last_cell_shows(ran):
    names, shown = ran
    plan, spread = names["plan"], names["spread"]
    by_provider: dict[str, int] = {}
    for bought in spread.purchases:
        provider = bought.candidate.provider
        by_provider[provider] = by_provider.get(provider, 0) + bought.units
    assert max(by_provider.values()) == 1
    assert max(p.units for p in plan.purchases) > 1  # without the rule it is broken
    extra = spread.cash_usd_per_month - plan.cash_usd_per_month
    assert shown[-1] == pytest.approx(extra, abs=0.005)
    assert extra > 0


def test_the_table_of_commitments_begins_with_the_plan(ran):
    (table,) = (one for one in ran[1] if "largest regret" in getattr(one, "columns", ()))
    assert table.index[0] == ("chosen", "5 l40s-48gb")
    assert list(table.columns) == ["flop", "base", "hit", "on average", "largest regret"]
    assert table["on average"].iloc[0] == table["on average"].min()


def test_its_plots_have_titles_or_axes_that_say_what_is_drawn(ran):
    pytest.importorskip("matplotlib", reason="needs '.[plot]'")
    drawn = [one for one in ran[1] if hasattr(one, "get_xlabel")]
    assert len(drawn) == sum(".plot(" in code for code in CELLS)
    assert all(one.get_xlabel() for one in drawn)


def test_it_is_stored_without_outputs_in_the_format_that_notebooks_have():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
