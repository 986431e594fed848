"""Files that tell the sizes of requests and no times: conversations, lists of prompts.

Each answer of a conversation is a request: its input is all that was said before. Lengths are
read where they stand; text without them is refused, as no tokenizer is at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.errors import Fault, InputError

MOST_TOKENS = 100_000_000  # of one request

TURNS = ("conversations", "conversation", "messages", "turns")
LENGTHS = ("tokens", "num_tokens", "token_count", "length", "len")
INPUTS = ("input_tokens", "input_length", "prompt_tokens", "prompt_len", "input_len")
OUTPUTS = ("output_tokens", "output_length", "completion_tokens", "output_len", "response_len")
SPEAKERS = ("from", "role")
ANSWERS = ("gpt", "assistant", "bot", "model", "chatgpt")


def sizes_in_json(file: str, text: str) -> list[tuple[int, int]] | None:
    """(input, output) of every request of a list of objects; None where it is no such list.

    Raises InputError for conversations without lengths, and for lengths that cannot be.
    """
    try:
        document = json.loads(text)
    except ValueError as problem:
        raise InputError([Fault(file, 0, 0, "", f"not valid JSON: {problem}")]) from None
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        return None
    sizes = [size for i, one in enumerate(document) for size in _sizes(file, i, one)]
    if not sizes:
        raise InputError([Fault(file, 0, 0, "", "has no requests")])
    return sizes


def _sizes(file: str, place: int, one: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    turns = next((one[name] for name in TURNS if isinstance(one.get(name), list)), None)
    if turns is not None:
        yield from _of_turns(file, place, turns)
        return
    yield _length(file, f"[{place}]", one, INPUTS), _length(file, f"[{place}]", one, OUTPUTS)


def _of_turns(file: str, place: int, turns: Sequence[Any]) -> Iterator[tuple[int, int]]:
    before = 0
    for i, turn in enumerate(turns):
        path = f"[{place}].turns[{i}]"
        if not isinstance(turn, dict):
            raise InputError([Fault(file, 0, 0, path, "is no object")])
        tokens = _length(file, path, turn, LENGTHS)
        speaker = next((str(turn[name]).casefold() for name in SPEAKERS if name in turn), "")
        if speaker in ANSWERS and before:
            yield min(before, MOST_TOKENS), tokens
        before += tokens


def _length(file: str, path: str, held: Mapping[str, Any], names: Sequence[str]) -> int:
    value = next((held[name] for name in names if name in held), None)
    if value is None:
        said = "tells no length; count its tokens, and write them as " + " or ".join(names[:2])
        raise InputError([Fault(file, 0, 0, path, said)])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        raise InputError([Fault(file, 0, 0, path, f"expected a count of tokens, found {value!r}")])
    return value
