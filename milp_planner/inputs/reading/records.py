"""The base of every input record: frozen, and a misspelt key is an error, not a default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar, cast

from pydantic import ConfigDict, PrivateAttr, ValidationError, model_validator

from milp_planner.errors import RecordInputError
from milp_planner.inputs.reading.described import Described
from milp_planner.inputs.reading.validation import faults_of

Of = TypeVar("Of")
Found = TypeVar("Found")

CATALOG_KEY = "catalog"
"""The key by which a problem file names its catalog."""


class Frozen(Described):
    """Input record: immutable; unknown keys refused; the text under a field describes it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=True,
        allow_inf_nan=False,
    )

    old_words: ClassVar[Mapping[str, str]] = {}
    """Keys as they were spelled one release ago, and what they are called now: see `Renamed`."""

    def __init__(self, /, **data: Any) -> None:
        """Raises an InputError with every fault, in the words that a file's reader gets."""
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise RecordInputError(faults_of(error, None, type(self), data=data)) from None

    # Else pydantic would call it for records in files as well, whose faults need their lines.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Renamed(Frozen):
    """An input record with `old_words`. Others do without: a catalog has thousands."""

    @model_validator(mode="before")
    @classmethod
    def _read_old_words(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {
            key if cls.old_words.get(key) in (None, *data) else cls.old_words[key]: value
            for key, value in data.items()
        }


class _Memo:
    """What was found out about one value; like any other, as it says nothing of a record itself."""

    def __init__(self, of: object = None) -> None:
        self.of = of
        self.found: dict[Callable[[Any], Any], Any] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Memo)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[_Memo], tuple[()]]:
        return _Memo, ()  # a copy elsewhere finds out by itself


class FromFile(Frozen):
    """An input record that may have been read from a file of its own, and held to further rules."""

    _origin: Any = PrivateAttr(default=None)
    """The document it was read from, for line numbers; None when built in code."""

    _rules: tuple[Any, ...] = PrivateAttr(default=())

    _memo: _Memo = PrivateAttr(default_factory=_Memo)

    @property
    def rules(self) -> tuple[Any, ...]:
        """Rules of the user's own that plans are held to, beside the limits."""
        return self._rules

    def known_of(self, value: Of, find: Callable[[Of], Found]) -> Found:
        """What `find` finds in the value of a field, looked for once; a changed copy of the record,
        which has another value there, looks anew."""
        private = self.__pydantic_private__ or {}  # `self._memo` takes ten times as long
        memo: _Memo = private["_memo"]
        if memo.of is not value:
            memo = private["_memo"] = _Memo(value)
        if find not in memo.found:
            memo.found[find] = find(value)
        return cast(Found, memo.found[find])

    def with_rules(self, rules: Iterable[Any]) -> Self:
        """The same, held to these rules as well; a class stands for an instance of it."""
        made = tuple(rule() if isinstance(rule, type) else rule for rule in rules)
        changed = self.model_copy()
        changed._rules = (*self._rules, *made)
        return changed
