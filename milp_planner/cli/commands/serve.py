"""`milp-planner serve`: the planner as a page in the browser, and as an API."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import read_catalog, read_named_catalog, read_problem
from milp_planner.cli.parts.parameters import AsOf, CatalogName, Overlays, TimeLimit

if TYPE_CHECKING:
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.web.asking.sources import Sources

HERE = "127.0.0.1"
MOST_PORT = 65_535


def serve(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The problem that the page begins with."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=MOST_PORT, metavar="PORT", help="0 takes one that is free.")
    ] = 8000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Another one lets others in; there is no login.")
    ] = HERE,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Solves at once; default: one a processor."),
    ] = None,
    time_limit: TimeLimit = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
) -> int:
    """Serve a page to plan in the browser, and an API, until Ctrl-C."""
    from milp_planner.errors import PlannerError

    problem = None if file is None else read_problem(file)
    try:
        from milp_planner.web.app import Served
        from milp_planner.web.asking.answers import MOST_TIME_S, Answers
        from milp_planner.web.running import listening, run
        from milp_planner.web.server.solves import Solves
    except ModuleNotFoundError as error:
        raise PlannerError(
            f"serve needs {error.name}\n  hint: pip install 'milp-planner[web]'"
        ) from None
    with _sources(problem, file, catalog, overlay, as_of) as sources:
        answers = Answers(sources, MOST_TIME_S if time_limit is None else time_limit)
        with listening(host, port) as listener:
            taken = listener.getsockname()[1]
            if not _is_loopback(host):
                streams.warn(
                    [f"{host} can be reached from outside, and whoever reaches it may solve"],
                    quiet=False,
                )
            hosts = (host, socket.gethostname())
            served = Served(answers, Solves(jobs), hosts, _text_of(problem))
            run(served, listener, partial(_tell, f"http://{_shown(host)}:{taken}/"))
    return exit_codes.FOUND


def _sources(
    problem: Problem | None,
    file: str | None,
    catalog: str | None,
    overlays: list[Path] | None,
    as_of: date | None,
) -> Sources:
    """Catalogs and files: those that are shipped, and those of the problem that is served."""
    from milp_planner.inputs.catalog.files import load_catalog
    from milp_planner.inputs.problem.load import files_of, home_of
    from milp_planner.web.asking.sources import Sources

    sources = Sources(load=partial(load_catalog, as_of=as_of))
    if catalog is not None or overlays:
        sources.fixed = (
            read_named_catalog(catalog or "market", overlays, as_of)
            if problem is None or catalog is not None
            else read_catalog(problem, str(file), None, overlays, as_of)
        )
    if problem is not None:
        sources.own = {problem.catalog: read_catalog(problem, str(file), None, None, as_of)}
        named = files_of(problem)
        sources.own_files = {str(Path(n)): home_of(problem) / n for n in named}
    return sources


def _text_of(problem: Problem | None) -> str:
    """The file as it was read; '' for none."""
    from milp_planner.web.page.document import text_of

    return "" if problem is None else text_of(problem._origin.data)


def _tell(address: str) -> None:
    streams.answer(f"{address}\n")
    streams.finish()  # whoever waits for it reads it now


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
