"""`catalog import hf`: published files of LLMs as an overlay of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from milp_planner.errors import input_error
from milp_planner.inputs.catalog.files import load_catalog, shipped_catalogs
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.tensor_groups import ATTENTION
from milp_planner.inputs.catalog.writing import new_folder, slug, write_manifest, write_table
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.files import Files, gather, read_object
from milp_planner.inputs.imports.hf.formats import group_formats, main_format, stored_bytes
from milp_planner.inputs.imports.hf.row import Facts, facts_of, id_of, llm_row
from milp_planner.inputs.imports.hf.safetensors import Sizes, group_of, read_header, sizes_of
from milp_planner.lazily import dataclass
from milp_planner.today import day_today
from milp_planner.units import BYTES_PER_GIB

AGREES = 0.02
"""Sizes that differ by less are those of norms, scales and rounding."""

OTHER_CHECKPOINT = 0.30
"""An index that differs by more is of another checkpoint."""

GB = 1e9
MOST_SIZE = 1e15
"""Bytes of a checkpoint: a thousand terabytes."""

Row = dict[str, object]


@dataclass(frozen=True)
class ReadLlm:
    """One LLM as read, and what to say of it."""

    row: Row
    aliases: tuple[str, ...]
    facts: Facts
    checkpoint_bytes: float
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people: the LLM, its size, and what is not known."""
        row = self.row
        size = f"{row['parameters_b']:g} B parameters, {row['active_parameters_b']:g} B active"
        gib = self.checkpoint_bytes / BYTES_PER_GIB
        stored = f"{row['native_precision']}, {self.checkpoint_bytes / GB:,.1f} GB ({gib:,.1f} GiB)"
        return [f"{row['id']}: {size}; {stored}", *(f"  {note}" for note in self.notes)]


@dataclass(frozen=True)
class HfImport:
    """What was written."""

    folder: Path
    llms: tuple[ReadLlm, ...]

    def lines(self) -> list[str]:
        """The report, for people."""
        count = "1 LLM" if len(self.llms) == 1 else f"{len(self.llms)} LLMs"
        described = (line for llm in self.llms for line in llm.lines())
        return [f"{self.folder}: {count} in llms.csv", *(f"  {line}" for line in described)]


def import_hf(
    paths: Sequence[str | Path],
    out: Path,
    *,
    base: str | Path = "market",
    as_of: date | None = None,
    source: str | None = None,
    hf_id: str | None = None,
) -> HfImport:
    """Write the rows of the LLMs that the files describe as an overlay folder `out` on `base`.

    `as_of` is the day the files are of, default today; `hf_id` the name of a single LLM whose files
    do not say it. Raises InputError for files of another kind, for an architecture that is not
    known, for rows that contradict themselves, and when `out` exists.
    """
    gathered = gather(paths)
    if hf_id and len(gathered) > 1:
        raise input_error(f"is one name, and there are {len(gathered)} LLMs", path="hf_id")
    known = load_catalog(base)
    llms = tuple(_each(gathered, hf_id, known))
    day = (as_of or day_today()).isoformat()
    rows = [llm.row | {"as_of": day, "source": source or _source(llm)} for llm in llms]
    _distinct(rows, out)
    aliases = [{"alias": name, "llm": llm.row["id"]} for llm in llms for name in llm.aliases]
    with new_folder(out) as folder:
        fields = {"name": slug(out.name) or "llms", "version": day, "date": day}
        fields["description"] = "LLMs read from their published files"
        write_manifest(folder, fields | {"extends": _extended(base)})
        write_table(folder / "llms.csv", rows)
        if aliases:
            write_table(folder / "llm_aliases.csv", aliases)
        load_catalog(folder, as_of=max(as_of or day_today(), day_today()))
    return HfImport(out, llms)


def _each(gathered: Sequence[Files], hf_id: str | None, known: Catalog) -> Iterator[ReadLlm]:
    """Two checkpoints of one known LLM, such as a tuned one, cannot both bear its id."""
    taken: set[object] = set()
    for files in gathered:
        llm = read_llm(files, hf_id=hf_id, known=known)
        if llm.row["id"] in taken:
            llm = read_llm(files, hf_id=hf_id)
        taken.add(llm.row["id"])
        yield llm


def read_llm(files: Files, *, hf_id: str | None = None, known: Catalog | None = None) -> ReadLlm:
    """The row of one LLM; one that is `known` in the same format keeps its id."""
    document = read_object(files.config or Path())
    config = Config.of(document, str(files.config))
    quantisation = read_object(files.quantisation) if files.quantisation else None
    facts = facts_of(config, quantisation, None)
    counted = stored_bytes(facts.groups, facts.formats.block)
    sizes, notes = _sizes(files, facts, counted)
    if sizes:
        facts = facts_of(config, quantisation, sizes)
    name = hf_id or files.hf_id(document)
    if not name:
        what = "does not say which LLM it is of"
        hint = "add --hf-id PUBLISHER/NAME, its name on Hugging Face"
        raise input_error(what, file=str(files.config), hint=hint)
    before = known.llm(name) if known else None
    same = before is not None and before.native_precision == main_format(facts.groups)
    id_ = before.id if before and same else id_of(name)
    row = llm_row(facts, id_=id_, hf_id=name)
    if facts.notes:
        row["note"] = "; ".join(facts.notes)
    aliases = tuple(alias for alias in (name, name.rsplit("/", 1)[-1]) if alias.lower() != id_)
    total = sizes.bytes if sizes else counted
    return ReadLlm(row, aliases, facts, total, (*facts.notes, *notes))


