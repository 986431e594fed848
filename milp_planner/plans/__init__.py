"""The answer as plain records, and what is made of them: no solver, no search, no layout."""

from collections.abc import Mapping
from typing import Any

from milp_planner.plans import document as document  # registers the documents of the records
from milp_planner.plans.records import Plan, read_from


@read_from.register(Mapping)
def _read(document: Mapping[str, Any]) -> Plan:
    from milp_planner.plans.reading import read_plan  # with the schema, which few runs need

    return read_plan(document)
