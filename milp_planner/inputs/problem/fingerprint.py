"""The hash of a problem: of what it asks, not of how it was written down.

Only what differs from the defaults counts, by the names of the fields. So a key that a later
version adds, and that a problem leaves alone, changes no hash, and neither do a default that is
written out, another spelling of a key (`tpot`, `tpot_s`), or another order of keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel

from milp_planner.inputs.problem.records import Problem

TELLS_RECORDS_APART = "kind"
"""The key that chooses one of several records, as in `traffic`: always part of the content."""


def problem_sha256(problem: Problem) -> str:
    """SHA-256 of the problem's content, in hexadecimal; files that it names count by their names.

    Equal for problems that ask the same; what a default means is left to the planner's version.
    """
    content = json.dumps(_content(problem), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _content(value: Any) -> Any:
    """Plain data: of a record only what differs from its defaults, of numbers one spelling."""
    if isinstance(value, BaseModel):
        return dict(_stated(value))
    if isinstance(value, Mapping):
        return {str(key): _content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 6 and 6.0 ask the same
    if isinstance(value, date):
        return value.isoformat()
    return value


def _stated(record: BaseModel) -> list[tuple[str, Any]]:
    """(field, content) of the fields that say something; a record of defaults alone says nothing.

    Contents are compared, not records: a default of another class may have the same content.
    """
    contents = (
        (name, _content(getattr(record, name)), info)
        for name, info in type(record).model_fields.items()
    )
    return [
        (name, content)
        for name, content, info in contents
        if name == TELLS_RECORDS_APART
        or info.is_required()
        or content != _content(info.get_default(call_default_factory=True, validated_data={}))
    ]
