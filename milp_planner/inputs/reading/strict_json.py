"""JSON into plain data, as strictly as YAML: nothing doubled, nothing endless, nothing half read.

Python's own reader lets the last of two equal keys win, reads 1e999 as infinity, gives up on a
number of 4,301 digits with an error of another kind, and makes half characters that no file can
hold. What is refused here has its place: file, line and column.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.reading.files import read_text
from milp_planner.units import shown

MOST_DIGITS = 300
"""As in YAML: a float holds numbers up to 1.8e308."""

MOST_LEVELS = 100
MOST_VALUES = 2_000_000
"""The largest public price list of today has 60,000."""

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")

TOO_LONG = f"a number of more than {MOST_DIGITS} digits"


def read_json(path: Path) -> Any:
    """The JSON document of a file; raises InputError for what cannot be read, or is refused."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, file: str, first_line: int = 1, *, infinities: bool = False) -> Any:
    """A JSON document as plain data: dict, list, str, int, float, bool and None only.

    `first_line` is the line of the file on which the text begins. Published configs of LLMs hold
    Infinity and NaN, which plain JSON does not: they are read where `infinities` says so. Raises
    InputError.
    """
    reader = _Reader(text, file, first_line, infinities=infinities)
    data = reader.read()
    reader.check(data)
    return data


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, file: str, first_line: int, *, infinities: bool) -> None:
        self.text = text
        self.file = file
        self.first_line = first_line
        self.infinities = infinities

    def read(self) -> Any:
        """The data, each key once and each number within what a float holds."""
        try:
            return json.loads(
                self.text,
                parse_int=self._int,
                parse_float=self._float,
                parse_constant=self._constant,
                object_pairs_hook=self._distinct,
            )
        except json.JSONDecodeError as error:
            self._refuse(error.msg, error.pos)
        except RecursionError:
            self._refuse("nested too deeply")

    def check(self, data: Any) -> None:
        """Depth, number of values, and half characters, without recursion."""
        count, level = 0, [data]
        for _ in range(MOST_LEVELS):
            below: list[Any] = []
            for value in level:
                if isinstance(value, dict):
                    below.extend(value)
                    below.extend(value.values())
                elif isinstance(value, list):
                    below.extend(value)
                elif isinstance(value, str) and _HALF_A_CHARACTER.search(value):
                    half = f"half a character in {shown(value)}"
                    self._refuse(half, max(0, self.text.lower().find("\\ud")))
            count += len(below)
            if count > MOST_VALUES:
                self._refuse(f"more than {MOST_VALUES:,} values")
            if not below:
                return
            level = below
        self._refuse(f"nested deeper than {MOST_LEVELS} levels")

    def _int(self, text: str) -> int:
        if len(text) > MOST_DIGITS:
            self._refuse(TOO_LONG, self._place(text))
        return int(text)

    def _float(self, text: str) -> float:
        if len(text) > MOST_DIGITS:
            self._refuse(TOO_LONG, self._place(text))
        value = float(text)
        if not math.isfinite(value):
            self._refuse(f"{text} is too large a number", self._place(text))
        return value

    def _constant(self, name: str) -> float:
        if not self.infinities:
            self._refuse(f"{name} is not a number", self._place(name))
        return float(name.replace("Infinity", "inf"))

    def _distinct(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self._refuse_twice(name)
                seen.add(name)
        return keys

    def _refuse_twice(self, name: str) -> NoReturn:
        """The reader does not say where: it is known where the key stands nowhere else."""
        spelled = {json.dumps(name), json.dumps(name, ensure_ascii=False)}
        pattern = "|".join(re.escape(spelling) for spelling in spelled)
        places = [found.start() for found in re.finditer(rf"(?:{pattern})\s*:", self.text)]
        if len(places) != 2:
            raise InputError([Fault(self.file, 0, 0, "", f"{shown(name)} is given twice")])
        first = self._line(places[0])
        said = f"{shown(name)} is given twice (first on line {first})"
        raise InputError([Fault(self.file, self._line(places[1]), 0, "", said)])

    def _place(self, literal: str) -> int:
        """Where a number stands, as far as its own text tells."""
        found = re.search(rf"(?<![\w.+\"-]){re.escape(literal)}(?![\w.])", self.text)
        return found.start() if found else 0

    def _line(self, place: int) -> int:
        return self.first_line + self.text.count("\n", 0, place)

    def _refuse(self, message: str, place: int | None = None) -> NoReturn:
        line, column = 0, 0
        if place is not None:
            line = self._line(place)
            column = place - self.text.rfind("\n", 0, place)
        raise InputError([Fault(self.file, line, column, "", f"not valid JSON: {message}")])
