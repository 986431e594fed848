"""What makes a record plain data; every kind of record says how, above the records."""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def plain_data(record: object) -> dict[str, Any]:
    """A record as plain data, ready for JSON.

    Documents are made above the records, in `plan_dict`, which registers here what each kind
    becomes; the package sees to it that this is done before any record is there.
    """
    raise TypeError(f"{type(record).__name__} has no document")
