"""The documents' Python, checked as a user's own: `python tests/scripts/check_types_outside.py`.

Every Python block of a document, and every example in a public docstring, goes into a folder that
holds nothing else. There both `mypy --strict` and pyright read it against the package that this
Python imports: in CI the installed one, with `PYTHONPATH=.` this checkout. Any error ends in exit
code 1.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from readme import DOCUMENTS, blocks, name_of

import milp_planner

HOME = Path(milp_planner.__file__).parents[1]
PLAIN, WITH_PLUGIN = "plain.ini", "with_plugin.ini"
SETTINGS = {PLAIN: "[mypy]\n", WITH_PLUGIN: "[mypy]\nplugins = pydantic.mypy\n"}
MYPY = ["mypy", "--strict", "--no-incremental", "."]
CHECKERS = {
    "mypy": [*MYPY, "--config-file", PLAIN],
    "mypy with the plugin of pydantic": [*MYPY, "--config-file", WITH_PLUGIN],
    "pyright": ["pyright", "--warnings", "--pythonpath", sys.executable, "."],
}


def write_settings(folder: Path) -> None:
    """The checkers' own settings, so that none of a checkout are taken."""
    for name, text in SETTINGS.items():
        (folder / name).write_text(text, encoding="utf-8")


def write_blocks(folder: Path) -> int:
    """One file a block, named after its document; how many there are."""
    found = {
        f"{name_of(document).strip('.').replace('/', '_').replace('.', '_')}_{number}.py": block
        for document in DOCUMENTS
        for number, block in enumerate(blocks(document, "python"), start=1)
    }
    for name, block in found.items():
        (folder / name).write_text(block, encoding="utf-8")
    return len(found)


def write_examples(folder: Path) -> int:
    """One file for the examples of a docstring; how many there are."""
    public = [getattr(milp_planner, name) for name in milp_planner.__all__]
    finder = doctest.DocTestFinder()
    found = {
        test.name: test.examples
        for value in public
        if inspect.isfunction(value) or inspect.isclass(value)
        for test in finder.find(value, value.__name__, globs={})
        if test.examples
    }
    for name, examples in found.items():
        text = "".join(_statement(example.source) for example in examples)
        (folder / f"example_{name.replace('.', '_')}.py").write_text(text, encoding="utf-8")
    return len(found)


def _statement(source: str) -> str:
    """A value that a prompt would show is printed: alone on a line it does nothing.

    It may end in a comment, so that the bracket is closed on the next line.
    """
    is_value = isinstance(ast.parse(source).body[0], ast.Expr)
    return f"print({source.strip()}\n)\n" if is_value else source


def check(folder: Path) -> int:
    """The number of checkers that find anything wrong; what they say goes to standard output."""
    environment = {**os.environ, "PYTHONPATH": str(HOME)}  # beside it, not inside it: as installed
    failures = 0
    for name, command in CHECKERS.items():
        print(f"{name}:", flush=True)
        ran = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment)
        failures += ran.returncode != 0
    return failures


def main() -> int:
    """Check all of them; 1 where a checker found something, or found nothing to check."""
    with tempfile.TemporaryDirectory() as folder:
        write_settings(Path(folder))
        written, examples = write_blocks(Path(folder)), write_examples(Path(folder))
        print(f"{written} blocks of the documents and {examples} examples against {HOME}")
        return 1 if check(Path(folder)) or not (written and examples) else 0


if __name__ == "__main__":
    sys.exit(main())
