"""`milp-planner catalog`: list, show and check what can be rented and served."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.parameters import AsJson, AsOf, Overlays


class Kind(StrEnum):
    """What a catalog lists."""

    LLMS = "llms"
    GPUS = "gpus"
    OFFERINGS = "offerings"
    PROVIDERS = "providers"


WhichCatalog = Annotated[
    str, typer.Option("--catalog", metavar="NAME", help="A shipped catalog, or a folder.")
]


def list_records(
    kind: Annotated[Kind | None, typer.Argument(help="Default: how many of each.")] = None,
    catalog: WhichCatalog = "market",
    overlay: Overlays = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> int:
    """List LLMs, GPUs, offerings or providers."""
    from milp_planner.cli.parts.loading import read_named_catalog
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.catalog import LISTS, overview
    from milp_planner.reporting.text.records import record_lines, table_lines

    known = read_named_catalog(catalog, overlay, as_of)
    if kind is None:
        facts = overview(known)
        streams.answer(to_json(facts) if as_json else _joined(record_lines(facts, indent="")))
        return exit_codes.FOUND
    records = LISTS[kind.value](known)
    streams.answer(to_json(records) if as_json else _joined(table_lines(records, indent="")))
    return exit_codes.FOUND


def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="An LLM, a GPU or an offering.")],
    catalog: WhichCatalog = "market",
    overlay: Overlays = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> int:
    """Show all that is known about one LLM, GPU or offering."""
    from milp_planner.cli.parts.loading import read_named_catalog
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.catalog import show_dict, show_text

    known = read_named_catalog(catalog, overlay, as_of)
    document = show_dict(known, name)
    streams.answer(to_json(document) if as_json else show_text(document))
    return exit_codes.FOUND


def check_folder(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A catalog or an overlay.")],
    as_of: AsOf = None,
    as_json: AsJson = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name every measurement set aside.")
    ] = False,
) -> int:
    """Check every row of a catalog folder."""
    from milp_planner.cli.parts.loading import shipped_name
    from milp_planner.inputs.catalog.folders import shipped_catalogs
    from milp_planner.inputs.doubtful_prices import doubtful_prices, told_prices
    from milp_planner.inputs.problem.load import load_named_catalog
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.catalog import overview
    from milp_planner.reporting.text.records import record_lines
    from milp_planner.serving.rates.doubtful_rows import told_slow, told_together
    from milp_planner.serving.rates.throughput import ServingModel

    named = shipped_name(str(folder)) or _folder_or_name(folder)
    known = load_named_catalog(named, as_of=as_of)
    facts = overview(known)
    model, every = ServingModel(known), named not in shipped_catalogs() and not known.overrides
    doubts = [
        *told_prices(doubtful_prices(known, every=every)),
        *told_slow(model.slow(every=every)),
    ]
    aside = list(model.set_aside())
    each = [str(row) for row in aside]
    streams.answer(
        to_json({"valid": True, **facts, "warnings": [*doubts, *known.notes, *each]})
        if as_json
        else _joined([f"{folder}: the catalog is in order", *record_lines(facts)])
    )
    told = each if verbose else [*told_together(aside)]
    for text in (*doubts, *known.notes, *told):
        streams.tell(f"warning: {text}")
    if len(told) < len(each):
        streams.tell("--verbose names every row set aside")
    return exit_codes.FOUND


def _folder_or_name(folder: Path) -> str | Path:
    """A folder stands before a shipped catalog of the same name."""
    try:
        return folder if folder.is_dir() else str(folder)
    except OSError:  # too long a name
        return str(folder)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n" if lines else ""
