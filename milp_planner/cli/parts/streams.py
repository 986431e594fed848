"""Everything the command line writes: the answer to stdout or a file, all else to stderr."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from milp_planner.cli.parts import bars
from milp_planner.cli.parts.signals import LONGEST_WAIT_S, signals_wait
from milp_planner.errors import PlannerError

MOST_WARNINGS_SHOWN = 5
LAST_WORDS_S = 0.2
"""How long it may take to say that a signal ended the command."""
TEMPORARY = ".milp-planner-"  # what a file is called until it is whole


def answer(text: str) -> None:
    """Write a finished text to stdout; what could steer a terminal is made visible."""
    _write(sys.stdout, _escaped(text))


def answer_report(text: str) -> None:
    """Write a text report to stdout, its first line bold where a person reads it."""
    safe = _escaped(text)
    if _is_colourful(sys.stdout):
        first, rest = safe.split("\n", 1)
        safe = f"\x1b[1m{first}\x1b[0m\n{rest}"
    _write(sys.stdout, safe)


def tell(text: object) -> None:
    """Say something about the answer on stderr; what could steer a terminal is made visible."""
    _write(sys.stderr, _escaped(text) + "\n")


def warn(warnings: Iterable[str], *, quiet: bool) -> None:
    """Warnings on stderr, unless the user asked for quiet."""
    if quiet:
        return
    different = list(dict.fromkeys(warnings))
    for warning in different[:MOST_WARNINGS_SHOWN]:
        tell(f"warning: {warning}")
    if len(different) > MOST_WARNINGS_SHOWN:
        tell(f"and {len(different) - MOST_WARNINGS_SHOWN} more warnings; --json gives them all")


@contextlib.contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[None]:
    """Show on a terminal's stderr that work is going on."""
    if quiet or not _is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.text import Text

    status = Console(stderr=True).status(Text(what))  # a Text, so that no name is read as markup
    with status, bars.reading(quiet=quiet, beside=status):
        yield


def check_output(path: Path | None, inputs: Iterable[Path]) -> None:
    """Refuse an output that cannot be written or would overwrite an input, before any work."""
    if path is None:
        return
    try:
        fault = _fault_of_output(path) or next(filter(None, (_clash(path, i) for i in inputs)), "")
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, a circle of links
        fault = getattr(error, "strerror", None) or str(error)
    if fault:
        raise PlannerError(f"--output {path}: {fault}")


def _fault_of_output(path: Path) -> str:
    if path.is_dir():
        return "is a directory; give a file"
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    if path.exists():
        if path.name in _tables() and path.is_file():
            return "is a file of a catalog; give another name"
        return "" if os.access(path, os.W_OK) else "permission denied"
    return "" if os.access(path.parent, os.W_OK) else "its directory may not be written to"


def _tables() -> set[str]:
    """Names of a catalog's files: a catalog may rest on others, in folders not known yet."""
    from milp_planner.inputs.catalog.files import TABLES
    from milp_planner.inputs.catalog.folders import MANIFEST

    return {MANIFEST, *TABLES}


def _clash(path: Path, source: Path) -> str:
    """What the output has to do with that input, a file or a catalog's folder; or nothing."""
    if path.exists() and source.exists() and path.samefile(source):
        return "is the input file; give another name"
    in_catalog = source.is_dir() and source.samefile(path.resolve().parent)
    if in_catalog and path.suffix.lower() == ".csv":
        return f"would lie among the files of the catalog {source}; give another folder"
    return ""


def write_file(path: Path, text: str) -> None:
    """Write the whole text or nothing: readers never see half a file."""
    try:
        if path.exists() and not path.is_file():
            _write_device(path, text)
        else:
            _replace(Path(os.path.realpath(path)), text)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _write_device(path: Path, text: str) -> None:
    """A device or a pipe cannot be replaced; nor is a reader waited for."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise PlannerError(f"--output {path}: is a pipe that nobody reads") from None
        raise
    os.set_blocking(handle, True)
    with open(handle, "w", encoding="utf-8", newline="") as device:
        device.write(text)


def write_new_file(path: str, text: str) -> None:
    """Write a file that must not be there yet, whole or not at all."""
    try:
        with signals_wait(), open(path, "x", encoding="utf-8") as new:
            try:
                new.write(text)
                new.flush()
            except BaseException:
                os.unlink(path)
                raise
    except FileExistsError:
        raise PlannerError(f"{path}: exists already; give another name") from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _unwritable(path: str | Path, error: OSError | ValueError) -> PlannerError:
    why = getattr(error, "strerror", None) or str(error)
    return PlannerError(f"{path or 'FILE'}: cannot be written: {why}")


def _replace(path: Path, text: str) -> None:
    draft = (
        path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    )  # named before it is made: see drafts
    try:
        with open(draft, "x", encoding="utf-8", newline="", opener=_for_its_owner) as file:
            file.write(text)
        os.chmod(draft, _mode(path))
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _mode(path: Path) -> int:
    """Permissions of the file that is replaced, or those a new file gets."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _escaped(text: object) -> str:
    from milp_planner.reporting.text.wording import escape_lines

    return escape_lines(text)


def finish() -> None:
    """Flush, so that a reader that went away is noticed while it can still be said."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _guarded(stream.flush)


def last_words(text: str) -> None:
    """Say what signal ended the command, and flush; who has stopped reading is not waited for."""

    def said() -> None:
        if sys.stderr is not None:
            sys.stderr.write(text + "\n")
        for stream in (sys.stderr, sys.stdout):
            if stream is not None:
                stream.flush()

    try:
        _guarded(said, LAST_WORDS_S)
    except (KeyboardInterrupt, OSError, PlannerError):
        forget_streams()


def forget_streams() -> None:
    """Point stdout and stderr at nothing, so that Python's last flush does not complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _write(stream: TextIO | None, text: str) -> None:
    """Write what the stream can encode; the rest as backslash escapes."""
    if stream is None:  # closed by the caller: `>&-`
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    safe = text.encode(encoding, "backslashreplace").decode(encoding)
    raw = getattr(stream, "buffer", None)
    if isinstance(raw, io.RawIOBase):  # under PYTHONUNBUFFERED
        _guarded(lambda: _write_whole(raw, safe.replace("\n", os.linesep).encode(encoding)))
    else:
        _guarded(lambda: stream.write(safe))


def _write_whole(raw: io.RawIOBase, content: bytes) -> None:
    """All of it, however little is taken at a time: a signal ends a write half-way, which Python's
    own text stream takes for the whole."""
    while content:
        taken = raw.write(content)
        if taken is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        content = content[taken:]


def _guarded(action: Callable[[], object], most_s: float = LONGEST_WAIT_S) -> None:
    try:
        with signals_wait(most_s):
            action()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PlannerError(f"the output cannot be written: {error.strerror}") from error


def _is_colourful(stream: TextIO | None) -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and _is_terminal(stream)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
