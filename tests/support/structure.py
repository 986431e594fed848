"""The rules of structure: each reads a tree of source files and yields what breaks it.

A tree maps paths from the project's root to texts, so that a rule runs on the checkout as on a
package of three lines made up to break it. To add a rule, write a function from `Tree` to findings
and list it in `RULES`, with a tree that breaks it in `tests/test_architecture.py`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PACKAGE = "milp_planner"
FOLDERS = (PACKAGE, "tests")

WINGS = (
    ("_homes", "_version", "deadline", "drafts", "errors", "grouping", "lazily", "today", "units"),
    ("inputs",),
    ("traffic",),
    ("serving",),
    ("candidates",),
    ("study",),
    ("plans",),
    ("milp",),
    ("executors",),
    ("replaying",),
    ("solving",),
    ("futures",),
    ("questions",),
    ("exports",),
    ("reporting",),
    ("web",),
    ("cli", "__main__"),
)
"""Lower ones first: a file imports from its own wing and from those above it in this list."""

LEVEL = {name: level for level, names in enumerate(WINGS) for name in names}

SOLVERS = {"pulp", "highspy"}
MOST_LINES = 450
MOST_FILES = 16
NOT_READ_IN_ONE_SITTING = "tests/benchmarks/"

EXAMPLES = "tests/support/examples.py"

SENTENCES = f"{PACKAGE}/plans/sentences.py"
"""The file of sentences: what records say to people, which other wings only look up."""

USD_SHOWN = f"{PACKAGE}/units.py"
"""How an amount of money stands in a message, whichever wing words it."""

SENTENCE_NAMES = re.compile(r"(^|_)(note|notes|reason|reasons|remark|sentence|message|msg)$")
TEXT_TESTS = ("startswith", "endswith", "find", "index", "count")
PADDING_CALLS = ("ljust", "rjust", "center")
PADDING = re.compile(r"(.?[<>^=])?(\{\}|[1-9][0-9]*)")
"""A format specification that begins with a width: `:8`, `:>8`, `:{width}`."""

Tree = Mapping[str, str]


class Finding(NamedTuple):
    """What breaks a rule, and where."""

    file: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.says}"


Rule = Callable[[Tree], Iterator[Finding]]


def read_tree(root: Path) -> Tree:
    """The package and its tests as they lie below `root`; only Python files with their text."""
    files = sorted(p for folder in FOLDERS for p in (root / folder).rglob("*") if p.is_file())
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8") if path.suffix == ".py" else ""
        for path in files
        if "__pycache__" not in path.parts
    }


# ---- what files import


class Import(NamedTuple):
    """One file of the package that another imports, or a distribution from outside."""

    line: int
    module: str


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _nodes(module: ast.Module) -> tuple[ast.AST, ...]:
    """All that a file says, listed once for all rules."""
    return tuple(ast.walk(module))


def _python(tree: Tree, *, folder: str = PACKAGE) -> Iterator[tuple[str, ast.Module]]:
    for path, text in tree.items():
        if path.startswith(f"{folder}/") and path.endswith(".py"):
            yield path, _parsed(text)


def module_of(path: str) -> str:
    """`milp_planner/a/b.py` is `milp_planner.a.b`; a folder's `__init__.py` is the folder."""
    return ".".join(p for p in PurePosixPath(path).with_suffix("").parts if p != "__init__")


def wing_of(module: str) -> str:
    """The first folder, or file, below the package."""
    return [*module.split("."), ""][1]


def imports_of(path: str, module: ast.Module) -> Iterator[Import]:
    """Whatever a file imports, for types alone and inside functions too: they tie a reader as fast.

    `from a import b` imports both `a` and, where that is a file, `a.b`.
    """
    for node in _nodes(module):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = PurePosixPath(path).parent.parts
            start = folder[: len(folder) - node.level + 1] if node.level else ()
            base = ".".join((*start, *filter(None, [node.module])))
            yield from (Import(node.lineno, f"{base}.{alias.name}") for alias in node.names)


def files_imported(tree: Tree) -> dict[str, dict[str, int]]:
    """Each file's module to the modules of the package that it imports, with the line."""
    modules = {module_of(path): path for path, _ in _python(tree)}
    graph: dict[str, dict[str, int]] = {}
    for path, parsed in _python(tree):
        mine = graph.setdefault(module_of(path), {})
        for line, name in imports_of(path, parsed):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module_of(path):
                mine.setdefault(target, line)
    return graph


def imports_run_downwards(tree: Tree) -> Iterator[Finding]:
    """A file imports from its own wing and the wings below it."""
    paths = {module_of(path): path for path, _ in _python(tree)}
    for module, imported in files_imported(tree).items():
        if module == PACKAGE:
            continue  # the public face exports from everywhere
        for target, line in imported.items():
            if LEVEL.get(wing_of(target), 0) > LEVEL.get(wing_of(module), len(WINGS)):
                yield Finding(paths[module], line, f"may not import {target}")


