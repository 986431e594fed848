"""Reads a catalog: folders of CSV files with one record a row, overlays on top of a base.

To add a kind of row, add its record and a field of `Catalog` to `records.py`, and a `Table` below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from milp_planner.errors import (
    MOST_FAULTS_SHOWN,
    Fault,
    InputError,
    argument_error,
    input_error,
)
from milp_planner.inputs.catalog.checks import (
    NAMES,
    Row,
    Rows,
    called,
    faults_of,
    unavailable,
)
from milp_planner.inputs.catalog.csv_rows import Cells, Table, fill_in, read_rows, validated
from milp_planner.inputs.catalog.folders import (
    Layer,
    Manifest,
    market_layer,
    read_layers,
    sha256_of,
    shipped_catalogs,
)
from milp_planner.inputs.catalog.identity.aliases import GpuAlias, LlmAlias
from milp_planner.inputs.catalog.identity.names import gpu_spelling, short_gpu_names
from milp_planner.inputs.catalog.identity.places import NO_PLACES, PLACES_FILE, Place, Places
from milp_planner.inputs.catalog.identity.sellers import (
    NO_SELLERS,
    SELLERS_FILE,
    SellerAlias,
    Sellers,
    sellers_of,
)
from milp_planner.inputs.catalog.llm_checks import shaped_as, why_no_shape
from milp_planner.inputs.catalog.merging import NOTHING_SOLD, RentedUnits, SoldUnits
from milp_planner.inputs.catalog.overlaid.counts import overlay_counts
from milp_planner.inputs.catalog.owned import SET_BY_OWNED, OwnedUnits, with_owned
from milp_planner.inputs.catalog.records import (
    Catalog,
    Gpu,
    Llm,
    Measurement,
    Offering,
    TokenPrice,
)
from milp_planner.inputs.catalog.retired import RETIRED_FILE, Retired, still_gone, take_away
from milp_planner.inputs.reading.arguments import paths_of
from milp_planner.inputs.reading.collecting import no_search_for_garbage
from milp_planner.lazily import dataclass, field, replace
from milp_planner.today import day_today

__all__ = ["MAX_OFFERINGS", "TABLES", "Table", "load_catalog", "shipped_catalogs"]

MAX_OFFERINGS = 200_000
ROWS_AT_ONCE = 10_000
ENOUGH_FAULTS = 1_000
"""Of one file: what comes after them is not looked at."""

ANY_LLM = "*"


def load_catalog(
    name_or_folder: str | Path = "market",
    *,
    base: Path | None = None,
    overlays: Iterable[str | Path] = (),
    as_of: date | None = None,
) -> Catalog:
    """The catalog of that name or in that folder, with overlays on top, every row checked.

    name_or_folder: `market` or `inference-atlas`, which come with the planner, or a folder of CSV
    files, which rests on the catalog that its `catalog.csv` says it `extends`, else on `market`.
    base: what a relative folder is relative to; default: the working directory. overlays: folders
    with rows of your own, the last one on top. as_of: the day taken for today; default: today.

    Returns a Catalog of records; prices in USD per hour of a whole unit.

    Raises InputError with every fault of every file, each with its line; ArgumentError for values
    of another type.

    >>> from milp_planner import load_catalog
    >>> catalog = load_catalog("inference-atlas")
    >>> catalog.name, sorted(catalog.gpus)[:2]
    ('inference-atlas', ['a100-40gb', 'a100-80gb'])
    """
    if not isinstance(name_or_folder, str | Path):
        given = type(name_or_folder).__name__
        raise argument_error(f"expected a name or a folder, not {given}", path="name_or_folder")
    if not name_or_folder:
        raise input_error("must not be empty", path="name_or_folder")
    overlays = paths_of("overlays", overlays, "folders")
    if as_of is not None and (not isinstance(as_of, date) or isinstance(as_of, datetime)):
        raise argument_error(f"expected a date, not {type(as_of).__name__}", path="as_of")
    layers = read_layers(name_or_folder, base or Path(), overlays, TABLES)
    with no_search_for_garbage():
        loader = _with_lowest(layers, as_of or day_today())
        for layer in layers[1:]:
            loader.add(layer, override=True)
        if loader.faults:
            raise InputError(loader.faults)
        return loader.catalog(layers)


_SOURCED = ("as_of", "source")
UNWRITTEN = ("override", "quote", "behind", "country", "group", "metro", *SET_BY_OWNED)
TABLES: dict[str, Table] = {
    "gpus.csv": Table(Gpu, ("id", "vendor", *_SOURCED)),
    "gpu_aliases.csv": Table(GpuAlias, ("alias", "gpu")),
    "llms.csv": Table(Llm, ("id", *_SOURCED)),
    "llm_aliases.csv": Table(LlmAlias, ("alias", "llm")),
    SELLERS_FILE: Table(SellerAlias, ("alias", "provider", "relation", "source")),
    PLACES_FILE: Table(Place, ("provider", "region", "country", "group", "source")),
    RETIRED_FILE: Table(Retired, ("provider", "billing", *_SOURCED)),
    "offerings.csv": Table(
        Offering,
        (
            *("provider", "name", "region", "billing", "gpu", "gpus_per_unit", "usd_per_hour"),
            *_SOURCED,
        ),
        prices=("usd_per_hour",),
        key="key",
        unwritten=(*UNWRITTEN, "list_usd_per_hour", "discount", "also_quoted", "other_ids"),
    ),
    "owned.csv": Table(
        OwnedUnits,
        (
            "provider",
            "name",
            "gpu",
            "gpus_per_unit",
            "purchase_usd",
            "lifetime_years",
            *_SOURCED,
        ),
    ),
    "token_prices.csv": Table(
        TokenPrice,
        ("provider", "llm", "usd_per_m_input_tokens", "usd_per_m_output_tokens", *_SOURCED),
        prices=("usd_per_m_input_tokens", "usd_per_m_output_tokens"),
        key="key",
        unwritten=(*UNWRITTEN, "billing", "discount"),
    ),
    "measurements.csv": Table(
        Measurement,
        ("llm", "gpu", "precision", "tensor_parallel", "output_tokens_per_second", *_SOURCED),
        key="key",
        unwritten=("override", "line"),
    ),
}
"""In reading order: a row may name what an earlier file defines."""

DEFINITIONS = ("gpus.csv", "gpu_aliases.csv", "llms.csv", "llm_aliases.csv")
SOLD = ("offerings.csv", "token_prices.csv")
OF_THE_WORLD = (SELLERS_FILE, PLACES_FILE)
LISTS_OF_NAMES = (*OF_THE_WORLD, "gpus.csv", "llms.csv", RETIRED_FILE)
FROM_SELLERS = (*SOLD, RETIRED_FILE)


@dataclass
class _Loader:
    """Puts layer on layer and collects faults; a fault in one file does not hide another's."""

    today: date
    faults: list[Fault] = field(default_factory=list)
    undefined: bool = False
    """Definitions are wanting, so that right rows would be called unknown: they are not read."""

    notes: list[str] = field(default_factory=list)
    merged: dict[str, dict[object, Row]] = field(default_factory=lambda: {n: {} for n in TABLES})
    lowest: dict[str, set[object]] = field(default_factory=dict)
    """Keys of the lowest layer, which the others are counted against."""

    retired: dict[object, tuple[Any, str]] = field(default_factory=dict)
    """Prices taken away, by key: (record, what did so)."""

    rented: RentedUnits = field(default_factory=RentedUnits)
    sold: SoldUnits = NOTHING_SOLD
    """What the layers so far make of the rented ones."""

    sellers: Sellers = NO_SELLERS
    places: Places = NO_PLACES
    so_far: Catalog = field(init=False)
    """What the layers make, once one was added."""

    def copy(self) -> _Loader:
        """Another one that goes on from here; records are shared, as nothing changes them."""
        other = replace(self, faults=[*self.faults], notes=[*self.notes], retired={**self.retired})
        other.merged = {name: {**rows} for name, rows in self.merged.items()}
        other.rented = self.rented.copy()
        other.so_far = self.so_far
        return other

    def add_names(self, layer: Layer) -> None:
        """What a layer says of the names of sellers and places, on top of those before."""
        for name in OF_THE_WORLD:
            if name in layer.files:
                self._add_file(layer, name, override=False)
        self.sellers = sellers_of(row.record for row in self.merged[SELLERS_FILE].values())
        self.places = Places.of(row.record for row in self.merged[PLACES_FILE].values())

    def add(self, layer: Layer, *, override: bool) -> None:
        """Put a layer on top of the ones before."""
        self.rented.begin_layer()
        faults_before = len(self.faults)
        names = [n for n in TABLES if n in layer.files and n not in OF_THE_WORLD]
        added = {n: self._add_file(layer, n, override) for n in names if n in DEFINITIONS}
        self.undefined = self.undefined or len(self.faults) > faults_before
        if not self.undefined:
            added |= {n: self._add_file(layer, n, override) for n in names if n not in DEFINITIONS}
        if not self.lowest:
            self.lowest = {name: {*rows} for name, rows in self.merged.items()}
        if len(self.merged["offerings.csv"]) > MAX_OFFERINGS:
            text = f"the catalog has more than {MAX_OFFERINGS:,} offerings, the most that is read"
            self.faults.append(Fault(f"{layer.label}offerings.csv", 0, 0, "", text))
        self.so_far = self._so_far()
        self.faults.extend(faults_of(Rows(added, self.so_far, layer.last_day(self.today))))

    def catalog(self, layers: Sequence[Layer]) -> Catalog:
        """What all layers together make."""
        sourced = [n for n, table in TABLES.items() if table.is_sourced and n != RETIRED_FILE]
        overlaid = overlay_counts(self.lowest, {n: self.merged[n] for n in sourced})
        so_far = self.so_far  # which further catalogs may go on from
        return replace(
            so_far,
            gpus={**so_far.gpus},
            llms={**so_far.llms},
            gpu_aliases={**so_far.gpu_aliases},
            llm_aliases={**so_far.llm_aliases},
            name=" + ".join(layer.name for layer in layers),
            version=" + ".join(v for layer in layers if (v := layer.manifest.version)) or "0",
            sha256=sha256_of(layers),
            overrides=overlaid.added + overlaid.replaced,
            overlaid=overlaid,
            retired=still_gone(self.retired, [self.merged[name] for name in SOLD]),
            made_on=max((day for layer in layers if (day := layer.manifest.date)), default=None),
            read_on=self.today,
            notes=(*self.notes, *self._passed_over()),
        )

    def _passed_over(self) -> Iterator[str]:
        """That a price of the user's own is not the one that counts."""
        for id_ in self.sold.passed_over if self.rented.depth else ():
            yield f"{id_}: its price does not count, another quote of the product is newer"

    def _add_file(self, layer: Layer, name: str, override: bool) -> list[Row]:
        """The usable rows of one file, now merged."""
        table, file = TABLES[name], f"{layer.label}{name}"
        try:
            found, faults = read_rows(layer.files[name], file, table.columns, table.required)
        except InputError as error:
            self.faults.extend(error.faults)
            return []
        self.faults.extend(faults)
        before = len(self.faults)
        rows: dict[object, Row] = {}
        unpriced: set[int] = set()
        unknown: set[int] = set()
        while some := [*islice(found, ROWS_AT_ONCE)]:
            if len(self.faults) - before > ENOUGH_FAULTS:
                text = "from here on rows were not looked at, as there are faults enough"
                self.faults.append(Fault(file, some[0][0], 0, "", text))
                break
            self._complete_cells(some, name, override=override)
            unpriced |= fill_in(some, table.prices)
            if name not in LISTS_OF_NAMES:
                unknown |= self._resolve_names(some, file)
            right, faults = validated(some, table, file)
            self.faults += faults
            self._add_distinct(right, rows, table)
        if name == "llms.csv":
            rows = self._completed(rows)
        return self._merge(name, rows, unpriced, unknown)

    def _complete_cells(self, rows: list[tuple[int, Cells]], name: str, *, override: bool) -> None:
        """Put what no file holds into the cells of one that was read, which nobody else has."""
        table = TABLES[name]
        mark = {"override": True} if override and table.is_sourced else {}
        for line, cells in rows:
            cells.update(mark)
            if "line" in table.unwritten:
                cells["line"] = line
            if name in FROM_SELLERS:
                self.sellers.rename(cells, owner=name in SOLD)
        if name in SOLD:
            self.places.add_places(rows)

    def _merge(
        self, name: str, rows: Mapping[object, Row], unpriced: set[int], unknown: set[int]
    ) -> list[Row]:
        """Add or replace rows; a row without a price takes away the one that it replaces."""
        merged, unused = self.merged[name], unpriced | unknown
        usable = {key: row for key, row in rows.items() if row.line not in unused}
        gone = {key: row for key, row in rows.items() if row.line in unpriced}
        taken = gone.keys() & merged.keys()
        if name == "offerings.csv":
            taken = self.rented.also_known(taken, merged)
            self.rented.add(usable, merged)
        for known in taken:
            del merged[known]
        merged |= usable
        if name == RETIRED_FILE:
            lines = [row.record for row in rows.values()]
            for sold in SOLD:
                self.retired |= {o.key: (o, by) for o, by in take_away(self.merged[sold], lines)}
        if gone:
            self.notes.append(unavailable([*gone.values()]))
        return [*usable.values()]

    def _resolve_names(self, rows: list[tuple[int, Cells]], file: str) -> set[int]:
        """Put ids for other names of GPUs and LLMs; returns the lines whose name is unknown."""
        names = self._names()
        columns = [(column, known(names), *say) for column, (known, *say) in NAMES.items()]
        unknown: set[int] = set()
        for line, cells in rows:
            for column, known, find, why_unknown in columns:
                name = cells.get(column)
                if name is None or name in known or name == ANY_LLM:
                    continue
                ids = find(names, name)
                # A stand-in, so that the row's other cells are still looked at.
                cells[column] = ids[0] if ids else "unknown"
                if len(ids) != 1:
                    unknown.add(line)
                    text = f"{name!r} is not in the catalog"
                    if len(unknown) <= MOST_FAULTS_SHOWN:  # looking for near names takes long
                        text = why_unknown(names, name)
                    self.faults.append(Fault(file, line, 0, column, text))
        return unknown

    def _add_distinct(self, rows: list[Row], first: dict[object, Row], table: Table) -> None:
        """Add rows to the first of each key."""
        key = attrgetter(table.key)
        for row in rows:
            kept = first.setdefault(key(row.record), row)
            if kept is not row:
                text = f"{called(row.record)} is given twice (first on line {kept.line})"
                self.faults.append(Fault(row.file, row.line, 0, "", text))

    def _completed(self, added: Mapping[object, Row]) -> dict[object, Row]:
        """LLMs with the fields that they take from those of their shape."""
        llms = {r.record.id: r.record for r in (*self.merged["llms.csv"].values(), *added.values())}
        return {key: self._shaped(row, llms) for key, row in added.items()}

    def _shaped(self, row: Row, llms: Mapping[str, Llm]) -> Row:
        shape = row.record.same_shape_as
        if shape is None:
            return row
        if why_not := why_no_shape(row.record, llms):
            self.faults.append(Fault(row.file, row.line, 0, "same_shape_as", why_not))
            return row
        return row._replace(record=shaped_as(row.record, llms[shape]))

    def _names(self) -> Catalog:
        """The catalog so far, with names only."""
        gpus, gpu_aliases, llms, llm_aliases = (
            [row.record for row in self.merged[name].values()] for name in DEFINITIONS
        )
        spellings = short_gpu_names(gpu.id for gpu in gpus)
        for row in gpu_aliases:
            key = gpu_spelling(row.alias)
            spellings[key] = tuple(sorted({*spellings.get(key, ()), row.gpu}))
        return Catalog(
            name="",
            version="",
            sha256="",
            gpus={gpu.id: gpu for gpu in sorted(gpus, key=lambda gpu: gpu.id)},
            llms={llm.id: llm for llm in sorted(llms, key=lambda llm: llm.id)},
            gpu_aliases=spellings,
            sellers=self.sellers,
            llm_aliases={llm.hf_id: llm.id for llm in llms if llm.hf_id}
            | {row.alias: row.llm for row in llm_aliases},
        )

    def _so_far(self) -> Catalog:
        owned, token_prices, measurements = (
            [row.record for row in self.merged[name].values()]
            for name in TABLES
            if name not in (*OF_THE_WORLD, *DEFINITIONS, RETIRED_FILE, "offerings.csv")
        )
        self.sold = self.rented.sold(self.merged["offerings.csv"])
        return replace(
            self._names(),
            offerings=with_owned(self.sold.offerings, owned),
            token_prices=tuple(sorted(token_prices, key=lambda row: row.key)),
            measurements=tuple(measurements),
        )


MOST_KNOWN = 2
_known: dict[tuple[str, Manifest, date], _Loader] = {}
"""Shipped catalogs that were read in this process, by all that they were made of and the day."""


def _with_lowest(layers: Sequence[Layer], today: date) -> _Loader:
    """All names of sellers and places, and the rows of the lowest layer.

    Most of the time goes into the rows of a shipped catalog, whatever lies above it.
    """
    names, lowest = market_layer(*OF_THE_WORLD), layers[0]
    key = sha256_of([names, lowest]), lowest.manifest, today
    renamed = any(name in layer.files for layer in layers[1:] for name in OF_THE_WORLD)
    if lowest.shipped and not renamed and key in _known:
        return _known[key].copy()
    loader = _Loader(today)
    for layer in (names, *layers):  # first: a name means one seller in all
        loader.add_names(layer)
    loader.add(lowest, override=False)
    if lowest.shipped and not renamed and not loader.faults:
        while len(_known) >= MOST_KNOWN:
            _known.pop(next(iter(_known)), None)
        _known[key] = loader.copy()
    return loader
