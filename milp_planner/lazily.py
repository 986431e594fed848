"""Dataclasses whose methods are written when they are first asked for.

Python compiles up to ten methods for each dataclass as its module is read: some 0.5 ms a class,
0.14 s for the classes of a small plan, of which many never get an instance. Here a class gets its
methods with its first instance, or with the first look at its fields; from there on it is what
`dataclasses.dataclass` makes of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import field as field
from dataclasses import replace as replace
from threading import RLock
from typing import TYPE_CHECKING, Any

_FACTS = ("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__signature__")
_ORDERED = ("__lt__", "__le__", "__gt__", "__ge__")
_ONE_AT_A_TIME = RLock()


class _Written:
    """Stands in a class for what is still to be written, and has it written when it is read."""

    def __init__(self, name: str, cls: type, write: Callable[[], None]) -> None:
        self.name, self.cls, self.write = name, cls, write

    def __get__(self, instance: object, owner: type) -> Any:
        self.write()
        if self.name == "__signature__":
            return _signature(owner)
        found = getattr(self.cls, self.name)
        return found if instance is None or not callable(found) else found.__get__(instance, owner)


def _signature(owner: type) -> Any:
    import inspect

    return inspect.signature(owner)


def _to_write(cls: type, options: dict[str, bool]) -> list[str]:
    """The names that `dataclasses` would put into a class, those apart that it holds already."""
    eq, frozen = options.get("eq", True), options.get("frozen", False)
    names = ["__init__", *_FACTS]
    names += ["__repr__"] if options.get("repr", True) else []
    names += ["__eq__"] if eq else []
    names += ["__hash__"] if eq and frozen else []
    names += _ORDERED if options.get("order", False) else []
    names += ["__setattr__", "__delattr__"] if frozen else []
    return [name for name in names if name not in cls.__dict__]


def _made(cls: type, options: dict[str, bool]) -> type:
    """The class, whose methods are to be written."""
    if not {"__eq__", "__hash__"}.isdisjoint(cls.__dict__):  # it has equality rules of its own
        return dataclasses.dataclass(**options)(cls)
    names = _to_write(cls, options)

    def write() -> None:
        with _ONE_AT_A_TIME:
            if isinstance(cls.__dict__.get("__dataclass_fields__"), _Written):
                for name in names:
                    delattr(cls, name)
                dataclasses.dataclass(**options)(cls)

    for name in names:
        setattr(cls, name, _Written(name, cls, write))
    if options.get("eq", True) and not options.get("frozen", False):
        cls.__hash__ = None  # type: ignore[assignment]
    return cls


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`, its methods to be written later."""
        return _made(cls, options) if cls else lambda cls: _made(cls, options)
