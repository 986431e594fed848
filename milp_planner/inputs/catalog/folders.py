"""Finds the folders of a catalog, shipped or the user's own, and reads their files as bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from milp_planner.errors import Fault, InputError, did_you_mean, input_error
from milp_planner.inputs.catalog.csv_rows import read_rows, wording
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass, replace
from milp_planner.units import shown

MANIFEST = "catalog.csv"
STANDS_ALONE = "none"
DEFAULT_BASE = "market"
MAX_FILE_BYTES = 5_000_000
MAX_BYTES_OF = {"offerings.csv": 50_000_000}
"""The one file that grows with the market: 200,000 rows of the shipped one's length are 36 MB."""

MAX_LAYERS = 10


class Manifest(Frozen):
    """What `catalog.csv` says of its folder: two columns, `field` and `value`."""

    name: str = ""
    version: str = ""
    date: dt.date | None = None
    """The day the catalog was made; no row of a shipped catalog is younger."""

    description: str = ""
    extends: str = ""
    """The catalog under this one, a name or a folder; `none` for one that stands alone."""


@dataclass(frozen=True)
class Layer:
    """One folder of a catalog, and its files."""

    label: str
    """The folder as the user named it, with a closing slash; '' for a shipped catalog."""

    name: str
    files: Mapping[str, bytes]
    manifest: Manifest
    shipped: bool

    def last_day(self, today: dt.date) -> dt.date:
        """The youngest a row may be; the clock may be behind a shipped catalog."""
        made_on = self.manifest.date if self.shipped else None
        return max(today, made_on or today)


def shipped_catalogs() -> tuple[str, ...]:
    """Names of the catalogs that come with milp_planner."""
    folders = _shipped_root().iterdir()
    return tuple(sorted(f.name for f in folders if f.joinpath(MANIFEST).is_file()))


def read_layers(
    name_or_folder: str | Path, base: Path, overlays: Sequence[Path], tables: Collection[str]
) -> list[Layer]:
    """The layers of that catalog, lowest first, and the overlays on top; checks no row."""
    layers = [_read_layer(name_or_folder, base, tables)]
    named = name_or_folder
    while below := _extended(layers[0]):
        if len(layers) == MAX_LAYERS:
            raise input_error(
                f"'extends' leads through more than {MAX_LAYERS} folders; is it a circle?",
                file=f"{layers[-1].label}{MANIFEST}",
            )
        base = base / named
        named = below
        try:
            layers.insert(0, _read_layer(named, base, tables))
        except InputError as error:
            at = f"{layers[0].label}{MANIFEST}"
            raise InputError(
                replace(fault, file=at, path="extends") if fault.path == "catalog" else fault
                for fault in error.faults
            ) from None
    return layers + [_read_overlay(overlay, tables) for overlay in overlays]


def market_layer(*names: str) -> Layer:
    """Tables of `market` that lie below every catalog, also one that stands alone: what sellers and
    places are called is so whatever they sell."""
    folder = _shipped_root().joinpath(DEFAULT_BASE)
    files = {name: folder.joinpath(name).read_bytes() for name in names}
    return Layer("", DEFAULT_BASE, files, Manifest(), shipped=True)


def sha256_of(layers: Sequence[Layer]) -> str:
    """Hash of all files in the order of layers and names."""
    digest = hashlib.sha256()
    for layer in layers:
        for name, content in sorted(layer.files.items()):
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _read_overlay(overlay: Path, tables: Collection[str]) -> Layer:
    try:
        return _read_layer(overlay, base=Path(), tables=tables)
    except InputError as error:
        if any(fault.path == "catalog" for fault in error.faults):
            text = "there is no such folder; an overlay is a folder of CSV files"
            raise input_error(text, file=str(overlay)) from None
        raise


def _extended(layer: Layer) -> str:
    """The catalog under a layer, '' at the bottom."""
    if layer.shipped or layer.manifest.extends == STANDS_ALONE:
        return ""
    return layer.manifest.extends or DEFAULT_BASE


