"""The base of every input record: frozen, and a misspelt key is an error, not a default."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from milp_planner.errors import RecordInputError
from milp_planner.inputs.validation import faults_of


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

    def __init__(self, /, **data: Any) -> None:
        """Raises an InputError with every fault, in the words that a file's reader gets."""
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise RecordInputError(faults_of(error, None, type(self), data=data)) from None

    # Else pydantic would call it for records in files as well, whose faults need their lines.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
