"""The base of every input record: frozen, and a misspelt key is an error, not a default."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Input record: immutable; unknown keys refused; the text under a field describes it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
        allow_inf_nan=False,
    )
