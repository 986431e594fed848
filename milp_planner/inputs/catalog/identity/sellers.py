"""One name for a seller, whatever a source calls it, and who stands behind it.

`seller_aliases.csv` has two kinds of rows. `same`: another spelling, as `moonshot` is moonshotai;
such a name is replaced wherever it is read. `inside`: a service of a larger provider, as bedrock is
of aws; it keeps its name, and counts as the provider in limits and losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from milp_planner.inputs.reading.field_types import Id
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass, field

SELLERS_FILE = "seller_aliases.csv"


class SellerAlias(Frozen):
    """One more name of a seller, or a service inside one."""

    alias: Id
    provider: Id
    relation: Literal["same", "inside"]
    """`same`: a spelling; `inside`: a seller of its own that the provider stands behind."""

    source: str = Field(min_length=1)
    """Who uses the name, or who says that one is part of the other."""

    @property
    def id(self) -> str:
        """What makes the row one of its own."""
        return self.alias


class Sold(Frozen):
    """Who sells a thing, who stands behind the seller, and where it is; on loading all but the
    seller are looked up in the catalog's tables, and no file of things sold holds them."""

    provider: Id
    behind: str = ""
    """The provider that the seller is a service of, as bedrock is of aws; '' where it stands for
    itself. Set on loading, never written in a file."""

    country: str = ""
    """Where it is, as `places.csv` has its region: ISO code of the country, '' where not known."""

    group: str = ""
    """The group of countries: eu, us, asia, ..."""

    metro: str = ""
    """The metropolitan area, '' where no source states it."""

    @property
    def place(self) -> str:
        """`us/washington`, '' where the metropolitan area is not known."""
        return f"{self.country}/{self.metro}" if self.metro else ""

    @property
    def owner(self) -> str:
        """Whom limits and losses count: the provider behind the seller, else the seller."""
        return self.behind or self.provider

    @property
    def sellers(self) -> tuple[str, ...]:
        """The names that mean it among the providers: its seller's, then that of the owner."""
        return (self.provider, self.behind) if self.behind else (self.provider,)


@dataclass(frozen=True)
class Sellers:
    """The alias table of a catalog."""

    spellings: Mapping[str, str] = field(default_factory=dict)
    """The catalog's name, by another one."""

    behind: Mapping[str, str] = field(default_factory=dict)
    """The provider that stands behind a seller, by the seller's name."""

    def name(self, spelled: str) -> str:
        """The catalog's name of a seller: `moonshot` -> `moonshotai`; others stay as they are."""
        return self.spellings.get(spelled, spelled)

    def id(self, spelled: str) -> str:
        """An id, or a pattern of ids, under the catalog's name of its seller: `moonshot/*`."""
        seller, slash, rest = spelled.partition("/")
        return self.name(seller) + slash + rest if slash else spelled

    def rename(self, cells: dict[str, Any], *, owner: bool) -> None:
        """Put a row of a table under the catalog's name of its seller; with the owner if asked."""
        spelled = cells.get("provider")
        if spelled is not None:  # in place of `name` and `owner`: of every row there is
            cells["provider"] = seller = self.spellings.get(spelled, spelled)
            if owner:
                cells["behind"] = self.behind.get(seller, "")

    def owner(self, seller: str) -> str:
        """The provider behind a seller, `bedrock` -> `aws`; '' where it stands for itself."""
        return self.behind.get(seller, "")


def sellers_of(rows: Iterable[SellerAlias]) -> Sellers:
    """The table with these rows; a spelling of a spelling is followed to the end."""
    rows = list(rows)
    spelled = {row.alias: row.provider for row in rows if row.relation == "same"}
    inside = {row.alias: row.provider for row in rows if row.relation == "inside"}
    spellings = {alias: _end(alias, spelled) for alias in spelled}
    parts = {spellings.get(a, a): spellings.get(p, p) for a, p in inside.items()}
    return Sellers(spellings, {part: _end(part, parts) for part in parts})


def _end(name: str, table: Mapping[str, str]) -> str:
    for _ in table:  # a circle is left after one turn
        name = table.get(name, name)
    return name


NO_SELLERS = Sellers()
