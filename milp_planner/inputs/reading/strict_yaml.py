"""YAML into plain data that remembers its lines; refuses what is dangerous or ambiguous.

Only the parser is PyYAML's. The data is built here, from its events, so no file can construct an
object, expand an alias, or turn `no`, `010`, `12:30` or a date into something else than it says.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from milp_planner.errors import Fault, InputError, readable_path
from milp_planner.inputs.reading.files import decoded, read_text, too_large
from milp_planner.lazily import dataclass, field
from milp_planner.units import found, shown

MOST_BYTES = 5_000_000
MOST_NODES = 200_000
MOST_LEVELS = 32

STDIN = "-"
STDIN_NAME = "<stdin>"

Steps = tuple[str | int, ...]
"""Where a value is in the data: `("workloads", 0, "llm")`."""

Position = tuple[int, int]
"""(line, column), counted from 1."""

NOWHERE: Position = (0, 0)


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data, and where each part of it stands."""

    file: str
    """The file as the user named it."""

    data: Any
    """dict, list, str, int, float, bool and None only."""

    positions: Mapping[Steps, Position]
    """Where each key stands, and each entry of a list."""

    value_positions: Mapping[Steps, Position] = field(default_factory=dict)
    """Where each value starts; of a block of keys, its first key."""

    def at(self, path: Steps) -> Position:
        """(line, column) of a key or entry, else of the nearest one around it, else (0, 0)."""
        return _nearest_position(path, self.positions)

    def value_at(self, path: Steps) -> Position:
        """(line, column) of a value, else of the nearest one around it, else (0, 0)."""
        return _nearest_position(path, self.value_positions)

    def named(self, path: str) -> Position:
        """`value_at` for a path as faults print it: `limits.max_units['aws/p5/us']`."""
        around = [
            steps
            for steps in self.value_positions
            if steps and _is_within(path, readable_path(steps))
        ]
        return self.value_positions[max(around, key=len)] if around else NOWHERE

    def fault(self, path: Steps, message: str, hint: str = "", *, at_key: bool = False) -> Fault:
        """A fault of the value at `path`, or of its key, with file, line and column."""
        line, column = self.at(path) if at_key else self.value_at(path)
        return Fault(self.file, line, column, readable_path(path), message, hint)


def read_yaml(
    source: str | Path,
    *,
    text: str | None = None,
    first_key: str = "workloads",
    hint: str = "milp-planner init writes an example",
) -> Document:
    """Read one YAML file of keys and values; `-` is standard input.

    With `text` nothing is read, and `source` is only the name to print. `first_key` is one that
    the file should have, `hint` what to do about an empty one.
    Raises `InputError` with every fault that could be found.
    """
    file = STDIN_NAME if str(source) == STDIN else str(source)
    if text is None:
        is_stdin = str(source) == STDIN
        text = _decoded(_read_stdin(), file) if is_stdin else _read_file(source)
    elif len(text) > MOST_BYTES:
        _refuse(file, TOO_LARGE)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    faults = list(_character_faults(text, file))
    if faults:
        raise InputError(faults)
    return _Composer(file, first_key, hint).compose(text)


TOO_LARGE = too_large(MOST_BYTES)
TOO_DEEP = f"nested deeper than {MOST_LEVELS} levels"
EMPTY = "file is empty"
NO_CONTROL_CHARACTERS = "control characters are not allowed"
NO_ANCHORS = "YAML anchors and aliases (& and *) are not supported"
WRITE_IT_OUT = "write the value out"
QUOTE_A_STAR = f"{WRITE_IT_OUT}; a text that starts with * needs quotes: '*'"


def _nearest_position(path: Steps, positions: Mapping[Steps, Position]) -> Position:
    for length in range(len(path), 0, -1):
        if path[:length] in positions:
            return positions[path[:length]]
    return NOWHERE


def _is_within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _refuse(file: str, message: str, hint: str = "", position: Position = NOWHERE) -> NoReturn:
    raise InputError([Fault(file, *position, "", message, hint)])


