"""The commands and their names. To add one, name its function here.

A command is imported, and its options are read, once somebody asks for it: with all of them every
start would take a twentieth of a second of a processor more.
"""

from __future__ import annotations

import importlib
import sys
from collections import UserDict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from milp_planner.cli.parts import exit_codes

COMMANDS_FOLDER = "milp_planner.cli.commands"

CATALOG_COMMANDS = {
    "list": "catalogs.catalog:list_records",
    "show": "catalogs.catalog:show",
    "check": "catalogs.catalog:check_folder",
    "diff": "catalogs.import_files:diff",
    "import": "catalogs.import_files:import_catalog",
    "refresh": "catalogs.refresh:refresh",
}
"""Module, in the folder of commands, and function of what is below `catalog`."""

CATALOG = "catalog"

COMMANDS = {
    "solve": "solve:solve",
    "plan": "plan:plan",
    "report": "report:report",
    "serve": "serve:serve",
    "what-if": "what_if:what_if",
    "explain": "explain:explain",
    "evaluate": "evaluate:evaluate",
    "replay": "replay:replay",
    "check": "check:check",
    "candidates": "candidates:candidates",
    "options": "candidates:options",
    "diff": "diff:diff_plans",
    "export": "files.export:export",
    "review": "files.review:review",
    "traffic": "traffic:traffic",
    "futures": "files.futures:futures",
    "estimate": "estimate:estimate",
    "calibrate": "catalogs.calibrate:calibrate",
    "import": "catalogs.import_files:import_problem",
    "init": "init:init",
    "schema": "schema:schema",
    CATALOG: "",
}
"""The same of all others; `catalog` is a group, which has no function."""

OLD_WORDS = frozenset({"options"})
"""What `candidates` was called: it runs, and no help shows it."""

KEEP_LINES = "\b"
EXIT_CODE_HELP = "\n".join(
    [
        KEEP_LINES,
        "Exit codes:",
        *(f"  {code:>3}  {meaning}" for code, meaning in exit_codes.EXIT_CODES.items()),
    ]
)


class _OnDemand(UserDict[str, Any]):
    """Commands by name; until one is looked at, the words that say where its function is."""

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, str):
            found = self.data[name] = _command(name, found)
        return found


def _command(name: str, function: str) -> Any:
    """What the parser knows of one command: its parameters, its help and what it calls."""
    if name == CATALOG:
        return typer.main.get_command(catalog_app)
    module, _, called = function.partition(":")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    imported = importlib.import_module(f"{COMMANDS_FOLDER}.{module}")
    alone.command(name, hidden=name in OLD_WORDS)(getattr(imported, called))
    return typer.main.get_command(alone)


class _Commands(TyperGroup):
    """All commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _OnDemand(COMMANDS)


class _CatalogCommands(TyperGroup):
    """The commands below `catalog`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _OnDemand(CATALOG_COMMANDS)


# Without rich's markup, no name from a file can ever be read as markup, and --help starts quickly.
app = typer.Typer(
    cls=_Commands,
    help="Plans the cheapest mixed fleet of GPUs for LLM inference, and proves it.",
    epilog=EXIT_CODE_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
catalog_app = typer.Typer(
    name=CATALOG,
    cls=_CatalogCommands,
    help="Look into a catalog.",
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")] = False,
) -> int:
    """Print the version, or the help where no command is named."""
    from milp_planner._version import __version__

    if version:
        typer.echo(f"milp-planner {__version__}")
        raise typer.Exit(exit_codes.FOUND)
    return need_command(context)


@catalog_app.callback(invoke_without_command=True)
def need_command(context: typer.Context) -> int:
    """Look into a catalog."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(exit_codes.INPUT)
    return exit_codes.FOUND
