"""Downloads the lists into a folder, each as the file that its import reads."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from milp_planner.errors import InputError, input_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.imports.gpuhunt import read_gpuhunt
from milp_planner.inputs.imports.litellm import read_litellm
from milp_planner.inputs.imports.overlay import PriceRows, provider_id
from milp_planner.inputs.imports.refresh.addresses import (
    GPUHUNT_PROVIDERS,
    SKYPILOT_CLOUDS,
    Addresses,
)
from milp_planner.inputs.imports.refresh.download import NotThere
from milp_planner.inputs.imports.skypilot import read_skypilot
from milp_planner.inputs.reading.files import MOST_BYTES
from milp_planner.lazily import dataclass, replace

Fetch = Callable[[str, int], bytes | NotThere]

VERSION = re.compile(r"(20\d{6})(-\d{1,12})?")
"""gpuhunt: the day, and the number of the run that collected it."""

MOST_VERSION_BYTES = 200
OFFERINGS, TOKENS = "offerings.csv", "token_prices.csv"


@dataclass(frozen=True)
class PublishedList:
    """One list, as it was read."""

    tool: str
    name: str
    """The cloud or provider as the tool calls it; '' of LiteLLM, whose list is of many."""

    url: str
    table: str
    """Which of our files its rows belong to."""

    read: PriceRows
    missing: str = ""
    """Why there is no list, in words; '' where there is one."""


@dataclass(frozen=True)
class Lists:
    """What reads a tool's lists."""

    fetch: Fetch
    folder: Path
    catalog: Catalog
    addresses: Addresses
    today: date
    providers: frozenset[str]
    """Only these, by our names; all where empty."""

    def skypilot(self) -> Iterator[PublishedList]:
        """The table of every cloud."""
        for cloud in self._wanted(SKYPILOT_CLOUDS):
            url = f"{self.addresses.skypilot}/{cloud}/vms.csv"
            published = PublishedList("SkyPilot", cloud, url, OFFERINGS, PriceRows())
            content = self._table(url)
            if isinstance(content, NotThere):
                yield replace(published, missing=content.said)
                continue
            file = self._saved(f"skypilot/{cloud}/vms.csv", content)
            said = f"SkyPilot catalog, {cloud}/vms.csv"
            with _said_of(url):
                read = read_skypilot(
                    [file], self.catalog, provider=cloud, as_of=self.today, source=said
                )
            yield replace(published, read=read)

    def gpuhunt(self) -> Iterator[PublishedList]:
        """The table of every provider, dated by its version."""
        for name in self._wanted(GPUHUNT_PROVIDERS):
            about = f"{self.addresses.gpuhunt}/{name}/version"
            published = PublishedList("gpuhunt", name, about, OFFERINGS, PriceRows())
            version = self._version(about)
            if isinstance(version, NotThere):
                yield replace(published, missing=version.said)
                continue
            url = f"{self.addresses.gpuhunt}/{name}/{version[0]}/catalog.zip"
            content = self._unzipped(url, f"{name}.csv")
            file = self._saved(f"gpuhunt/{name}.csv", content)
            said, day = f"gpuhunt catalog, {name}.csv of {version[0]}", min(version[1], self.today)
            with _said_of(url):
                read = read_gpuhunt([file], self.catalog, provider=name, as_of=day, source=said)
            yield replace(published, url=url, read=read)

    def litellm(self) -> Iterator[PublishedList]:
        """The one file of token prices."""
        url = self.addresses.litellm
        file = self._saved("litellm/prices.json", self._there(url))
        said = "LiteLLM, model_prices_and_context_window.json"
        with _said_of(url):
            read = read_litellm([file], self.catalog, as_of=self.today, source=said)
        if self.providers:
            read.rows = [row for row in read.rows if row["provider"] in self.providers]
        yield PublishedList("LiteLLM", "", url, TOKENS, read)

    def _wanted(self, names: tuple[str, ...]) -> list[str]:
        sellers = self.catalog.sellers
        return [n for n in names if not self.providers or provider_id(n, sellers) in self.providers]

    def _saved(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def _there(self, url: str) -> bytes:
        """What must be there."""
        content = self.fetch(url, MOST_BYTES)
        if isinstance(content, NotThere):
            raise input_error(content.said, file=url)
        return content

    def _table(self, url: str) -> bytes | NotThere:
        content = self.fetch(url, MOST_BYTES)
        if isinstance(content, bytes) and not content.endswith(b"\n"):
            raise input_error("is no whole table: its last line is cut off", file=url)
        return content

    def _version(self, url: str) -> tuple[str, date] | NotThere:
        """(version, its day)."""
        content = self.fetch(url, MOST_VERSION_BYTES)
        if isinstance(content, NotThere):
            return content
        text = content.decode("ascii", "replace").strip()
        found = VERSION.fullmatch(text)
        try:
            day = date.fromisoformat(found[1]) if found else None
        except ValueError:  # 20260230
            day = None
        if day is None:
            raise input_error(f"names no version such as 20260801-123 (is {text!r})", file=url)
        return text, day

    def _unzipped(self, url: str, member: str) -> bytes:
        content = self._there(url)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                if packed.getinfo(member).file_size > MOST_BYTES:
                    raise input_error(f"{member} is larger than {MOST_BYTES / 1e6:g} MB", file=url)
                return packed.read(member)
        except KeyError:
            raise input_error(f"holds no {member}", file=url) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise input_error(f"is no whole zip file: {error}", file=url) from None


@contextmanager
def _said_of(url: str) -> Iterator[None]:
    """Faults of a file that was fetched are those of the file at its address."""
    try:
        yield
    except InputError as error:
        raise InputError(replace(fault, file=url) for fault in error.faults) from None


TOOLS: dict[str, Callable[[Lists], Iterator[PublishedList]]] = {
    "skypilot": Lists.skypilot,
    "gpuhunt": Lists.gpuhunt,
    "litellm": Lists.litellm,
}
"""In the order in which they are preferred where two have a provider's prices."""
