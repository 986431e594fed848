"""The commands and their names. To add one, name its function here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from milp_planner.cli.commands.candidates import candidates, options
from milp_planner.cli.commands.catalogs.calibrate import calibrate
from milp_planner.cli.commands.catalogs.catalog import check_folder, list_records, show
from milp_planner.cli.commands.catalogs.import_files import diff, import_catalog, import_problem
from milp_planner.cli.commands.catalogs.refresh import refresh
from milp_planner.cli.commands.check import check
from milp_planner.cli.commands.diff import diff_plans
from milp_planner.cli.commands.estimate import estimate
from milp_planner.cli.commands.evaluate import evaluate
from milp_planner.cli.commands.explain import explain
from milp_planner.cli.commands.files.export import export
from milp_planner.cli.commands.files.futures import futures
from milp_planner.cli.commands.files.review import review
from milp_planner.cli.commands.init import init
from milp_planner.cli.commands.plan import plan
from milp_planner.cli.commands.replay import replay
from milp_planner.cli.commands.report import report
from milp_planner.cli.commands.schema import schema
from milp_planner.cli.commands.serve import serve
from milp_planner.cli.commands.solve import solve
from milp_planner.cli.commands.traffic import traffic
from milp_planner.cli.commands.what_if import what_if
from milp_planner.cli.parts import exit_codes

KEEP_LINES = "\b"
EXIT_CODE_HELP = "\n".join(
    [
        KEEP_LINES,
        "Exit codes:",
        *(f"  {code:>3}  {meaning}" for code, meaning in exit_codes.EXIT_CODES.items()),
    ]
)

# Without rich's markup, no name from a file can ever be read as markup, and --help starts quickly.
app = typer.Typer(
    help="Plans the cheapest mixed fleet of GPUs for LLM inference, and proves it.",
    epilog=EXIT_CODE_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
catalog_app = typer.Typer(help="Look into a catalog.", rich_markup_mode=None)


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


app.command()(solve)
app.command()(plan)
app.command()(report)
app.command()(serve)
app.command()(what_if)
app.command()(explain)
app.command()(evaluate)
app.command()(replay)
app.command()(check)
app.command()(candidates)
app.command("options", hidden=True)(options)  # what `candidates` was called
app.command("diff")(diff_plans)
app.command()(export)
app.command()(review)
app.command()(traffic)
app.command()(futures)
app.command()(estimate)
app.command()(calibrate)
app.command("import")(import_problem)
app.command()(init)
app.command()(schema)
catalog_app.command("list")(list_records)
catalog_app.command("show")(show)
catalog_app.command("check")(check_folder)
catalog_app.command("diff")(diff)
catalog_app.command("import")(import_catalog)
catalog_app.command("refresh")(refresh)
app.add_typer(catalog_app, name="catalog")
