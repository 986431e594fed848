"""Which files belong to one LLM: folders, or files named on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from milp_planner.errors import InputError, input_error
from milp_planner.inputs.imports.hf.config_kinds import kind_faults
from milp_planner.inputs.reading.files import read_text
from milp_planner.inputs.reading.strict_json import parse_json
from milp_planner.lazily import dataclass, field

CONFIG, QUANTISATION, INDEX = "config.json", "hf_quant_config.json", "model.safetensors.index.json"
SAFETENSORS = ".safetensors"
_NAMED = re.compile(rf"^(.*?)({re.escape(QUANTISATION)}|{re.escape(CONFIG)}|{re.escape(INDEX)})$")
_PUBLISHED = re.compile(r"^([\w.-]+?)--([\w.-]+?)_?$")
_CACHED = re.compile(r"^models--([\w.-]+?)--([\w.-]+)$")


@dataclass
class Files:
    """The files of one LLM."""

    folder: Path
    prefix: str
    """What stands before `config.json` in the name, such as `Qwen--Qwen3-8B_`."""

    config: Path | None = None
    quantisation: Path | None = None
    index: Path | None = None
    tensors: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first of them, for messages."""
        given = (self.config, self.quantisation, self.index, *self.tensors)
        return str(next((path for path in given if path), self.folder))

    def hf_id(self, document: dict[str, Any]) -> str:
        """`publisher/name`, from the names of files and folders or the config; '' if none says."""
        if found := _PUBLISHED.match(self.prefix):
            return f"{found[1]}/{found[2]}"
        for part in reversed(self.folder.absolute().parts):
            if found := _CACHED.match(part) or _PUBLISHED.match(part):
                return f"{found[1]}/{found[2]}"
        stated = str(document.get("_name_or_path") or "")
        return stated if re.fullmatch(r"[\w.-]+/[\w.-]+", stated) else ""


def gather(paths: Sequence[str | Path]) -> list[Files]:
    """The files of each LLM that the paths mean; raises InputError for one that means none."""
    found: dict[tuple[Path, str], Files] = {}
    for path in map(Path, paths):
        for member in _members(path):
            folder, prefix = member.parent, _prefix(member)
            files = found.setdefault((folder, prefix), Files(folder, prefix))
            _put(files, member)
    for files in found.values():
        _complete(files)
    return list(found.values())


def _members(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    known = {CONFIG, QUANTISATION, INDEX}
    members = [p for p in sorted(path.iterdir()) if p.name in known or p.suffix == SAFETENSORS]
    if not members:
        raise input_error(f"holds no {CONFIG}", file=str(path))
    return members


def _prefix(path: Path) -> str:
    named = _NAMED.match(path.name)
    return named[1] if named else ""


def _put(files: Files, path: Path) -> None:
    if path.suffix == SAFETENSORS:
        files.tensors.append(path)
    elif path.name.endswith(INDEX):
        files.index = path
    elif path.name.endswith(QUANTISATION):
        files.quantisation = path
    elif path.name.endswith(CONFIG):
        files.config = path
    else:
        names = f"a folder, {CONFIG}, {QUANTISATION}, {INDEX} or a {SAFETENSORS} file"
        raise input_error(f"is not known by its name; give {names}", file=str(path))


def _complete(files: Files) -> None:
    """Put what lies beside: the config without which nothing is known, and its quantisation."""
    beside = files.folder / f"{files.prefix}{CONFIG}"
    files.config = files.config or (beside if beside.is_file() else None)
    beside = files.folder / f"{files.prefix}{QUANTISATION}"
    files.quantisation = files.quantisation or (beside if beside.is_file() else None)
    if files.config is None:
        raise input_error(f"needs its {CONFIG}; give that too", file=files.name)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, its keys of their kinds; configs hold infinities, unlike plain JSON."""
    document = parse_json(read_text(path), str(path), infinities=True)
    if not isinstance(document, dict):
        raise input_error("holds no JSON object", file=str(path))
    if faults := list(kind_faults(document, str(path))):
        raise InputError(faults)
    return document
