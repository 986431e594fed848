"""A problem of one workload from the words of one line, and the file that it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypedDict

from milp_planner.errors import Fault, InputError, readable_path
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.load import load_problem
from milp_planner.inputs.problem.records import Problem

NAME = "chat"
"""The name of the workload."""

FILE = "one-line"
"""Stands for a file where a fault is placed: there is none that a user could open."""

USUAL_SIZES = {"input": "1500", "output": "300"}
"""Tokens of a request where a line says nothing of them: those of a chat."""

VOLUMES = {
    "tokens_per_day": "tokens_per_day",
    "tokens_per_month": "tokens_per_month",
    "requests_per_second": "requests_per_second",
    "users": "concurrent_users",
}
"""Words that say how much is asked, one of which is said, and the kind of traffic of each."""

_WORKLOAD = ("workloads", 0)
_LIMITS = ("limits",)


class Word(NamedTuple):
    """Where in a problem the value of a word stands."""

    at: tuple[str | int, ...]
    is_list: bool = False


WORDS: Mapping[str, Word] = {
    "catalog": Word(("catalog",)),
    "llm": Word((*_WORKLOAD, "llm")),
    "precision": Word((*_WORKLOAD, "precision"), is_list=True),
    "tokens_per_day": Word((*_WORKLOAD, "traffic", "tokens_per_day")),
    "tokens_per_month": Word((*_WORKLOAD, "traffic", "tokens_per_month")),
    "requests_per_second": Word((*_WORKLOAD, "traffic", "requests_per_second")),
    "users": Word((*_WORKLOAD, "traffic", "users")),
    "tokens_per_s": Word((*_WORKLOAD, "traffic", "tokens_per_s")),
    "pattern": Word((*_WORKLOAD, "traffic", "pattern")),
    "input": Word((*_WORKLOAD, "requests", "input_tokens")),
    "output": Word((*_WORKLOAD, "requests", "output_tokens")),
    "tpot": Word((*_WORKLOAD, "latency", "tpot")),
    "ttft": Word((*_WORKLOAD, "latency", "ttft")),
    "budget": Word((*_LIMITS, "budget", "usd_per_month")),
    "providers": Word((*_LIMITS, "providers", "allow"), is_list=True),
    "region": Word((*_LIMITS, "regions", "allow"), is_list=True),
    "gpus": Word((*_LIMITS, "gpus", "allow"), is_list=True),
    "allow": Word((*_LIMITS, "billing", "allow"), is_list=True),
    "survive_loss_of": Word((*_LIMITS, "survive_loss_of")),
    "today": Word(("today", "usd_per_month")),
}
"""Every word, in the order of the file, by the name that Python gives it."""

Amount = float | str
"""A number, or how a problem file writes it: `5M`, `9k`."""

Names = str | Sequence[str]
"""Several names, or one text with commas."""


class LineWords(TypedDict, total=False):
    """What a line may say beside the LLM, as Python writes it; in USD per month and tokens."""

    tokens_per_day: Amount
    """Input and output together."""

    tokens_per_month: Amount
    """The same, in a month of 30 days."""

    requests_per_second: Amount
    """At the peak."""

    users: Amount
    """At a time, each at `tokens_per_s`."""

    tokens_per_s: Amount
    pattern: str
    """steady, business_hours or bursty."""

    input: Amount
    """Tokens of a request; default: 1,500."""

    output: Amount
    """Tokens of a request; default: 300."""

    tpot: str
    ttft: str
    precision: Names
    region: Names
    providers: Names
    gpus: Names
    allow: Names
    """Ways to pay beside those that are allowed by default."""

    budget: Amount
    survive_loss_of: str
    today: Amount


Said = Mapping[str, str | Sequence[str]]
"""What was said, by the names in `WORDS`."""

Spelling = Callable[[str], str]
"""How the user writes a word: `tokens_per_day`, or `--tokens-per-day`."""


def problem_text(words: Said, spelling: Spelling = str) -> str:
    """The problem file that the words stand for.

    words: by the names in `WORDS`; those that take several values take text with commas, too.
    `allow` adds ways to pay to those that are allowed by default. Sizes that are not said are
    `USUAL_SIZES`, and a comment says so.

    Raises InputError where no word, or more than one, says how much is asked.
    """
    volume = _volume_of(words, spelling)
    said = {
        name: list(_listed(value)) if WORDS[name].is_list else value
        for name, value in {**USUAL_SIZES, **words}.items()
    }
    if "allow" in said:
        usual = [mode.name for mode in BILLING_MODES.values() if mode.by_default]
        said["allow"] = list(dict.fromkeys([*usual, *said["allow"]]))
    document: dict[str, object] = {}
    for name, word in WORDS.items():
        if name == "llm":
            _put(document, (*_WORKLOAD, "name"), NAME)
        if name == volume:
            _put(document, (*_WORKLOAD, "traffic", "kind"), VOLUMES[volume])
        if name in said:
            _put(document, word.at, said[name])
    return "\n".join(["schema_version: 1", *_lines(document, _comments(words))]) + "\n"


def problem_of(words: Said, spelling: Spelling = str) -> Problem:
    """The problem that the words stand for; faults name the word to blame.

    Raises InputError.
    """
    text = problem_text(words, spelling)
    try:
        return load_problem(FILE, text=text)
    except InputError as error:
        raise in_words(error, spelling) from None


def in_words(error: InputError, spelling: Spelling = str) -> InputError:
    """The same faults, each at the word whose value it is about."""
    return InputError(_of_a_word(fault, spelling) for fault in error.faults)


def _of_a_word(fault: Fault, spelling: Spelling) -> Fault:
    placed = replace(fault, file="", line=0, column=0) if fault.file == FILE else fault
    for name, word in WORDS.items():
        path = readable_path(word.at)
        if fault.path == path or fault.path.startswith(f"{path}["):
            return replace(placed, path=spelling(name))
    return placed


def _listed(value: str | Sequence[str]) -> Iterator[str]:
    """Every name, as catalogs write it; text is several at its commas."""
    for name in value.split(",") if isinstance(value, str) else value:
        yield name.strip().lower()


def _volume_of(words: Mapping[str, object], spelling: Spelling) -> str:
    """The word that says how much is asked."""
    given = [name for name in VOLUMES if name in words]
    if len(given) == 1:
        return given[0]
    every = ", ".join(map(spelling, VOLUMES))
    if not given:
        message = f"how much is asked? say one of {every}"
    else:
        message = f"only one of {every} can be said, not {' and '.join(map(spelling, given))}"
    raise InputError([Fault("", 0, 0, "", message)])


# The file


def _put(document: dict[str, object], at: Sequence[str | int], value: object) -> None:
    """Put a value where the steps lead; the workload is the only entry of its list."""
    here = document
    *path, last = (step for step in at if isinstance(step, str))
    for step in path:
        inner = here.setdefault(step, {})
        assert isinstance(inner, dict)
        here = inner
    here[str(last)] = value


def _comments(words: Mapping[str, object]) -> dict[str, str]:
    """What is said behind a key."""
    assumed = [size for size in USUAL_SIZES if size not in words]
    return {"requests": f"  # assumed: {' and '.join(assumed)}"} if assumed else {}


def _lines(document: Mapping[str, object], comments: Mapping[str, str]) -> Iterator[str]:
    for key, value in document.items():
        if key == "workloads":
            assert isinstance(value, dict)
            yield "workloads:"
            for number, (inner, inside) in enumerate(value.items()):
                mark = "    " if number else "  - "
                yield f"{mark}{inner}: {_flow(inside)}{comments.get(inner, '')}"
        elif key == "limits":
            assert isinstance(value, dict)
            yield "limits:"
            yield from (f"  {inner}: {_flow(inside)}" for inner, inside in value.items())
        else:
            yield f"{key}: {_flow(value)}"


def _flow(value: object) -> str:
    """The value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z0-9$][\w.%/+-]*", text, re.ASCII) else json.dumps(text)
