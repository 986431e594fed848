"""What spoils a file: bytes, lines and numbers put wrong in it.

`documents` of `mutations.py` puts values wrong in a record; here whatever comes before records is
met too. A seed always gives the same.
"""

from __future__ import annotations

import gzip
import random
import re

NUMBERS = (
    *("0", "-1", "-0.0", "1e308", "1e-308", "1e999", "nan", "NaN", "inf", "-Infinity", "5e-324"),
    *("9" * 25, "9" * 400, "1" * 10_000, "0." + "3" * 400, "1,000", "1_000", "0x10", "1e", "٣"),
    *("true", "null", '""', "[]", "{}", "1.5", "7", "1e15", "81.920.1", "$3", "3%", "50s", "50ms"),
)
JUNK = (
    *(b"\0", b"\x1b[31m", b"\xff\xfe", b"\xef\xbb\xbf", "\u202e".encode(), b"\r", b"\t", b'"'),
    *(b",", b"{", b"}", b"[" * 200, b"#", b"&a ", b"*a", b"!!x ", b"---\n", b"x" * 200_000, b"\n"),
    *(b"\\ud800", "é".encode("latin-1"), b"<<: ", b": ", b"=1+1", b"../", b"'"),
)
NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")
WORD = re.compile(rb"[A-Za-z][\w.-]{2,}")
WORDS = (
    *("x", "toy", "box", "acme", "", "*", "[red]x[/red]", "x" * 300, "\x1b]0;x\x07", "null", "-"),
    *("MLA", "GQA+sliding", "fp8", "nvfp4", "spot", "owned", "per_token", "F4", "U8", "I32"),
)


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """The content with one to three things wrong."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        content = chance.choice(SPOILERS)(content, chance)
    return content


def _number(content: bytes, chance: random.Random) -> bytes:
    return _put(content, NUMBER, chance.choice(NUMBERS).encode(), chance)


def _word(content: bytes, chance: random.Random) -> bytes:
    return _put(content, WORD, chance.choice(WORDS).encode(), chance)


def _put(content: bytes, what: re.Pattern[bytes], new: bytes, chance: random.Random) -> bytes:
    found = list(what.finditer(content))
    if not found:
        return content + new
    one = chance.choice(found)
    return content[: one.start()] + new + content[one.end() :]


def _junk(content: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + chance.choice(JUNK) + content[at:]


def _lost(content: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + content[at + chance.choice((1, 1, 3, 20, 200)) :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _flipped(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return b"\x80"
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def _lines(content: bytes, chance: random.Random) -> bytes:
    """A line twice, gone, or two of them the other way round."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.choice(("twice", "gone", "swapped")):
        case "twice":
            lines.insert(j, lines[i])
        case "gone":
            del lines[i]
        case _:
            lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _encoded(content: bytes, chance: random.Random) -> bytes:
    text = content.decode("latin-1")
    match chance.choice(("utf-16", "gzip", "crlf", "twice")):
        case "utf-16":
            return text.encode("utf-16")
        case "gzip":
            return gzip.compress(content, mtime=0)
        case "crlf":
            return content.replace(b"\n", b"\r\n")
        case _:
            return content + content


SPOILERS = (
    *(_number, _number, _number, _number, _word, _word, _junk, _junk, _lost, _lines, _lines),
    *(_cut, _flipped, _encoded),
)
