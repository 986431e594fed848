"""Records whose schema tells the text under each field.

That text is read from the source once a schema is asked for. pydantic's `use_attribute_docstrings`
reads it while classes are made, which takes a fifth of what every command does before it begins.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import AliasChoices, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A record that is described in its JSON Schema by the text under its fields."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema that pydantic makes, with a description of every field that has a text."""
        written = handler(core_schema)
        properties = handler.resolve_ref_schema(written).get("properties", {})
        texts = {field: text for base in reversed(cls.__mro__) for field, text in texts_of(base)}
        for name, field in cls.model_fields.items():
            if field.description is None and name in texts:
                for key in {name, *_aliases(field)} & properties.keys():
                    properties[key]["description"] = texts[name]
        return written


def _aliases(field: FieldInfo) -> Iterator[str]:
    """Other names of a field, one of which a schema may call it by."""
    other = field.validation_alias
    choices = other.choices if isinstance(other, AliasChoices) else [other]
    yield from (name for name in (field.alias, *choices) if isinstance(name, str))


@cache
def texts_of(record: type) -> tuple[tuple[str, str], ...]:
    """(field, text under it) of what a class itself declares; nothing where there is no source."""
    return tuple(_texts_of(record))


def _texts_of(record: type) -> Iterator[tuple[str, str]]:
    if not issubclass(record, BaseModel) or record is BaseModel:
        return
    try:
        source = textwrap.dedent(inspect.getsource(record))
    except (OSError, TypeError):
        return
    [declared] = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    for before, after in pairwise(declared.body):
        if not (isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = after.value.value
            if isinstance(text, str):
                yield before.target.id, inspect.cleandoc(text)
