"""`milp-planner import`, `catalog import` and `catalog diff`: what others wrote, as our rows."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.parameters import AsJson, AsOf
from milp_planner.errors import input_error


class Peer(StrEnum):
    """Planners whose input is understood."""

    MELANGE = "melange"
    AIBRIX = "aibrix"


class CatalogFormat(StrEnum):
    """Published files that are understood: price lists, and what LLMs are published with."""

    SKYPILOT = "skypilot"
    GPUHUNT = "gpuhunt"
    LITELLM = "litellm"
    HF = "hf"


OutFolder = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Where to write; must not exist yet.")
]


def import_problem(
    peer: Annotated[Peer, typer.Argument(help="Whose input it is.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its JSON input.")],
    out: OutFolder,
    as_of: AsOf = None,
) -> int:
    """Turn another planner's input into a problem and a catalog folder."""
    from milp_planner.inputs.imports.aibrix import import_aibrix
    from milp_planner.inputs.imports.melange import import_melange

    importers: dict[Peer, Callable[..., Any]] = {
        Peer.MELANGE: import_melange,
        Peer.AIBRIX: import_aibrix,
    }
    written = importers[peer](file, out, as_of=as_of)
    streams.answer(f"{written.problem_path}\n")
    streams.warn(written.notes, quiet=False)
    return exit_codes.FOUND


def import_catalog(
    kind: Annotated[CatalogFormat, typer.Argument(metavar="skypilot|gpuhunt|litellm|hf")],
    files: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Published files; of hf also folders.")
    ],
    out: OutFolder,
    base: Annotated[
        str, typer.Option("--base", metavar="CATALOG", help="The catalog it extends.")
    ] = "market",
    hf_id: Annotated[
        str | None,
        typer.Option(
            "--hf-id", metavar="PUBLISHER/NAME", help="hf: the LLM's name, where no path says it."
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="NAME", help="Whose list it is; default: by its path."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep prices below that the list does not name.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name every row left out.")] = False,
    as_of: AsOf = None,
) -> int:
    """Turn published files into an overlay folder, offline: price lists, or LLMs (hf).

    A price list is whole: of a provider and billing that it has, prices of the catalog below that
    it does not name are retired. It is of the day that --as-of says, else of the day in the name of
    the file or its folder, else of the day on which the file was written.
    """
    flags = {"--provider": provider, "--keep": keep, "--verbose": verbose}
    if kind is CatalogFormat.HF:
        for flag in (flag for flag, given in flags.items() if given):
            raise input_error("is for price lists, and this is hf", path=flag)
        from milp_planner.inputs.imports.hf.importer import import_hf

        read = import_hf(files, out, base=base, as_of=as_of, hf_id=hf_id)
        streams.answer("\n".join(read.lines()) + "\n")
        return exit_codes.FOUND
    if hf_id is not None:
        raise input_error(f"is for hf, and this is {kind.value}", path="--hf-id")
    named = {} if provider is None else {"provider": provider}
    if named and kind is CatalogFormat.LITELLM:
        raise input_error("is for lists of GPUs; litellm names its providers", path="--provider")
    written = _price_importer(kind)(files, out, base=base, as_of=as_of, keep=keep, **named)
    streams.answer("\n".join(written.lines(verbose=verbose)) + "\n")
    streams.warn(written.warnings, quiet=False)
    return exit_codes.FOUND


def _price_importer(kind: CatalogFormat) -> Callable[..., Any]:
    from milp_planner.inputs.imports.gpuhunt import import_gpuhunt
    from milp_planner.inputs.imports.litellm import import_litellm
    from milp_planner.inputs.imports.skypilot import import_skypilot

    importers: dict[CatalogFormat, Callable[..., Any]] = {
        CatalogFormat.SKYPILOT: import_skypilot,
        CatalogFormat.GPUHUNT: import_gpuhunt,
        CatalogFormat.LITELLM: import_litellm,
    }
    return importers[kind]


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A shipped catalog, or a folder.")],
    after: Annotated[str, typer.Argument(metavar="B", help="A shipped catalog, or a folder.")],
    as_json: AsJson = False,
) -> int:
    """Say what differs between two catalogs: rows added, removed and changed."""
    from milp_planner.cli.parts.loading import read_named_catalog
    from milp_planner.inputs.catalog.diff import catalog_diff
    from milp_planner.reporting.documents.json import to_json

    found = catalog_diff(read_named_catalog(before), read_named_catalog(after))
    streams.answer(to_json(found.to_dict()) if as_json else "\n".join(found.lines()) + "\n")
    return exit_codes.FOUND
