"""Who draws what: registers the pages and plots of records. To add one, add a line.

Imported by name from `plans/plain.py`, when something is to be drawn.
"""

from __future__ import annotations

from milp_planner.plans.plain import page_of, plot_of
from milp_planner.plans.records import Plan
from milp_planner.plans.sheet.records import Sheet
from milp_planner.questions.sheet.alone import sheet_of_plan
from milp_planner.questions.sweeps.frontier import Frontier
from milp_planner.questions.sweeps.rows import WhatIf
from milp_planner.reporting.html.page import sheet_page, sheet_part
from milp_planner.reporting.plots.plan import plan_plot
from milp_planner.reporting.plots.sweeps import frontier_plot, what_if_plot
from milp_planner.today import day_today

plot_of.register(Plan, plan_plot)
plot_of.register(WhatIf, what_if_plot)
plot_of.register(Frontier, frontier_plot)


@page_of.register
def _(sheet: Sheet, *, whole: bool) -> str:
    return sheet_page(sheet) if whole else sheet_part(sheet)


@page_of.register
def _(plan: Plan, *, whole: bool) -> str:
    return page_of(sheet_of_plan(plan, day_today()), whole=whole)