# Reading bytes


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        _refuse(STDIN_NAME, "there is no standard input")
    if sys.stdin.isatty():
        print("reading the problem from the terminal; end with Ctrl-D", file=sys.stderr)
    stream = getattr(sys.stdin, "buffer", sys.stdin)
    content: str | bytes = stream.read(MOST_BYTES + 1)
    return content.encode(errors="surrogatepass") if isinstance(content, str) else content


def _read_file(source: str | Path) -> str:
    file = str(source)
    hint = f"give it as standard input: - < {file}"
    return read_text(source, most_bytes=MOST_BYTES, wanted="one YAML file", pipe_hint=hint)


def _decoded(content: bytes, file: str) -> str:
    if len(content) > MOST_BYTES:
        _refuse(file, TOO_LARGE)
    return decoded(content, file)


# Characters that no part of a file may hold

# Line breaks that editors do not count are among them (NEL, LS, PS): they would shift every line.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_TAB_INDENT = re.compile(r" *\t")
# Refused before parsing: libyaml takes minutes over a few megabytes of %TAG lines.
_TAG_DIRECTIVE = re.compile(r"%TAG\b")


def _character_faults(text: str, file: str) -> Iterator[Fault]:
    for number, line in enumerate(text.split("\n"), start=1):
        if control := _CONTROL.search(line):
            where = f"U+{ord(control[0]):04X} in column {control.start() + 1}"
            yield Fault(file, number, 0, "", NO_CONTROL_CHARACTERS, where)
        if tab := _TAB_INDENT.match(line):
            message = "not valid YAML: tab character; indent with spaces"
            yield Fault(file, number, tab.end(), "", message)
        if _TAG_DIRECTIVE.match(line):
            yield Fault(file, number, 1, "", "YAML tags are not supported: %TAG")


# Building the data


class _Composer:
    """Builds plain data from the parser's events; one per file."""

    def __init__(self, file: str, first_key: str, hint: str) -> None:
        self.file = file
        self.first_key = first_key
        self.hint = hint
        self.faults: list[Fault] = []
        self.keys: dict[Steps, Position] = {}
        self.values: dict[Steps, Position] = {}
        self.nodes = 0

    def compose(self, text: str) -> Document:
        """The document; raises `InputError` with all faults found before the first fatal one."""
        try:
            data = self._document(_events(text))
        except yaml.YAMLError as problem:
            self.faults.append(_syntax_fault(problem, self.file))
        except InputError as fatal:
            self.faults.extend(fatal.faults)
        if self.faults:
            raise InputError(sorted(self.faults))
        return Document(self.file, data, self.keys, self.values)

    def _document(self, events: Iterator[yaml.Event]) -> Any:
        for event in events:
            if isinstance(event, yaml.StreamEndEvent):
                _refuse(self.file, EMPTY, self.hint)
            if isinstance(event, yaml.NodeEvent):
                break
        data = self._node(event, events, ())
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not event.value:
            _refuse(self.file, EMPTY, self.hint)  # nothing but `---`
        if not isinstance(data, dict):
            self._fault(event, f"expected keys such as '{self.first_key}:', found {found(data)}")
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                _refuse(self.file, "only one YAML document per file", "", _position(event))
        return data

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Steps) -> Any:
        self._check_size(event, path)
        self._check_anchor_and_tag(event)
        self.values[path] = _position(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        return None  # an alias, refused above

    def _sequence(self, events: Iterator[yaml.Event], path: Steps) -> list[Any]:
        entries: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            step = (*path, len(entries))
            self.keys[step] = _position(event)
            entries.append(self._node(event, events, step))
        return entries

    def _mapping(self, events: Iterator[yaml.Event], path: Steps) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            step = (*path, key)
            if key in entries:
                first = self.keys[step][0]
                self._fault(event, f"{shown(key)} is given twice (first on line {first})")
            else:
                self.keys[step] = _position(event)
            entries[key] = self._node(next(events), events, step)
        return entries

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], path: Steps) -> str:
        """The key as text; a key of another kind is a fault, and gets a stand-in."""
        stand_in = f"\0{self.nodes}"  # no key of a file can have that name
        if not isinstance(event, yaml.ScalarEvent):
            key = self._node(event, events, (*path, stand_in))
            self._fault(event, f"a key must be text, found {found(key)}")
            return stand_in
        self._check_size(event, path)
        self._check_anchor_and_tag(event)
        key = self._scalar(event)
        if event.implicit[0] and event.value == "<<":
            self._fault(event, "YAML merge keys (<<) are not supported", "write the keys out")
        # `000` is text, and what is left of 1,000 within { }
        elif event.implicit[0] and (not isinstance(key, str) or key.isdigit()):
            self._fault(event, f"a key must be text, found {_written(event)}", _key_hint(event))
            return stand_in
        return str(key)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if control := _CONTROL.search(event.value):  # only an escape such as "\e" gets here
            where = f"U+{ord(control[0]):04X}, from an escape"
            line = _position(event)[0]
            self.faults.append(Fault(self.file, line, 0, "", NO_CONTROL_CHARACTERS, where))
        is_plain = event.implicit[0]
        return _plain_value(event.value) if is_plain else event.value

    def _check_size(self, event: yaml.Event, path: Steps) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            _refuse(self.file, f"more than {MOST_NODES:,} values", "", _position(event))
        is_scalar = isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
        if len(path) >= MOST_LEVELS and not is_scalar:
            _refuse(self.file, TOO_DEEP, "", _position(event))

    def _check_anchor_and_tag(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, NO_ANCHORS, QUOTE_A_STAR)
        elif getattr(event, "anchor", None) is not None:
            self._fault(event, NO_ANCHORS, WRITE_IT_OUT)
        if (tag := getattr(event, "tag", None)) is not None:
            tag = shown(tag.replace("tag:yaml.org,2002:", "!!", 1))[1:-1]
            self._fault(event, f"YAML tags are not supported: {tag}")

    def _fault(self, event: yaml.Event, message: str, hint: str = "") -> None:
        self.faults.append(Fault(self.file, *_position(event), "", message, hint))


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else NOWHERE


