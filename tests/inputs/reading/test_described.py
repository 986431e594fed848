"""The text under a field is its description in the schema, as pydantic itself would have it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from milp_planner.inputs.reading.described import Described


class Plain(BaseModel):
    """What pydantic reads while the class is made: it needs the source, so that lies here."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    rate: float = 1.0
    """Requests per second,
    at the peak."""

    named: int = Field(default=2, description="Its own words.")
    """Not these."""

    tpot_s: float = Field(default=3.0, validation_alias="tpot", serialization_alias="tpot")
    """Seconds per token."""

    bare: str = ""


class Ours(Described):
    """What pydantic reads while the class is made: it needs the source, so that lies here."""

    rate: float = 1.0
    """Requests per second,
    at the peak."""

    named: int = Field(default=2, description="Its own words.")
    """Not these."""

    tpot_s: float = Field(default=3.0, validation_alias="tpot", serialization_alias="tpot")
    """Seconds per token."""

    bare: str = ""


class Narrower(Ours):
    """One that inherits."""

    rate: float = 4.0
    """Fewer of them."""

    inner: Plain = Plain()
    """Another record."""


def test_the_schema_is_the_one_that_pydantic_writes():
    for by_alias in (True, False):
        theirs, mine = (m.model_json_schema(by_alias=by_alias) for m in (Plain, Ours))
        assert mine == {**theirs, "title": "Ours"}
    assert theirs["properties"]["rate"]["description"] == "Requests per second,\nat the peak."


def test_what_is_inherited_is_described_and_what_is_said_anew_counts():
    properties = Narrower.model_json_schema()["properties"]
    said = {name: one.get("description") for name, one in properties.items()}
    assert said == {
        "rate": "Fewer of them.",
        "named": "Its own words.",
        "tpot": "Seconds per token.",
        "bare": None,
        "inner": "Another record.",
    }


def test_a_record_without_source_is_made_all_the_same():
    made = type("Made", (Ours,), {"__annotations__": {"more": int}, "__module__": __name__})
    assert "more" in made.model_json_schema()["properties"]