def _read_layer(named: str | Path, base: Path, tables: Collection[str]) -> Layer:
    name = _shipped_name(named, base)
    shipped = name is not None
    if shipped:
        folder: Traversable = _shipped_root().joinpath(str(name))
    else:
        folder = _user_folder(named, base)
    label = "" if shipped else f"{str(named).rstrip('/')}/"
    files = _read_files(folder, label, (MANIFEST, *tables), limited=not shipped)
    manifest = _read_manifest(files.pop(MANIFEST, None), f"{label}{MANIFEST}")
    return Layer(label, manifest.name or folder.name, files, manifest, shipped)


def _shipped_name(named: str | Path, base: Path) -> str | None:
    """Which shipped catalog is meant, by name or by its own folder; None where none is."""
    if named in shipped_catalogs():
        return str(named)
    try:
        folder = (base / Path(named).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):  # no folder can have that name
        return None
    paths = {name: Path(str(_shipped_root().joinpath(name))) for name in shipped_catalogs()}
    return next((name for name, path in paths.items() if path.resolve() == folder), None)


def _shipped_root() -> Traversable:
    """`milp_planner/_catalogs` in a wheel or zip, `catalogs` beside the package in a checkout."""
    packed = resources.files("milp_planner").joinpath("_catalogs")
    return packed if packed.is_dir() else Path(__file__).resolve().parents[3] / "catalogs"


def _user_folder(named: str | Path, base: Path) -> Path:
    why = ""
    try:
        folder = base / Path(named).expanduser()
        if folder.is_dir():
            return folder
        if folder.exists():
            what = "is not a folder; a catalog is a folder of CSV files"
            raise input_error(what, file=str(named))
    except (OSError, RuntimeError) as error:  # too long a name, `~nobody`
        why = f": {getattr(error, 'strerror', None) or error}"
    names = shipped_catalogs()
    raise input_error(
        f"no catalog {shown(str(named))}{why}{did_you_mean(str(named), names)}",
        path="catalog",
        hint=f"the shipped ones are {', '.join(names)}; anything else is the path of a folder",
    )


def _read_files(
    folder: Traversable, label: str, known: Sequence[str], *, limited: bool
) -> dict[str, bytes]:
    found = {f.name: f for f in folder.iterdir() if f.name.lower().endswith(".csv")}
    files: dict[str, bytes] = {}
    faults = [] if found else [Fault(label, 0, 0, "", f"holds none of {', '.join(known)}")]
    for name in sorted(found):
        if name not in known:
            text = f"unknown file{did_you_mean(name, known)}"
            faults.append(Fault(f"{label}{name}", 0, 0, "", text, f"known: {', '.join(known)}"))
            continue
        try:
            most_bytes = MAX_BYTES_OF.get(name, MAX_FILE_BYTES)
            files[name] = _read_bytes(found[name], most_bytes if limited else None)
        except PermissionError:
            faults.append(Fault(f"{label}{name}", 0, 0, "", "permission denied"))
        except (OSError, ValueError) as problem:
            faults.append(Fault(f"{label}{name}", 0, 0, "", str(problem)))
    if faults:
        raise InputError(faults)
    return files


def _read_bytes(file: Traversable, most_bytes: int | None) -> bytes:
    if not file.is_file():  # a pipe that nobody writes to would be waited for
        raise ValueError("is not a file; a catalog is a folder of CSV files")
    with file.open("rb") as stream:
        content = stream.read() if most_bytes is None else stream.read(most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise ValueError(f"is larger than {most_bytes / 1e6:g} MB, the most that is read")
    return content


def _read_manifest(content: bytes | None, file: str) -> Manifest:
    if content is None:
        return Manifest()
    rows, faults = read_rows(content, file, ("field", "value"), ("field", "value"))
    given: dict[str, str] = {}
    line_of: dict[str, int] = {}
    for line, cells in rows:
        key = cells.get("field", "")
        if key not in Manifest.model_fields:
            text = f"unknown field{did_you_mean(key, Manifest.model_fields)}"
            faults.append(Fault(file, line, 0, key, text))
        elif key in line_of:
            faults.append(Fault(file, line, 0, key, f"given twice (first on line {line_of[key]})"))
        else:
            line_of[key] = line
            given |= {key: cells["value"]} if "value" in cells else {}
    try:
        manifest = Manifest.model_validate(given)
    except ValidationError as error:
        for e in error.errors():
            key = str(e["loc"][0])
            faults.append(Fault(file, line_of.get(key, 0), 0, key, wording(e)))
    if faults:
        raise InputError(faults)
    return manifest
