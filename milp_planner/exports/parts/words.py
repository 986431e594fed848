"""Words that stand where the plan cannot tell a name: what to replace, and by what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from milp_planner.lazily import dataclass, field

MARK = "REPLACE-WITH-"
"""How every word begins that somebody has to replace."""

IN_ITS_FILE = "what the comment in its file says"

LONGEST_LABEL = 63
"""Characters of a Kubernetes name or label (RFC 1123)."""

_WORD = re.compile(rf"{MARK}[A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)


@dataclass
class Words:
    """The words of one export that have to be replaced, each with what belongs there."""

    meaning: dict[str, str] = field(default_factory=dict)

    def word(self, what: str, meaning: str) -> str:
        """A word of letters, digits and dashes for `what`, noted with its meaning."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", what).strip("-.").upper()
        room = LONGEST_LABEL - len(MARK)
        word = f"{MARK}{name[:room].rstrip('-.')}"
        self.meaning.setdefault(word, meaning)
        return word

    def used_in(self, files: Mapping[str, str]) -> dict[str, str]:
        """Those that stand in some file, with what belongs there."""
        found = {word for text in files.values() for word in words_in(text)}
        return {word: self.meaning.get(word.upper(), IN_ITS_FILE) for word in sorted(found)}


def words_in(text: str) -> Iterator[str]:
    """Every word of a text that has to be replaced."""
    return (match.group() for match in _WORD.finditer(text))
