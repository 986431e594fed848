"""What can go wrong, and how it is said: where, what, what next.

    Exception
    ├── PlannerError                   all that the planner raises on purpose
    │   ├── InputError                 the user's to mend: every fault, each with its place
    │   │   ├── ArgumentError          ... a value of the wrong type from Python (also a TypeError)
    │   │   └── RecordInputError       ... a record built in code (also a ValueError)
    │   └── SolverError                the solvers' or ours: a plan that breaks its own limits
    ├── OutOfTime                      inside the planner: time was up in the middle of work
    ├── Forgotten                      inside the planner: a cluster that gives no answer any more
    ├── TooMany                        inside the planner: more choices than are worth merging
    ├── NotProven                      inside the planner: a fleet that may not be the cheapest
    ├── AskTheWhole                    inside the planner: parts do not tell the next-best plan
    ├── AllDearer                      inside the planner: no plan is left as cheap as was asked for
    └── ValueError
        └── RecordError                inside the planner: a validator that knows the key to blame
    KeyboardInterrupt
    ├── Interrupted                    a Ctrl-C once there is a plan, which it carries
    └── CalendarInterrupted            the same of a calendar

The command line prints a `PlannerError` without a traceback. Anything else is a bug and may crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from milp_planner.lazily import dataclass

MOST_FAULTS_SHOWN = 20
LONGEST_NAME = 200  # characters: longer keys are cut, and no near name is looked for

_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one place."""

    file: str
    """The file as the user named it; '' when the value came from Python."""

    line: int
    """Line in the file, counted from 1; 0 when there is none."""

    column: int
    """Column in the line, counted from 1; 0 when there is none."""

    path: str
    """The key, as the reader would find it: `workloads[0].traffic.tokens_per_day`."""

    message: str
    hint: str = ""

    def __str__(self) -> str:
        numbers = (self.line, self.column) if self.line else ()
        place = ":".join([self.file] * bool(self.file) + [str(n) for n in numbers if n])
        text = ": ".join(printable(part) for part in (place, self.path, self.message) if part)
        return f"{text}\n  hint: {printable(self.hint)}" if self.hint else text

    def to_dict(self) -> dict[str, object]:
        """The fault as plain data, for `--json`."""
        return {
            "file": self.file,
            "line": self.line or None,
            "column": self.column or None,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class PlannerError(Exception):
    """What the planner raises on purpose: catch it to catch both kinds below."""


class InputError(PlannerError):
    """Everything wrong with one input, all at once: a mistake that the user can mend."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        shown = [str(fault) for fault in self.faults[:MOST_FAULTS_SHOWN]]
        more = len(self.faults) - len(shown)
        return "\n".join([*shown, f"and {more} more"] if more > 0 else shown)


class ArgumentError(InputError, TypeError):
    """A value of the wrong type from Python code."""

    __str__ = InputError.__str__


class RecordInputError(InputError, ValueError):
    """A record built in code that cannot be; a ValueError too, as pydantic's own error is."""

    __str__ = InputError.__str__


class SolverError(PlannerError):
    """The solvers failed, or a plan broke its own limits: never the user's fault."""


class RecordError(ValueError):
    """What a validator of a record raises when it knows the key to blame, or has a hint.

    `at` has the steps from the record to the value to blame: `("classes", 1, "share")`.
    `clashes_with` has those to an earlier value, when it is the two together that are wrong; the
    message then ends in `(lines 3 and 21)`.
    """

    def __init__(
        self,
        message: str,
        *,
        at: Sequence[str | int] = (),
        clashes_with: Sequence[str | int] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.at = tuple(at)
        self.clashes_with = None if clashes_with is None else tuple(clashes_with)
        self.hint = hint


def input_error(message: str, *, path: str = "", file: str = "", hint: str = "") -> InputError:
    """An `InputError` with one fault and no line."""
    return InputError([Fault(file=file, line=0, column=0, path=path, message=message, hint=hint)])


def argument_error(message: str, *, path: str = "", hint: str = "") -> ArgumentError:
    """An `ArgumentError` about the argument called `path`."""
    return ArgumentError(input_error(message, path=path, hint=hint).faults)


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names in `known` most like `name`, best first; capitals count for little."""
    if len(name) > LONGEST_NAME:
        return []
    spelled: dict[str, str] = {}
    for other in sorted(known):
        spelled.setdefault(other.lower(), other)
    near = get_close_matches(name.lower(), spelled, n=most, cutoff=0.6)
    return [spelled[other] for other in near]


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """`; did you mean 'x'?`, or nothing when no name is near."""
    near = nearest(name, known, most)
    return f"; did you mean {', '.join(repr(n) for n in near)}?" if near else ""


def readable_path(steps: Iterable[str | int]) -> str:
    """`("workloads", 0, "llm")` -> `workloads[0].llm`; unusual keys go in brackets and quotes."""
    return "".join(_readable_step(step) for step in steps).removeprefix(".")


def _readable_step(step: str | int) -> str:
    if isinstance(step, str) and len(step) > LONGEST_NAME:
        step = f"{step[:LONGEST_NAME]}..."
    if isinstance(step, str) and _PLAIN_KEY.fullmatch(step):
        return f".{step}"
    return f"[{step!r}]"


def printable(text: str) -> str:
    r"""The text on one line, control characters as escapes: ESC is shown as `\x1b`.

    Names from files are data: they must neither move a cursor nor reverse a line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