def _written(event: yaml.ScalarEvent) -> str:
    return shown(event.value)[1:-1] or "nothing"


def _key_hint(event: yaml.ScalarEvent) -> str:
    if re.fullmatch(r"\d{3}", event.value):
        return "write 1000 or 1_000, not 1,000"
    return f"quote it: {shown(event.value)}" if event.value else ""


# Plain scalars

_INT = re.compile(r"[+-]?(?:0|[1-9]\d*(?:_\d+)*)", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?",
    re.ASCII,
)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST_NUMBER = 300  # digits; a float holds numbers up to 1.8e308


def _plain_value(text: str) -> Any:
    """A number, true, false, nothing, or else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        return number if math.isfinite(number) else text
    return text


# The parser


def _events(text: str) -> Iterator[yaml.Event]:
    """Parser events one by one, from libyaml where PyYAML was built with it."""
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = loader_class(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


_ADVICE = {
    "mapping values are not allowed": "check the indentation, and quote a text that holds ': '",
    "cannot start any token": "quote a text that starts with a special character",
}


def _syntax_fault(problem: yaml.YAMLError, file: str) -> Fault:
    """What the parser stumbled over; both the C and the Python parser word it almost alike."""
    if not isinstance(problem, yaml.MarkedYAMLError) or problem.problem_mark is None:
        return Fault(file, 0, 0, "", f"not valid YAML: {problem}")
    mark, said = problem.problem_mark, problem.problem or "cannot be read"
    context = problem.context or ""
    if context.endswith(("scanning an alias", "scanning an anchor")) and problem.context_mark:
        mark = problem.context_mark
        return Fault(file, mark.line + 1, mark.column + 1, "", NO_ANCHORS, QUOTE_A_STAR)
    if "nesting depth" in said:  # newer libyaml counts brackets before it gives any event
        return Fault(file, mark.line + 1, mark.column + 1, "", TOO_DEEP)
    hint = next((advice for words, advice in _ADVICE.items() if words in said), "")
    if problem.context_mark and problem.context_mark.line != mark.line:
        hint = f"{context}, which starts on line {problem.context_mark.line + 1}"
    return Fault(file, mark.line + 1, mark.column + 1, "", f"not valid YAML: {said}", hint)