def _sizes(files: Files, facts: Facts, counted: float) -> tuple[Sizes | None, list[str]]:
    """Real sizes where the files give all of them, and how they compare with the config's."""
    index = read_object(files.index) if files.index else None
    layers = len(facts.shapes.layers)
    if files.tensors:
        headers = [read_header(path) for path in files.tensors]
        named = {name for header in headers for name in header}
        missing = set((index or {}).get("weight_map") or ()) - named
        if not missing and (index or not _is_shard(files.tensors)):
            return _held(sizes_of(headers, layers), facts, counted)
        text = f"headers give {len(named):,} tensors of {len(named | missing):,}"
        note = f"{text}; sizes are the config's until all files of the checkpoint are given"
        return None, [note]
    if index is None:
        return None, []
    return _by_index(index, files, facts, counted)


def _is_shard(paths: Sequence[Path]) -> bool:
    """Whether the files name themselves parts of more than there are."""
    return any(f"-of-{len(paths):05d}" not in p.name for p in paths if "-of-" in p.name)


def _held(sizes: Sizes, facts: Facts, counted: float) -> tuple[Sizes, list[str]]:
    notes = []
    if sizes.unknown:
        shown = ", ".join(sizes.unknown[:3])
        notes.append(f"{len(sizes.unknown)} tensors of no known group count as attention: {shown}")
    real = sum(sum(group.values()) for group in sizes.groups.values())
    config = sum(sum(group.values()) for group in facts.groups.values())
    notes.append(
        f"tensors hold {real / GB:,.3f} B parameters in {sizes.bytes / GB:,.1f} GB, "
        f"config.json gives {config / GB:,.3f} B in {counted / GB:,.1f} GB; taken from the tensors"
    )
    return sizes, notes


def _by_index(
    index: Mapping[str, Any], files: Files, facts: Facts, counted: float
) -> tuple[Sizes | None, list[str]]:
    """The index gives one sum: within 2 % it confirms the config, else the rest is attention."""
    names = index.get("weight_map") or {}
    total = (index.get("metadata") or {}).get("total_size")
    if not isinstance(total, int | float) or not 0 < total <= MOST_SIZE or not counted:
        raise input_error("gives no total_size", file=str(files.index), path="metadata")
    layers = len(facts.shapes.layers)
    drafts = [name for name in names if group_of(name, layers) == "draft"]
    draft = _draft_bytes(facts) if drafts else 0.0
    off = (total - draft) / counted - 1
    said = f"the index says {total / GB:,.1f} GB"
    said += f", {draft / GB:,.1f} GB of it a multi-token head" if draft else ""
    said += f"; config.json gives {counted / GB:,.1f} GB ({off:+.1%})"
    if abs(off) > OTHER_CHECKPOINT:
        raise input_error(f"{said}: is it of another checkpoint?", file=str(files.index))
    if abs(off) <= AGREES:
        return None, [said]
    return _corrected(facts, total - draft, counted), [f"{said}; the rest is put to attention"]


def _draft_bytes(facts: Facts) -> float:
    """A multi-token head is one more layer like the last, and a projection of two inputs."""
    hidden = facts.config.count("hidden_size")
    layer = group_formats(facts.shapes.layers[-1].modules, facts.formats)
    return stored_bytes(layer, facts.formats.block) + 2 * 2 * hidden * hidden


def _corrected(facts: Facts, total: float, counted: float) -> Sizes:
    groups = {name: dict(group) for name, group in facts.groups.items()}
    attention = groups.setdefault(ATTENTION, {})
    count = sum(attention.values())
    if not count:
        raise input_error("holds tensors that config.json does not tell of", file=facts.config.file)
    each = stored_bytes({ATTENTION: attention}, facts.formats.block) / count
    factor = max(0.0, 1 + (total - counted) / each / count)
    groups[ATTENTION] = {name: round(n * factor) for name, n in attention.items()}
    return Sizes(groups, total)


def _source(llm: ReadLlm) -> str:
    return f"{llm.row['hf_id']} config.json"


def _distinct(rows: Sequence[Row], out: Path) -> None:
    names = [row["id"] for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise input_error(f"{twice!r} is given twice", file=str(out))


def _extended(base: str | Path) -> str:
    return str(base) if base in shipped_catalogs() else str(Path(base).absolute())
