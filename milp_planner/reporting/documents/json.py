"""The plan as one JSON document: ASCII only, so that no name in it can steer a terminal."""

from __future__ import annotations

import json
from typing import Any

from milp_planner.plans.document import plan_dict
from milp_planner.plans.records import Plan
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.documents.range_dict import range_dict


def plan_json(plan: Plan, options: ReportOptions = DEFAULTS) -> str:
    """`plan_dict` as text, with the gates that failed."""
    document = plan_dict(plan, reproducible=options.reproducible)
    found = options.confidence_range
    if found is not None:
        document["range"] = range_dict(found)
    return to_json({**document, "failed_gates": list(options.failed_gates)})


def to_json(document: Any) -> str:
    """Any plain data as a JSON text, keys in the order they were given."""
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
