"""What questions may be asked of: catalogs by name, and files that were uploaded.

A name in a request is looked up in a table here; it is never made into a path.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.folders import shipped_catalogs
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.reading.files import NOT_NAMED
from milp_planner.inputs.reading.records import CATALOG_KEY
from milp_planner.lazily import dataclass, field
from milp_planner.units import shown

MOST_UPLOADS = 100
MOST_UPLOADED_BYTES = 500_000_000
"""Of all uploads together; the oldest make room."""


class Uploads:
    """Files that were uploaded, under names of our own in a folder that goes when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="milp-planner-")
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, content: bytes) -> str:
        """Keep a file; its id, which is equal for equal files."""
        key = hashlib.sha256(content).hexdigest()
        with self._lock:
            if key not in self._sizes:
                (Path(self._folder.name) / key).write_bytes(content)
            self._sizes[key] = len(content)
            self._sizes.move_to_end(key)
            self._make_room()
        return key

    def path(self, key: str) -> Path | None:
        """Where a file lies; None where it was never uploaded, or made room for others."""
        with self._lock:
            known = key in self._sizes
        return Path(self._folder.name) / key if known else None

    def close(self) -> None:
        """Remove all of them."""
        with self._lock:
            self._sizes.clear()
            self._folder.cleanup()

    def _make_room(self) -> None:
        while len(self._sizes) > MOST_UPLOADS or sum(self._sizes.values()) > MOST_UPLOADED_BYTES:
            oldest, _ = self._sizes.popitem(last=False)
            (Path(self._folder.name) / oldest).unlink(missing_ok=True)


@dataclass
class Sources:
    """The catalogs and files that questions may name."""

    fixed: Catalog | None = None
    """The one that stands for every catalog that is named: that of the command line."""

    own: Mapping[str, Catalog] = field(default_factory=dict)
    """Of the file that is served, by the name it has there."""

    own_files: Mapping[str, Path] = field(default_factory=dict)
    """What the file that is served names, by the names they have there."""

    uploads: Uploads = field(default_factory=Uploads)
    load: Callable[[str], Catalog] = load_catalog
    _loaded: dict[str, Catalog] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.uploads.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Every catalog that may be named."""
        if self.fixed is not None:
            return (self.fixed.name,)
        return (*dict.fromkeys((*self.own, *shipped_catalogs())),)

    def catalog(self, name: str) -> Catalog:
        """The catalog of that name; raises InputError for any other name."""
        if self.fixed is not None:
            return self.fixed
        if name in self.own:
            return self.own[name]
        if name not in shipped_catalogs():
            raise input_error(
                f"{NOT_NAMED}: {shown(name)}{did_you_mean(name, self.names)}",
                path=CATALOG_KEY,
                hint=f"the catalogs here are {', '.join(self.names)}",
            )
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self.load(name)
            return self._loaded[name]

    def files(self, uploaded: Mapping[str, str]) -> dict[str, Path]:
        """Where the files lie that a question names; uploaded: ids by name.

        Raises InputError for one that is not here.
        """
        found = {**self.own_files}
        for name, key in uploaded.items():
            path = self.uploads.path(key)
            if path is None:
                raise input_error("is no longer here", path=name, hint="upload it again")
            found[str(Path(name))] = path
        return found


def sources_of(load: Callable[[str], Catalog] | None = None) -> Sources:
    """The shipped catalogs; load: how one is read, where ages are counted from another day."""
    return Sources(load=load_catalog if load is None else partial(load))
