"""Dataclasses whose methods are written when they are first called.

Python compiles up to ten methods for each dataclass as its module is read: 0.3 ms for a plain one,
0.65 ms for a frozen one, 0.14 s for those of a small plan, of which half never get an instance, and
few are compared or printed. Here only the fields are read then; in all else a class behaves as
`dataclasses.dataclass` makes it, but that fields in a wrong order are told with the first instance,
and by type checkers. A method that is being written is whole or not there yet, so that
threads may come at once.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from dataclasses import field as field
from dataclasses import replace as replace
from typing import TYPE_CHECKING, Any

Method = Callable[..., Any]

_KINDS = {
    "init": ("__init__",),
    "repr": ("__repr__",),
    "eq": ("__eq__", "__hash__"),
    "order": ("__lt__", "__le__", "__gt__", "__ge__"),
}
"""By option of a dataclass the methods that are written together."""

_LATER = dict.fromkeys(_KINDS, False)


def _made(cls: Any, kw_only: bool = False, frozen: bool = False, **kinds: bool) -> Any:
    """The class with its fields, and stubs for its methods."""
    asked = {"init": True, "repr": True, "eq": True, "order": False, **kinds}
    own = set(cls.__dict__)  # stays as it is; Python adds the second of these for the first
    own -= {"__hash__"} if "__eq__" in own and cls.__dict__["__hash__"] is None else set()
    cls.__doc__ = cls.__doc__ or cls.__name__  # Python would say the signature, which costs
    with _thawed(cls if frozen else object):
        dataclasses.dataclass(**_LATER, kw_only=kw_only)(cls)
    if frozen:
        _freeze(cls)
    for kind in _KINDS:
        names = [name for name in _KINDS[kind] if asked[kind] and name not in own]
        for name in names:
            setattr(cls, name, _stub(cls, name, kind, names))
    if "__hash__" not in own and asked["eq"] and not frozen:
        cls.__hash__ = None
    if "__init__" not in own:
        cls.__signature__ = _Signature(cls)
    return cls


@contextmanager
def _thawed(cls: Any) -> Iterator[None]:
    """Meanwhile it may be derived from frozen classes without being made one by Python."""
    frozen = [base for base in cls.__mro__[1:] if _is_frozen(base)]
    for base in frozen:
        base.__dataclass_params__.frozen = False
    try:
        yield
    finally:
        for base in frozen:
            base.__dataclass_params__.frozen = True


def _is_frozen(cls: Any) -> bool:
    params = cls.__dict__.get("__dataclass_params__")
    return params is not None and params.frozen


def _freeze(cls: Any) -> None:
    fields = cls.__dataclass_fields__
    cls.__dataclass_params__.frozen = True

    def set_it(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in fields:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete_it(self: object, name: str) -> None:
        if type(self) is cls or name in fields:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = set_it, delete_it


def _stub(cls: Any, name: str, kind: str, names: list[str]) -> Method:
    """Has the method written in its own place, and calls it."""

    def stub(self: object, /, *args: object, **kwargs: object) -> Any:
        _write(cls, kind, names)
        return getattr(cls, name)(self, *args, **kwargs)

    return stub


def _write(cls: Any, kind: str, names: list[str]) -> None:
    """Put the methods of one kind into a class, taken from one of the same fields."""
    fields = [(each.name, each.type, copy.copy(each)) for each in dataclasses.fields(cls)]
    options: dict[str, Any] = {other: other == kind for other in _KINDS}
    options["eq"] |= kind == "order"
    options["frozen"] = kind == "init" and cls.__dataclass_params__.frozen
    options["unsafe_hash"] = kind == "eq"
    after = {"__post_init__": None} if hasattr(cls, "__post_init__") else {}
    twin = dataclasses.make_dataclass(cls.__name__, fields, namespace=after, **options)
    for name in names:
        method = twin.__dict__[name]
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, method)


class _Signature:
    """What a class is made with; a stub takes anything."""

    def __init__(self, cls: type) -> None:
        self.cls, self.stub = cls, cls.__dict__["__init__"]

    def __get__(self, instance: object, owner: Any) -> Any:
        import inspect

        if self.cls.__dict__["__init__"] is self.stub:
            _write(self.cls, "init", ["__init__"])
        made = inspect.signature(owner.__init__)
        return made.replace(parameters=list(made.parameters.values())[1:])


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`, its methods to be written later."""
        return _made(cls, **options) if cls else lambda cls: _made(cls, **options)
