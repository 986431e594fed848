"""YAML with comments above it: the data in the manner of PyYAML, the reasons in lines of `#`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from milp_planner.errors import printable

WIDTH = 100


def commented(lines: Iterable[str]) -> str:
    """Each text as lines of `#`, wrapped; an empty one is an empty comment."""
    return "".join(f"{line}\n" for text in lines for line in _comment(text))


def yaml_document(data: Mapping[str, Any], comments: Iterable[str] = ()) -> str:
    """One YAML document under its comments."""
    return commented(comments) + yaml.dump(
        dict(data), Dumper=_Plain, sort_keys=False, width=WIDTH, allow_unicode=True
    )


def yaml_documents(documents: Iterable[str]) -> str:
    """Several documents in one file."""
    return "---\n".join(documents)


def _comment(text: str) -> list[str]:
    safe = printable(text)
    wrapped = textwrap.wrap(safe, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in wrapped] or ["#"]


class _Plain(yaml.SafeDumper):
    """Without anchors and aliases: each place stands written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Texts of several lines stand as they are, behind `|`."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)
