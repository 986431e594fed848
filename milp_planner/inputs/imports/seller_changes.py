"""What becomes of the prices that a catalog has of a provider once a list of it lies on top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.lazily import dataclass

MOST_NAMED = 5
"""Rows named in a report that is not verbose."""

Row = Mapping[str, object]
Sold = Offering | TokenPrice


@dataclass(frozen=True)
class SellerChange:
    """One provider's rows under one billing, before and after an import."""

    provider: str
    billing: str
    added: int
    """Rows of the list with a key that the catalog has not."""

    replaced: int
    unnamed: tuple[str, ...]
    """Ids of the catalog's rows that the list does not name."""

    kept: bool
    """Whether those stay, instead of being retired."""

    def lines(self, *, verbose: bool = False) -> Iterator[str]:
        """`  lambda dedicated: 152 new, 1 replaced, 16 retired (lambda/a10-24gb/global, …)`."""
        what = "kept though the list does not name them" if self.kept else "retired"
        named = self.unnamed if verbose else self.unnamed[:MOST_NAMED]
        more = ", …" if len(named) < len(self.unnamed) else ""
        gone = f", {len(self.unnamed):,} {what} ({', '.join(named)}{more})" if named else ""
        counts = f"{self.added:,} new, {self.replaced:,} replaced"
        yield f"  {self.provider} {self.billing}: {counts}{gone}"


def seller_changes(rows: Iterable[Row], catalog: Catalog, *, keep: bool) -> Iterator[SellerChange]:
    """A change for each provider and billing that `rows`, of an overlay's file, have."""
    listed: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        listed.setdefault(seller_of(row), set()).add(id_of(row))
    had: dict[tuple[str, str], set[str]] = {}
    sold: tuple[Sold, ...] = (*catalog.offerings, *catalog.token_prices)
    for one in sold:
        had.setdefault((one.provider, one.billing), set()).add(one.id)
    for seller, ids in sorted(listed.items()):
        before = had.get(seller, set())
        unnamed = tuple(sorted(before - ids))
        yield SellerChange(*seller, len(ids - before), len(ids & before), unnamed, kept=keep)


def retiring_lines(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    """The lines of `retired.csv` that go with `rows`: one for each provider and billing."""
    newest: dict[tuple[str, str], Row] = {}
    for row in rows:
        seller = seller_of(row)
        if str(row["as_of"]) >= str(newest.get(seller, row)["as_of"]):
            newest[seller] = row
    for (provider, billing), row in sorted(newest.items()):
        origin = {"as_of": row["as_of"], "source": row["source"]}
        yield {"provider": provider, "billing": billing, **origin}


def seller_of(row: Row) -> tuple[str, str]:
    """(provider, billing) of a row of `offerings.csv` or `token_prices.csv`."""
    return str(row["provider"]), str(row.get("billing", "per_token"))


def id_of(row: Row) -> str:
    """`provider/name/region`, as the catalog will call it."""
    name = row["llm"] if "llm" in row else row["name"]
    return f"{row['provider']}/{name}/{row.get('region', 'global')}"


def called(row: Row) -> str:
    """The row in words: id and billing."""
    return f"{id_of(row)} {seller_of(row)[1]}"
