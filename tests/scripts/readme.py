"""Transcripts in the documents, printed anew by their commands: `python tests/scripts/readme.py`.

A transcript is a block without a language that begins with `$ ` and a command; what follows is what
the command prints. Run this after a change of data or wording, and read the difference before you
commit it. `--check` changes nothing and ends in exit code 1 where a transcript is stale.
`--command N` prints the N-th shell block of README.md, which CI runs to the letter.

Only the standard library is imported: it also runs where nothing is installed yet.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
FOLDERS = (".github", "catalogs", "milp_planner", "problems", "tests")
DOCUMENTS = (README, *(path for name in FOLDERS for path in sorted((ROOT / name).rglob("*.md"))))

FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PLANNER = re.compile(r"\bmilp-planner (?=[a-z-]+)")
SECONDS = re.compile(r"(certified by .*, )[\d.]+ s$", re.MULTILINE)
VERSION = re.compile(r"\b(CBC|HiGHS|milp-planner) \d+(?:\.\d+)+")
FOUND, INFEASIBLE = 0, 3
TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Transcript:
    """A command that a document shows, and what it says that the command prints."""

    document: Path
    command: str
    shown: str


def name_of(document: Path) -> str:
    """The document's path from the project's root."""
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a document in one language; `` for none."""
    found = FENCED.finditer(document.read_text(encoding="utf-8"))
    return [block["text"] for block in found if block["language"] == language]


def transcripts(document: Path) -> Iterator[Transcript]:
    """The transcripts of a document, in their order."""
    for text in blocks(document, ""):
        first, _, shown = text.partition("\n")
        if first.startswith("$ "):
            yield Transcript(document, first.removeprefix("$ "), shown)


def printed(command: str) -> str:
    """What a command prints today, run from the project's root by this Python.

    A problem without a plan prints its diagnosis and ends in 3; any other failure is raised.
    """
    planner = f"{shlex.quote(sys.executable)} -m milp_planner "
    ran = subprocess.run(
        PLANNER.sub(lambda _: planner, command),
        shell=True,
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if ran.returncode not in (FOUND, INFEASIBLE):
        raise RuntimeError(f"{command}: exit code {ran.returncode}\n{ran.stderr}")
    return ran.stdout


def without_seconds(text: str) -> str:
    """The text with `… s` for the seconds that a proof took, no two of which are alike."""
    return SECONDS.sub(r"\1… s", text)


def masked(text: str) -> str:
    """The text without what may differ where nothing is stale: seconds, and versions."""
    return VERSION.sub(r"\1 …", without_seconds(text))


def rewritten(document: Path) -> str:
    """The document with its transcripts printed anew; one that differs in seconds alone stays."""
    text = document.read_text(encoding="utf-8")
    for transcript in transcripts(document):
        new = printed(transcript.command)
        if without_seconds(new) != without_seconds(transcript.shown):
            head = f"```\n$ {transcript.command}\n"
            text = text.replace(f"{head}{transcript.shown}```", f"{head}{new}```")
    return text


def difference(transcript: Transcript, new: str) -> str:
    """What a stale transcript shows and what is printed, line by line; empty when it is fresh."""
    lines = difflib.unified_diff(
        masked(transcript.shown).splitlines(),
        masked(new).splitlines(),
        f"{name_of(transcript.document)}: {transcript.command}",
        "printed today",
        lineterm="",
    )
    return "\n".join(lines)


def command(number: int) -> str:
    """The shell block of README.md with this number, from 1; an error where there is none."""
    found = blocks(README, "sh")
    if not 1 <= number <= len(found):
        raise SystemExit(f"README.md has {len(found)} shell blocks, none with number {number}")
    return found[number - 1]


def check() -> int:
    """Print what is stale; the exit code."""
    shown = [transcript for document in DOCUMENTS for transcript in transcripts(document)]
    stale = [text for one in shown if (text := difference(one, printed(one.command)))]
    print("\n\n".join([*stale, f"{len(stale)} of {len(shown)} transcripts are stale"]))
    return 1 if stale or not shown else 0


def rewrite() -> int:
    """Write every document whose transcripts have changed; the exit code."""
    for document in DOCUMENTS:
        text = rewritten(document)
        if text != document.read_text(encoding="utf-8"):
            document.write_text(text, encoding="utf-8", newline="\n")
            print(f"{name_of(document)} written")
    return 0


def main() -> int:
    """The whole script; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where stale")
    parser.add_argument("--command", type=int, metavar="N", help="print a shell block of README.md")
    asked = parser.parse_args()
    if asked.command is not None:
        print(command(asked.command), end="")
        return 0
    return check() if asked.check else rewrite()


if __name__ == "__main__":
    sys.exit(main())
