"""`milp-planner catalog refresh`: today's public price lists; the only command with a network."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.parameters import AsJson, AsOf, Quiet


class PriceTool(StrEnum):
    """Who publishes price lists that are fetched."""

    SKYPILOT = "skypilot"
    GPUHUNT = "gpuhunt"
    LITELLM = "litellm"


def refresh(
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Where to write; an earlier refresh is replaced."
        ),
    ],
    base: Annotated[
        str, typer.Option("--base", metavar="CATALOG", help="The catalog it extends.")
    ] = "market",
    source: Annotated[
        list[PriceTool] | None,
        typer.Option("--source", help="Only this tool's lists; may be repeated."),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", metavar="NAME", help="Only this provider; may be repeated."),
    ] = None,
    skypilot_url: Annotated[
        str | None,
        typer.Option(
            envvar="MILP_PLANNER_SKYPILOT_URL", metavar="URL", help="Folder of SkyPilot's tables."
        ),
    ] = None,
    gpuhunt_url: Annotated[
        str | None,
        typer.Option(
            envvar="MILP_PLANNER_GPUHUNT_URL", metavar="URL", help="Folder of gpuhunt's catalogs."
        ),
    ] = None,
    litellm_url: Annotated[
        str | None,
        typer.Option(
            envvar="MILP_PLANNER_LITELLM_URL", metavar="URL", help="LiteLLM's file of prices."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name every row, and why others were left out.")
    ] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Fetch today's public price lists, and say what they change. Uses the network.

    SkyPilot's, gpuhunt's and LiteLLM's lists become one folder on top of the catalog, all or
    nothing. Of a provider that several of them have, the first is taken.
    """
    from milp_planner.inputs.imports.refresh.addresses import Addresses
    from milp_planner.inputs.imports.refresh.refresh import refresh_catalog
    from milp_planner.reporting.documents.json import to_json

    given = {"skypilot": skypilot_url, "gpuhunt": gpuhunt_url, "litellm": litellm_url}
    addresses = Addresses(**{name: url.rstrip("/") for name, url in given.items() if url})
    tools = [tool.value for tool in PriceTool if not source or tool in source]
    with streams.progress("fetching price lists", quiet=quiet or as_json):
        done = refresh_catalog(
            out,
            base=base,
            tools=tools,
            providers=provider or (),
            addresses=addresses,
            as_of=as_of,
        )
    lines = done.lines(verbose=verbose)
    streams.answer(to_json(done.to_dict()) if as_json else "\n".join(lines) + "\n")
    streams.warn(done.warnings, quiet=quiet)
    return exit_codes.FOUND
