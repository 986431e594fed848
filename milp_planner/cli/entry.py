"""Runs one command, and is the one place where an exception becomes an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from typing import Any

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.signals import Terminated, signals_raise, told_as
from milp_planner.errors import Fault, InputError, PlannerError, SolverError

PROGRAM = "milp-planner"
LONGEST_BUG = 200

OBJECTS_BETWEEN_COLLECTIONS = 250_000
"""Python's own 700 is for processes that stay: looking for garbage takes a tenth of all imports."""

NO_MORE_THREADS = ("can't start new thread", "can't create new thread at interpreter shutdown")
"""What Python says when the system gives it no further thread."""

NO_MORE = (
    "no further process or thread may be started\n"
    "  hint: raise their limit (ulimit -u), or end some of those that run"
)

COMPLETION_VARIABLE = "_MILP_PLANNER_COMPLETE"

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""What the argument parser raises. typer does not publish the class, only ones derived from it."""


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        with signals_raise():
            try:
                code = _guarded(arguments)
                streams.finish()
                return code
            except KeyboardInterrupt as stop:  # between the lines, or while an error was told
                return _explain(stop, arguments)
    except BrokenPipeError:
        streams.forget_streams()
        return exit_codes.READER_GONE
    except PlannerError as error:  # the last flush failed: a full disk
        with contextlib.suppress(OSError, PlannerError):
            streams.tell(error)
        streams.forget_streams()
        return exit_codes.INPUT


def _guarded(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        return _run([argument for argument in arguments if argument != "--debug"])
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug and not isinstance(error, typer.Exit):
            traceback.print_exc()
        is_end = isinstance(error, typer.Exit | typer.Abort)
        return _explain(error if is_end else told_as(error), arguments)


@cache
def _parser() -> Any:
    """The command with all its own, made once: that takes a twentieth of a second."""
    from milp_planner.cli.app import app

    return typer.main.get_command(app)


def _run(arguments: list[str]) -> int:
    command = _parser()
    if COMPLETION_VARIABLE in os.environ:
        command.main(arguments, prog_name=PROGRAM)
    # Not `command.main`, which would turn a broken pipe and Ctrl-C into codes of its own.
    with command.make_context(PROGRAM, arguments) as context:
        code = command.invoke(context)
    return code if isinstance(code, int) else exit_codes.FOUND


def _explain(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what happened, on stderr and with --json as a document too; return the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        terminated = isinstance(getattr(error, "cause", error), Terminated)
        streams.last_words("terminated" if terminated else "interrupted")
        return exit_codes.TERMINATED if terminated else exit_codes.INTERRUPTED
    code, message = _code_and_message(error)
    streams.tell(message)
    if wants_json(arguments):
        from milp_planner.reporting.documents.json import to_json

        with contextlib.suppress(PlannerError):  # a full disk: said already
            streams.answer(to_json({"error": _error_dict(error, code, message)}))
    return code


def _code_and_message(error: BaseException) -> tuple[int, str]:
    if isinstance(error, USAGE_ERROR):
        return exit_codes.INPUT, _usage_message(error)
    if isinstance(error, SolverError):
        return exit_codes.BUG, f"the solvers failed, which is not your fault: {error}"
    if isinstance(error, PlannerError):
        return exit_codes.INPUT, str(error)
    if isinstance(error, RuntimeError) and str(error) in NO_MORE_THREADS:
        return exit_codes.INPUT, f"the system refused: {NO_MORE}"
    if isinstance(error, OSError | MemoryError):
        return exit_codes.INPUT, f"the system refused: {_of_the_system(error)}"
    what = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_BUG].rstrip(": ")
    return exit_codes.BUG, f"this is a bug in milp-planner: {what}\n  hint: --debug shows where"


def _of_the_system(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, BlockingIOError):  # what starting a process is refused with
        return NO_MORE
    name = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{name}\n  hint: --debug shows where"


def _usage_message(error: Any) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else PROGRAM
    message = error.format_message().replace("Value error, ", "")  # typer's wording, not ours
    message = " ".join(message.split("\n\t"))  # it lists what may be chosen line by line
    return f"{command}: {message}\n  hint: {command} --help"


def _error_dict(error: BaseException, code: int, message: str) -> dict[str, object]:
    faults: Sequence[Fault] = error.faults if isinstance(error, InputError) else ()
    return {
        "exit_code": code,
        "message": message,
        "faults": [fault.to_dict() for fault in faults],
    }


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, read without a parser: it may be the faulty part."""
    before_end = list(takewhile(lambda argument: argument != "--", arguments))
    pairs = zip(before_end, [*before_end[1:], ""], strict=True)
    return any(
        name in ("--json", "--format=json")
        or _SHORT_JSON.fullmatch(name)
        or (value == "json" and (name == "--format" or _SHORT_FORMAT.fullmatch(name)))
        for name, value in pairs
    )


_SHORT_FORMAT = re.compile(r"-q*f")
_SHORT_JSON = re.compile(r"-q*fjson")
