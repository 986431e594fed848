"""Where a provider's region is: its country, the group of countries and the metropolitan area.

Providers' own names mislead: eu-west-2 of AWS is in London, us-east-1-lim-1 in Lima.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from milp_planner.inputs.reading.field_types import Id
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass, field

PLACES_FILE = "places.csv"

Group = Literal["eu", "efta", "uk", "us", "ca", "latam", "asia", "oceania", "middle-east", "africa"]
"""`eu` are its 27 members; Mexico is in `latam`, Turkey in `middle-east`."""


class Place(Frozen):
    """Where the regions of a provider with one name, or of one pattern, are."""

    provider: Id
    region: Annotated[str, Field(min_length=1, max_length=120)]
    """The provider's name for it, which holds for its zones too (`us-east-1.use1-az1`), or a
    pattern, which a name written out goes before."""

    country: Annotated[str, Field(pattern=r"^[a-z]{2}$")]
    """ISO 3166-1 code in lower case."""

    group: Group
    metro: str = ""
    """The metropolitan area, '' where no source states it."""

    source: str = Field(min_length=1)

    @property
    def id(self) -> str:
        """What makes the row one of its own."""
        return f"{self.provider} {self.region}"


@dataclass(frozen=True)
class Places:
    """The places of a catalog."""

    named: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    """By provider and region, as they are written."""

    @classmethod
    def of(cls, rows: Iterable[Place]) -> Places:
        """The table with these rows."""
        return cls({(row.provider, row.region): row for row in rows})

    def find(self, provider: str, region: str) -> Place | None:
        """Where a region is: by its name, that of which it is a zone, the longest pattern."""
        for name in (region, region.partition(".")[0]):
            if (provider, name) in self.named:
                return self.named[provider, name]
        patterns = self._patterns.get(provider, ())
        return next((place for place in patterns if fnmatchcase(region, place.region)), None)

    @cached_property
    def _patterns(self) -> dict[str, list[Place]]:
        """Places named by a pattern, by provider, the longest first."""
        found: dict[str, list[Place]] = {}
        patterns = [place for (_, region), place in self.named.items() if "*" in region]
        for place in sorted(patterns, key=lambda p: (len(p.region), p.region), reverse=True):
            found.setdefault(place.provider, []).append(place)
        return found

    def add_places(self, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Country, group and metro put into the cells of rows whose region has them."""
        known: dict[tuple[str, str], dict[str, str]] = {}  # few places, many rows
        for _, cells in rows:
            named = cells.get("provider", ""), cells.get("region", "")
            if named not in known:
                known[named] = self._stated(*named)
            cells.update(known[named])

    def _stated(self, provider: str, region: str) -> dict[str, str]:
        place = self.find(provider, region)
        if place is None:
            return {}
        return {"country": place.country, "group": place.group, "metro": place.metro}


NO_PLACES = Places()
