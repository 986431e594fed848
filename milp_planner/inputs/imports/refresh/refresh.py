"""catalog refresh: the public price lists of today as one folder, and what they changed.

All or nothing: lists are fetched and converted beside the folder, checked as every catalog is, and
put in its place when all is whole. Where two tools have a provider's prices under one billing, the
first of `TOOLS` is taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from milp_planner.drafts import gone_at_last, take_place
from milp_planner.errors import (
    MOST_FAULTS_SHOWN,
    Fault,
    InputError,
    did_you_mean,
    input_error,
)
from milp_planner.inputs.catalog.diff import catalog_diff
from milp_planner.inputs.catalog.files import MAX_OFFERINGS, load_catalog
from milp_planner.inputs.catalog.folders import MANIFEST
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.writing import write_manifest
from milp_planner.inputs.doubtful_prices import doubtful_prices, told_prices
from milp_planner.inputs.imports.overlay import (
    Row,
    Skipped,
    base_catalog,
    manifest_of,
    provider_id,
    write_checked,
)
from milp_planner.inputs.imports.refresh.addresses import Addresses
from milp_planner.inputs.imports.refresh.download import fetch
from milp_planner.inputs.imports.refresh.lists import (
    OFFERINGS,
    TOKENS,
    TOOLS,
    Fetch,
    Lists,
    PublishedList,
)
from milp_planner.inputs.imports.refresh.report import Refreshed, changes_by_provider
from milp_planner.inputs.imports.seller_changes import seller_of
from milp_planner.today import day_today

NAME = "refreshed prices"
"""How a folder of ours is known, which may be replaced."""

TAKEN_BEFORE = "another list of that provider was taken"


def refresh_catalog(
    out: Path,
    *,
    base: str | Path = "market",
    tools: Sequence[str] = tuple(TOOLS),
    providers: Collection[str] = (),
    addresses: Addresses | None = None,
    as_of: date | None = None,
    fetching: Fetch = fetch,
) -> Refreshed:
    """Fetch the price lists of `tools` and write them as the folder `out`, on top of `base`.

    `providers`: only these. `as_of`: the day taken for today, which lists without a day are of.
    `fetching` reads an address. What is compared is `out` as it was, or `base` where there is none.

    Raises InputError, with `out` as it was: when it is no folder of an earlier refresh, a list
    cannot be fetched or is not what it should be, or no row is left.
    """
    out, today = Path(out), as_of or day_today()
    catalog = base_catalog(base)
    _check_out(out)
    before = load_catalog(out, as_of=today) if out.exists() else catalog
    wanted = frozenset(provider_id(name, catalog.sellers) for name in providers)
    with _in_place_of(out) as (folder, downloads):
        where = addresses or Addresses()
        lists = Lists(fetching, downloads, catalog, where, today, wanted)
        published = [one for tool in tools for one in TOOLS[tool](lists)]
        _check_published(published, wanted, catalog)
        tables, refused = _joined(published), Skipped()
        write_manifest(folder, manifest_of(NAME, ", ".join(_tools(published)), base, today))
        _check_size(catalog, tables[OFFERINGS])
        written = write_checked(folder, tables, refused, today)
        if not any(written.values()):
            raise input_error("none of the lists holds a price that can be used", file=str(out))
        after = load_catalog(folder, as_of=today)
    rows = [row for table in tables.values() for row in table]
    kept = [row for table in written.values() for row in table]
    changes = tuple(changes_by_provider(catalog_diff(before, after), _refusals(rows, kept)))
    return Refreshed(
        out,
        len(written[OFFERINGS]),
        len(written[TOKENS]),
        tuple(published),
        changes,
        warnings=tuple(told_prices(doubtful_prices(after))),
    )


def _tools(published: Iterable[PublishedList]) -> list[str]:
    return list(dict.fromkeys(one.tool for one in published))


def _check_out(out: Path) -> None:
    """Only a folder of ours is ever replaced."""
    if not out.exists() and not out.is_symlink():
        return
    manifest = out / MANIFEST
    try:
        is_ours = out.is_dir() and not out.is_symlink() and f"name,{NAME}" in manifest.read_text()
    except (OSError, UnicodeDecodeError):
        is_ours = False
    if not is_ours:
        raise input_error("exists, and no refresh wrote it; give another name", file=str(out))


def _check_published(
    published: Sequence[PublishedList], wanted: Collection[str], catalog: Catalog
) -> None:
    if not published:
        raise input_error(f"no tool has a list of {', '.join(sorted(wanted))}", path="--provider")
    for tool in _tools(published):
        mine = [one for one in published if one.tool == tool]
        if all(one.missing for one in mine):
            said = f"has none of {tool}'s lists: {mine[0].missing}"
            raise input_error(said, file=mine[0].url, hint="have they moved? See --help")
    sold = {str(row["provider"]) for one in published for row in one.read.rows}
    for name in sorted(set(wanted) - sold):
        raise input_error(
            f"no list has prices of {name!r}{did_you_mean(name, {*sold, *catalog.providers})}"
        )


def _joined(published: Iterable[PublishedList]) -> dict[str, list[Row]]:
    """Rows by file; of each provider and billing those of the first list that has any."""
    first: dict[tuple[str, str], PublishedList] = {}
    tables: dict[str, list[Row]] = {OFFERINGS: [], TOKENS: []}
    for one in published:
        mine = []
        for row in one.read.rows:
            if first.setdefault(seller_of(row), one) is one:
                mine.append(row)
            else:
                one.read.skipped.add(TAKEN_BEFORE, f"{row['provider']} at {one.url}")
        one.read.rows = mine
        tables[one.table] += mine
    return tables


def _check_size(catalog: Catalog, rows: Sequence[Row]) -> None:
    """Says which providers have how many rows before the reading of the folder says too many."""
    sellers = {seller_of(row) for row in rows}
    left = sum((o.provider, o.billing) not in sellers for o in catalog.offerings)
    if left + len(rows) <= MAX_OFFERINGS:
        return
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row["provider"])] = counts.get(str(row["provider"]), 0) + 1
    largest = sorted(counts.items(), key=lambda item: -item[1])[:5]
    named = ", ".join(f"{count:,} of {name}" for name, count in largest)
    raise input_error(
        f"{left + len(rows):,} offerings, more than the {MAX_OFFERINGS:,} that are read: {named}",
        hint="choose with --provider",
    )


def _refusals(rows: Iterable[Row], kept: Sequence[Row]) -> Mapping[str, int]:
    """How many rows the catalog's checks refused, by provider."""
    refused: dict[str, int] = {}
    stayed = {id(row) for row in kept}
    for row in rows:
        if id(row) not in stayed:
            refused[str(row["provider"])] = refused.get(str(row["provider"]), 0) + 1
    return refused


