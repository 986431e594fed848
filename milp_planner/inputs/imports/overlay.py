"""What the price imports share: finding GPUs, counting what is skipped, a folder that loads.

The folder is an overlay: only offerings or token prices, on top of a catalog that knows the GPUs
and LLMs. Rows that the catalog's own checks refuse are left out too, so that it always loads. A
list is whole: of each provider and billing that it has, what it does not name is retired.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from milp_planner.errors import InputError, input_error
from milp_planner.inputs.catalog.files import load_catalog, shipped_catalogs
from milp_planner.inputs.catalog.identity.sellers import Sellers
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.retired import RETIRED_FILE
from milp_planner.inputs.catalog.writing import new_folder, slug, write_manifest, write_table
from milp_planner.inputs.doubtful_prices import doubtful_prices, told_prices
from milp_planner.inputs.imports.dating import Dated
from milp_planner.inputs.imports.instance_types import (
    NAMES_IN_LISTS,
    forms_in,
    gpu_of_instance,
)
from milp_planner.inputs.imports.seller_changes import (
    SellerChange,
    called,
    retiring_lines,
    seller_changes,
)
from milp_planner.lazily import dataclass, field
from milp_planner.today import day_today

MEMORY_TOLERANCE = 0.12
"""A GPU's nominal GB and the GiB that its driver reports differ by up to a tenth."""

MOST_CHECKS = 10
"""Taking rows out moves medians, so that checking is repeated; twice has always been enough."""

NO_GPU = "no GPU"
NO_PRICE = "no price"
UNKNOWN_GPU = "GPU not in the catalog"
OTHER_MEMORY = "memory unlike that of the catalog's GPU"
FORM_FACTOR = "form factor of the GPU not stated"
PART_OF_A_GPU = "part of a GPU, or a count that is not whole"
SAME_ROW = "same offering twice, at the same price"
DEARER = "same offering twice: the lower price taken"
VERTEX = "vertex-ai"
"""LiteLLM's `vertex_ai-llama_models` and others, one for each maker."""

REFUSED = "refused by the catalog's checks"

Row = dict[str, object]


@dataclass
class Skipped:
    """How many rows were left out by reason, with one example of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, str]] = field(default_factory=list)
    """Every row, as (reason, what it is)."""

    def add(self, reason: str, example: str) -> None:
        """Count one row."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, example)
        self.rows.append((reason, example))


@dataclass
class PriceRows:
    """What a price list says in our rows, and what of it was left out."""

    rows: list[Row] = field(default_factory=list)
    dates: list[Dated] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True)
class CatalogImport:
    """What an import of prices wrote, and what it left out."""

    folder: Path
    rows: int
    file: str
    """The table written: offerings.csv or token_prices.csv."""

    skipped: Mapping[str, int]
    """Rows left out by reason, the commonest first."""

    examples: Mapping[str, str]
    """One row left out, by reason."""

    sellers: tuple[SellerChange, ...] = ()
    """What becomes of each provider's rows of the base, by billing."""

    dates: tuple[Dated, ...] = ()
    """The days that the files are of."""

    left_out: tuple[tuple[str, str], ...] = ()
    """Every row left out, as (reason, what it is)."""

    warnings: tuple[str, ...] = ()
    """Prices far from what the same provider asks elsewhere."""

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The report, for people; every row left out where it is verbose."""
        total = sum(self.skipped.values())
        rows = "row" if self.rows == 1 else "rows"
        return [
            f"{self.folder}: {self.rows:,} {rows} in {self.file}, {total:,} left out",
            *self._left_out(verbose=verbose),
            *(f"  prices of {d.day.isoformat()} ({d.how})" for d in dict.fromkeys(self.dates)),
            *(line for change in self.sellers for line in change.lines(verbose=verbose)),
        ]

    def _left_out(self, *, verbose: bool) -> Iterator[str]:
        for reason, count in self.skipped.items():
            if not verbose:
                yield f"  {count:,}  {reason} (for example {self.examples[reason]})"
                continue
            yield f"  {count:,}  {reason}:"
            yield from (f"       {row}" for why, row in self.left_out if why == reason)


def provider_id(name: str, sellers: Sellers) -> str:
    """A provider's name as the catalog with these sellers has it: `lambdalabs` -> `lambda`."""
    plain = slug(name.replace("_", "-"))
    if plain.startswith(VERTEX):
        plain = VERTEX
    return sellers.name(plain)


