"""Formats a plan can be written in. To add one, write a function and name it in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable

from milp_planner.planning.plan import Plan
from milp_planner.reporting.csv import plan_csv
from milp_planner.reporting.json import plan_json
from milp_planner.reporting.options import ReportOptions
from milp_planner.reporting.table import plan_text

Format = Callable[[Plan, ReportOptions], str]

FORMATS: dict[str, Format] = {"text": plan_text, "json": plan_json, "csv": plan_csv}