def every_file_is_in_a_wing(tree: Tree) -> Iterator[Finding]:
    """A new folder has its place in the order before it has files."""
    for path, _ in _python(tree):
        wing = wing_of(module_of(path))
        if wing and wing not in LEVEL:
            yield Finding(path, 1, f"{wing} has no place in the order of wings")


def circles_of(graph: Mapping[str, Mapping[str, int]]) -> Iterator[list[str]]:
    """Sets of two or more that reach one another."""
    reached = {name: _reached_from(name, graph) for name in graph}
    seen: set[str] = set()
    for name in sorted(graph):
        circle = sorted(other for other in reached[name] if name in reached.get(other, ()))
        if len(circle) > 1 and name not in seen:
            seen |= set(circle)
            yield circle


def _reached_from(start: str, graph: Mapping[str, Mapping[str, int]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), {}).keys() - reached
        waiting += new
        reached |= new
    return reached


def no_circle_of_files(tree: Tree) -> Iterator[Finding]:
    """No file reaches itself through what it imports."""
    for circle in circles_of(files_imported(tree)):
        yield Finding(circle[0].replace(".", "/"), 1, f"files in a circle: {', '.join(circle)}")


def no_circle_of_folders(tree: Tree) -> Iterator[Finding]:
    """No folder reaches itself; a folder and one inside it are two, a file beside them is its own.

    The public face belongs to no folder: it exports from all, and nothing imports from it.
    """
    paths = {module_of(path): path for path, _ in _python(tree)}

    def folder(module: str) -> str:
        parent = PurePosixPath(paths[module]).parent.as_posix()
        return module.replace(".", "/") if parent == PACKAGE else parent

    graph: dict[str, dict[str, int]] = {}
    for module, imported in files_imported(tree).items():
        for target, line in imported.items():
            if PACKAGE not in (module, target) and folder(module) != folder(target):
                graph.setdefault(folder(module), {}).setdefault(folder(target), line)
    for circle in circles_of(graph):
        yield Finding(circle[0], 1, f"folders in a circle: {', '.join(circle)}")


def only_milp_knows_the_solvers(tree: Tree) -> Iterator[Finding]:
    """PuLP and HiGHS are imported below `milp/` alone."""
    for path, parsed in _python(tree):
        for line, name in imports_of(path, parsed):
            if name.split(".")[0] in SOLVERS and wing_of(module_of(path)) != "milp":
                yield Finding(path, line, f"imports {name.split('.')[0]} outside of milp/")


def dataclasses_are_written_late(tree: Tree) -> Iterator[Finding]:
    """`lazily.dataclass` makes them: what a command does not use costs it no time."""
    for path, parsed in _python(tree):
        if path == f"{PACKAGE}/lazily.py":
            continue
        for node in _nodes(parsed):
            if not isinstance(node, ast.ImportFrom) or node.module != "dataclasses":
                continue
            if any(alias.name == "dataclass" for alias in node.names):
                yield Finding(path, node.lineno, "dataclass is not from milp_planner.lazily")


# ---- sizes


def a_file_is_read_in_one_sitting(tree: Tree) -> Iterator[Finding]:
    """At most 450 lines, in the package and in its tests."""
    for path, text in tree.items():
        lines = len(text.splitlines())
        if lines > MOST_LINES and not path.startswith(NOT_READ_IN_ONE_SITTING):
            yield Finding(path, lines, f"{lines} lines, over {MOST_LINES}")


def a_folder_is_seen_at_a_glance(tree: Tree) -> Iterator[Finding]:
    """At most 16 files."""
    count = Counter(PurePosixPath(path).parent.as_posix() for path in tree)
    for folder, files in count.items():
        if files > MOST_FILES:
            yield Finding(folder, 1, f"{files} files, over {MOST_FILES}")


def examples_are_counted_in_one_place(tree: Tree) -> Iterator[Finding]:
    """Tests say how many times the usual hundred they try: `tries(0.6)`, not `max_examples=60`."""
    for path, parsed in _python(tree, folder="tests"):
        for node in _nodes(parsed):
            if isinstance(node, ast.keyword) and node.arg == "max_examples" and path != EXAMPLES:
                yield Finding(path, node.value.lineno, "counts its own examples")


# ---- what is said to people


def columns_only_in_reporting(tree: Tree) -> Iterator[Finding]:
    """Text is padded to a width in `reporting/` and in the file of sentences alone."""
    for path, parsed in _outside_of_reporting(tree):
        for node in _nodes(parsed):
            if isinstance(node, ast.FormattedValue) and PADDING.match(_specification(node)):
                yield Finding(path, node.lineno, "pads a column")
            elif isinstance(node, ast.Call) and _method(node) in PADDING_CALLS:
                yield Finding(path, node.lineno, f"pads with {_method(node)}")