@contextmanager
def _in_place_of(out: Path) -> Iterator[tuple[Path, Path]]:
    """(a folder that becomes `out` when all went well, a folder for what is fetched)."""
    parent = out.absolute().parent
    draft = parent / f".{out.name}-{secrets.token_hex(4)}"
    folder, downloads, former = draft / "new", draft / "downloads", draft / "former"
    kept = f"{out} is as it was" if out.exists() else f"{out} was not made"
    try:
        with gone_at_last(draft, unless=lambda: former.exists() and not out.exists()):
            parent.mkdir(parents=True, exist_ok=True)
            draft.mkdir(mode=0o700)
            folder.mkdir()
            downloads.mkdir()
            yield folder, downloads
            take_place(folder, out, former)
    except InputError as error:
        raise InputError(_ending_in(kept, error.faults)) from None
    except OSError as error:
        kept = kept if out.exists() or not former.exists() else f"what it held is in {former}"
        raise input_error(
            f"cannot be written: {error.strerror}", file=str(out), hint=kept
        ) from None


def _ending_in(kept: str, faults: Sequence[Fault]) -> Iterator[Fault]:
    """The faults, the last that is shown with what became of the folder."""
    last = min(len(faults), MOST_FAULTS_SHOWN) - 1
    for i, fault in enumerate(faults):
        hints = filter(None, [fault.hint, kept if i == last else ""])
        yield replace(fault, hint="; ".join(hints))
