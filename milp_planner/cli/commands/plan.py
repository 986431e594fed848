"""`milp-planner plan`: the sheet from one line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from milp_planner.cli.commands.solve import exit_code
from milp_planner.cli.parts import streams
from milp_planner.cli.parts.clock import command_began_s
from milp_planner.cli.parts.formats import STDOUT, check_ending, chosen_format, tell_written
from milp_planner.cli.parts.loading import inputs_of, read_catalog
from milp_planner.cli.parts.parameters import (
    AsOf,
    CatalogName,
    Overlays,
    Quiet,
    Reproducible,
    TimeLimit,
)
from milp_planner.cli.runs.sheets import HTML, MARKDOWN, SHEET, SHEET_FORMATS, SHEET_JSON, SheetRun
from milp_planner.deadline import counted_from

ENDINGS = {
    **dict.fromkeys((".html", ".htm"), HTML),
    **{".md": MARKDOWN, ".json": SHEET_JSON, ".txt": SHEET},
}
FILE = "-"
"""There is no file whose folder names could be relative to."""


def _word(help_: str, *, metavar: str) -> Any:
    return typer.Option(metavar=metavar, help=help_)


PARAMETERS = {"input_": "input", "output_tokens": "output", "output": "sheet"}
"""Parameters that are named otherwise than the word that they take: `-o` writes the sheet."""


def plan(
    context: typer.Context,
    llm: Annotated[str | None, _word("What to serve: llama-3.3-70b.", metavar="LLM")] = None,
    tokens_per_day: Annotated[
        str | None, _word("Input and output together: 5M.", metavar="TOKENS")
    ] = None,
    tokens_per_month: Annotated[
        str | None, _word("The same of 30 days: 150M.", metavar="TOKENS")
    ] = None,
    requests_per_second: Annotated[str | None, _word("At the peak: 6.", metavar="RATE")] = None,
    users: Annotated[str | None, _word("At a time; with --tokens-per-s.", metavar="N")] = None,
    tokens_per_s: Annotated[
        str | None, _word("Speed that each of them gets: 20.", metavar="SPEED")
    ] = None,
    pattern: Annotated[
        str | None, _word("steady, business_hours or bursty.", metavar="PATTERN")
    ] = None,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="TOKENS", help="Of a request; default: 1500.")
    ] = None,
    output_tokens: Annotated[
        str | None, typer.Option("--output", metavar="TOKENS", help="Of a request; default: 300.")
    ] = None,
    tpot: Annotated[str | None, _word("Time per output token: 50ms.", metavar="TIME")] = None,
    ttft: Annotated[str | None, _word("Time to first token: 2s.", metavar="TIME")] = None,
    precision: Annotated[
        str | None, _word("Weight formats to try: fp8,bf16.", metavar="FORMATS")
    ] = None,
    region: Annotated[
        str | None, _word("Groups, countries or names: eu,us.", metavar="REGIONS")
    ] = None,
    providers: Annotated[str | None, _word("Only these: aws,gcp.", metavar="PROVIDERS")] = None,
    gpus: Annotated[str | None, _word("Only these: h100-80gb-sxm.", metavar="GPUS")] = None,
    allow: Annotated[
        str | None,
        _word("Other ways to pay: spot,per_token,reserved_1y.", metavar="WAYS"),
    ] = None,
    budget: Annotated[str | None, _word("Most a month: 9000.", metavar="USD")] = None,
    survive_loss_of: Annotated[
        str | None, _word("provider, region, offering or spot.", metavar="WHAT")
    ] = None,
    today: Annotated[str | None, _word("Today's bill a month: 12k.", metavar="USD")] = None,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="FILE", help="Write the problem file that this stands for."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", metavar="FILE", help="Write the sheet here: .html, .md, .json, .txt."),
    ] = None,
    time_limit: TimeLimit = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    reproducible: Reproducible = False,
    no_choices: Annotated[
        bool, typer.Option("--no-choices", help="A sheet without other choices.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Plan one LLM from one line; --save writes the problem file that the line stands for."""
    began_s = command_began_s()
    words = _words(context)
    from milp_planner.errors import InputError
    from milp_planner.inputs.one_line import in_words, problem_of, problem_text
    from milp_planner.today import day_today

    output = None if output == STDOUT else output
    format_name = chosen_format(None, False, output, ENDINGS, SHEET_FORMATS, SHEET)
    check_ending(output, False, ENDINGS)
    problem = problem_of(words, _option)
    streams.check_output(output, inputs_of(problem, FILE, catalog, overlay))
    for note in _assumed(words):
        streams.warn([note], quiet=quiet)
    try:
        known = read_catalog(problem, FILE, catalog, overlay, as_of)
        if save is not None:
            streams.write_new_file(save, problem_text(words, _option))
            streams.tell(f"wrote {save}; next: milp-planner solve {save}")
        run = SheetRun(
            problem=problem,
            catalog=known,
            format_name=format_name,
            output=output,
            with_choices=not no_choices,
            reproducible=reproducible,
            quiet=quiet,
            today=as_of or day_today(),
            time_limit_s=time_limit,
            gap=None,
            solver=None,
        )
        with counted_from(began_s):
            found = run.write()
    except InputError as error:
        raise in_words(error, _option) from None
    tell_written(output, has_plan=found.status.has_plan, quiet=quiet)
    return exit_code(found, gate_failed=False, require_optimal=False)


def _words(context: typer.Context) -> dict[str, str]:
    """What was said, by the names of `WORDS`."""
    from milp_planner.inputs.one_line import WORDS

    named = ((PARAMETERS.get(name, name), value) for name, value in context.params.items())
    return {name: value for name, value in named if name in WORDS and value is not None}


def _option(word: str) -> str:
    """How the word is written on the command line."""
    return f"--{word.replace('_', '-')}"


def _assumed(words: Collection[str]) -> Iterator[str]:
    """Sizes of requests that nobody stated."""
    from milp_planner.inputs.one_line import USUAL_SIZES

    for size, tokens in USUAL_SIZES.items():
        if size not in words:
            many = f"{int(tokens):,} {size} tokens"
            yield f"requests of {many} are assumed: {_option(size)} says otherwise"