@dataclass
class GpuFinder:
    """Finds the GPU that another tool's row means; says why when it cannot be known."""

    catalog: Catalog
    _by_offering: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for o in self.catalog.offerings:
            self._by_offering.setdefault((o.provider, o.name), set()).add(o.gpu)

    def find(
        self, spellings: Sequence[str], memory_gib: Sequence[float], provider: str, name: str
    ) -> tuple[str, str]:
        """(GPU id, '') or ('', reason).

        Every spelling that the catalog knows narrows the choice, then the memory, of whose readings
        the first that fits a GPU counts (none: not stated). What is left of a choice between form
        factors is decided by the words of the names, by what the provider documents of the instance
        type, else by the GPU of the catalog's own offering of that provider and name, as an
        instance type does not change its GPU.
        """
        if any("mig" in re.split(r"[^a-z]+", spelling.lower()) for spelling in spellings):
            return "", PART_OF_A_GPU
        found = self._named(spellings)
        if not found:
            return "", UNKNOWN_GPU
        fitting = [{gpu for gpu in found if self._has_memory(gpu, gib)} for gib in memory_gib]
        found = next(filter(None, fitting), set()) if memory_gib else found
        if not found:
            return "", OTHER_MEMORY
        for narrower in self._narrower(spellings, provider, name):
            if len(found) > 1:
                found = found & narrower or found
        return (next(iter(found)), "") if len(found) == 1 else ("", FORM_FACTOR)

    def _narrower(self, spellings: Sequence[str], provider: str, name: str) -> Iterator[set[str]]:
        """What may decide between GPUs of one name, the surest first."""
        forms = forms_in(spellings)
        yield {gpu for gpu in self.catalog.gpus if forms and forms <= set(gpu.split("-"))}
        yield {gpu_of_instance(provider, name)}
        yield self._by_offering.get((provider, name), set())
        yield {meant for s in spellings if (meant := NAMES_IN_LISTS.get(s.strip().lower()))}

    def _named(self, spellings: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for spelling in spellings:
            named = set(self._known(spelling))
            found = (found & named or found) if found else named
        return found

    def _known(self, spelling: str) -> tuple[str, ...]:
        plain = re.sub(r"^(nvidia|amd|tesla|geforce)[ _-]+", "", spelling.strip().lower())
        parted = re.sub(r"(\d)(nvl|sxm|pcie)", r"\1-\2", plain)
        for name in dict.fromkeys((spelling, plain, parted)):
            found = self.catalog.gpus_named(name) if name else ()
            if found:
                return found
        meant = NAMES_IN_LISTS.get(plain, "")
        return (meant,) if meant in self.catalog.gpus else ()

    def _has_memory(self, gpu: str, memory_gib: float) -> bool:
        known = self.catalog.gpus[gpu].memory_gib
        if known is None:
            return True
        return abs(known - memory_gib) <= MEMORY_TOLERANCE * known


def base_catalog(base: str | Path) -> Catalog:
    """The catalog that the overlay will rest on."""
    return load_catalog(base)


def cheapest_of_each(rows: Iterable[Row], price: str, skipped: Skipped) -> list[Row]:
    """One row for each id and billing, in their order."""
    kept: dict[str, Row] = {}
    for row in rows:
        key = called(row)
        before = kept.get(key)
        if before is None:
            kept[key] = row
            continue
        same = before[price] == row[price]
        skipped.add(SAME_ROW if same else DEARER, key)
        if float(str(row[price])) < float(str(before[price])):
            kept[key] = row
    return [kept[key] for key in sorted(kept)]


def write_overlay(
    out: Path,
    file: str,
    read: PriceRows,
    *,
    tool: str,
    base: str | Path,
    catalog: Catalog,
    keep: bool = False,
) -> CatalogImport:
    """Write what was read as a folder that rests on `base` and loads.

    `out` must not exist. `catalog` is the base as it was read. Without `keep`, what the base sells
    of a provider under a billing that the rows have of it, and they do not name, is retired. Raises
    InputError when no row is left.
    """
    skipped = read.skipped
    as_of = max((dated.day for dated in read.dates), default=day_today())
    with new_folder(out) as folder:
        write_manifest(folder, manifest_of(f"{tool} import", tool, base, as_of))
        rows = write_checked(folder, {file: read.rows}, skipped, as_of, keep=keep)[file]
        if not rows:
            raise input_error(
                f"nothing can be used: {_commonest(skipped)}",
                file=str(out),
                hint="the folder was not written",
            )
        written = load_catalog(folder, as_of=max(as_of, day_today()))
    counts = dict(sorted(skipped.counts.items(), key=lambda item: (-item[1], item[0])))
    return CatalogImport(
        out,
        len(rows),
        file,
        counts,
        dict(skipped.examples),
        sellers=tuple(seller_changes(rows, catalog, keep=keep)),
        dates=tuple(read.dates),
        left_out=tuple(skipped.rows),
        warnings=tuple(told_prices(doubtful_prices(written))),
    )


def manifest_of(name: str, origin: str, base: str | Path, as_of: date) -> dict[str, object]:
    """`catalog.csv` of a folder of prices that rests on `base`."""
    shipped = base in shipped_catalogs()
    return {
        "name": name,
        "version": as_of.isoformat(),
        "date": as_of.isoformat(),
        "description": f"Prices converted from {origin}",
        "extends": str(base) if shipped else str(Path(base).absolute()),
    }


def write_checked(
    folder: Path,
    tables: Mapping[str, Sequence[Row]],
    skipped: Skipped,
    as_of: date,
    *,
    keep: bool = False,
) -> dict[str, list[Row]]:
    """Write the rows that the folder loads with, by file; the others are counted as refused."""
    left = {file: list(rows) for file, rows in tables.items()}
    for _ in range(MOST_CHECKS):
        if not any(left.values()):
            return left
        _write(folder, left, keep=keep)
        try:
            load_catalog(folder, as_of=max(as_of, day_today()))
        except InputError as error:
            if not any([_refused(file, rows, error, skipped) for file, rows in left.items()]):
                raise input_error(error.faults[0].message, file=error.faults[0].file) from None
        else:
            return left
    raise input_error("its prices contradict each other too much to be checked", file=str(folder))


def _write(folder: Path, tables: Mapping[str, Sequence[Row]], *, keep: bool) -> None:
    for file, rows in tables.items():
        (folder / file).unlink(missing_ok=True)
        if rows:
            write_table(folder / file, rows)
    if not keep:
        lines = retiring_lines(row for rows in tables.values() for row in rows)
        write_table(folder / RETIRED_FILE, list(lines))


def _refused(file: str, rows: list[Row], error: InputError, skipped: Skipped) -> bool:
    """Take out of `rows` what an error finds wrong in their file; whether there was any."""
    faulty = {f.line - 2: f for f in error.faults if f.file.endswith(file) and f.line > 1}
    for index, fault in sorted(faulty.items()):
        skipped.add(REFUSED, f"{fault.path}: {fault.message}; {called(rows[index])}")
    rows[:] = [row for index, row in enumerate(rows) if index not in faulty]
    return bool(faulty)


def _commonest(skipped: Skipped) -> str:
    reasons = [f"{count:,} × {reason}" for reason, count in skipped.counts.most_common(3)]
    return "; ".join(reasons) or "the files hold no rows"
