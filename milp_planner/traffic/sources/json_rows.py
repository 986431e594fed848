"""Requests as JSON lines, as Mooncake, AIPerf and Dynamo write them, in rows like those of a CSV.

`{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353]}`: the
time in milliseconds, and a hash for each block of 512 input tokens (Mooncake, FAST'25, its format
of traces; the blocks of AIPerf and Dynamo have 512 tokens, too, unless told otherwise).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from milp_planner.errors import Fault, InputError

BLOCK_TOKENS = 512
"""Input tokens of a hashed block."""

HASHES = "hash_ids"

REMEMBERED = 2_000_000
"""Hashes that are looked among at least: of 512 tokens each they are a billion tokens, more than a
cache of KV holds. A hash takes some 100 bytes, and twice as many are kept at most."""


class JsonLines:
    """Rows of cells out of JSON lines, the header first; counts what a prefix cache would find."""

    def __init__(self, file: str, lines: Iterator[str]) -> None:
        self.file = file
        self.lines = lines
        self.line_num = 0
        self.names: list[str] = []
        self.prefixes = PrefixCounter()
        self._first: list[dict[str, Any]] = []
        self._said_names = False

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        if not self._said_names:
            self._said_names = True
            one = self._next_object()
            self._first.append(one)
            self.names = [name for name, value in one.items() if not isinstance(value, list | dict)]
            return list(self.names)
        one = self._first.pop() if self._first else self._next_object()
        try:
            self.prefixes.add(one)
        except TypeError:  # a list in the list: nothing to look for
            self._refuse(f"{HASHES}: expected numbers or texts")
        return ["" if one.get(name) is None else str(one[name]) for name in self.names]

    def _next_object(self) -> dict[str, Any]:
        for line in self.lines:
            self.line_num += 1
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError as problem:
                self._refuse(f"not valid JSON: {problem}")
            if isinstance(found, dict):
                return found
            self._refuse("is no object: one request a line, in braces")
        raise StopIteration

    def _refuse(self, message: str) -> NoReturn:
        raise InputError([Fault(self.file, self.line_num, 0, "", message)])


class PrefixCounter:
    """Input tokens whose blocks have been seen, from the first one of a request on.

    Hashes are kept in two generations of `REMEMBERED`: when the young one is full the old one goes.
    Whatever is among the last `REMEMBERED` different ones is found, as in a cache that drops what
    was used least recently.
    """

    def __init__(self) -> None:
        self.cached_tokens = 0
        self.has_hashes = False
        self.remembered: int | None = None
        """Different hashes among which each is looked for, at least; None while nothing is gone."""
        self._young: set[object] = set()
        self._old: set[object] = set()

    def add(self, request: dict[str, Any]) -> None:
        """Count a request's leading blocks that an earlier one had, then remember all of them.

        A hash stands for its block and all before it, so that the first unknown one ends the
        prefix. Blocks count 512 tokens, the last what is left of the input. Raises TypeError for
        what is no hash.
        """
        hashes = request.get(HASHES)
        if not isinstance(hashes, list):
            return
        self.has_hashes = True
        known = 0
        for one in hashes:
            if one not in self._young and one not in self._old:
                break
            known += 1
        length = request.get("input_length", request.get("input_tokens", 0))
        if isinstance(length, int | float):
            self.cached_tokens += int(min(known * BLOCK_TOKENS, max(0, length)))
        self._young.update(hashes)
        if len(self._young) >= REMEMBERED:
            if not self._old <= self._young:
                self.remembered = REMEMBERED
            self._old, self._young = self._young, set()
