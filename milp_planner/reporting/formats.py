"""Formats a plan can be written in. To add one, write a function and name it in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable

from milp_planner.plans.records import Plan
from milp_planner.reporting.documents.csv import plan_csv
from milp_planner.reporting.documents.json import plan_json
from milp_planner.reporting.documents.options import ReportOptions
from milp_planner.reporting.text.plans.table import plan_text

Format = Callable[[Plan, ReportOptions], str]

FORMATS: dict[str, Format] = {"text": plan_text, "json": plan_json, "csv": plan_csv}