def dollars_only_in_reporting(tree: Tree) -> Iterator[Finding]:
    """An amount gets its `$` in `reporting/`, in the file of sentences and by `usd_shown` alone."""
    for path, parsed in _outside_of_reporting(tree):
        if path == USD_SHOWN:
            continue
        for node in _nodes(parsed):
            if isinstance(node, ast.JoinedStr):
                for before, value in zip(node.values, node.values[1:], strict=False):
                    text = before.value if isinstance(before, ast.Constant) else ""
                    if str(text).endswith("$") and isinstance(value, ast.FormattedValue):
                        yield Finding(path, node.lineno, "writes an amount with its $")
            elif isinstance(node, ast.Constant) and _is_usd_template(node.value):
                yield Finding(path, node.lineno, "is a template of an amount with its $")


def _is_usd_template(value: object) -> bool:
    return isinstance(value, str) and bool(re.search(r"\$(\{[^}]*\}|%[.\d]*[dfg])", value))


def _outside_of_reporting(tree: Tree) -> Iterator[tuple[str, ast.Module]]:
    for path, parsed in _python(tree):
        if not path.startswith(f"{PACKAGE}/reporting/") and path != SENTENCES:
            yield path, parsed


def _specification(value: ast.FormattedValue) -> str:
    """What follows the colon, with `{}` for values inside of it."""
    if not isinstance(value.format_spec, ast.JoinedStr):
        return ""
    parts = value.format_spec.values
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def nothing_turns_on_sentences(tree: Tree) -> Iterator[Finding]:
    """What is said to people decides nothing: no comparison with words, no search in a note.

    Seen are comparisons, memberships, `match` cases and calls of `startswith` and its like whose
    other side is a text of several words (written there, or a constant of the package), and any
    look for a text in something called a note, a reason, a remark, a sentence or a message.
    """
    constants = {module_of(path): _sentence_names(parsed) for path, parsed in _python(tree)}
    for path, parsed in _python(tree):
        named = set(constants[module_of(path)])
        for node in _nodes(parsed):
            if isinstance(node, ast.ImportFrom):
                there = constants.get(node.module or "", set())
                named |= {a.asname or a.name for a in node.names if a.name in there}
        for node in _nodes(parsed):
            if isinstance(node, ast.Compare) and _turns_on_a_sentence(node, named):
                yield Finding(path, node.lineno, f"turns on a sentence: {ast.unparse(node)}")
            elif isinstance(node, ast.MatchValue) and _says(node.value, named):
                yield Finding(path, node.value.lineno, f"turns on {ast.unparse(node)}")
            elif isinstance(node, ast.Call) and _searches_a_sentence(node, named):
                yield Finding(path, node.lineno, f"turns on a sentence: {ast.unparse(node)}")


def _sentence_names(parsed: ast.Module) -> set[str]:
    """The constants of a file that hold a text of several words."""
    return {
        target.id
        for node in parsed.body
        if isinstance(node, ast.Assign) and _is_sentence(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _turns_on_a_sentence(compare: ast.Compare, named: set[str]) -> bool:
    sides = [compare.left, *compare.comparators]
    for op, left, right in zip(compare.ops, sides, sides[1:], strict=False):
        if not isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            continue
        if _says(left, named) or _says(right, named):
            return True
        if isinstance(op, ast.In | ast.NotIn) and _is_text(left) and _is_called_one(right):
            return True
    return False


def _searches_a_sentence(call: ast.Call, named: set[str]) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in TEXT_TESTS:
        return False
    if any(_says(argument, named) for argument in call.args):
        return True
    return _is_called_one(call.func.value) and any(map(_is_text, call.args))


def _says(node: ast.expr, named: set[str]) -> bool:
    """True for a text of several words, for the name of one, and for a list that has one."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_says(one, named) for one in node.elts)
    return _is_sentence(node) or (isinstance(node, ast.Name) and node.id in named)


def _is_sentence(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(p, ast.Constant) and " " in str(p.value).strip() for p in node.values)
    return _is_text(node) and len(str(node.value).split()) > 1  # type: ignore[attr-defined]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_called_one(node: ast.expr) -> bool:
    name = getattr(node, "attr", getattr(node, "id", ""))
    return bool(SENTENCE_NAMES.search(name))


RULES: tuple[Rule, ...] = (
    imports_run_downwards,
    every_file_is_in_a_wing,
    no_circle_of_files,
    no_circle_of_folders,
    only_milp_knows_the_solvers,
    dataclasses_are_written_late,
    a_file_is_read_in_one_sitting,
    a_folder_is_seen_at_a_glance,
    examples_are_counted_in_one_place,
    columns_only_in_reporting,
    dollars_only_in_reporting,
    nothing_turns_on_sentences,
)
