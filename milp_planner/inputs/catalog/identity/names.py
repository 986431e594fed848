"""What people call GPUs and LLMs, and which rows they mean by it.

Ids, aliases and Hugging Face names go first. What remains is compared word by word: `H100 80GB SXM`
has the words of `h100-80gb-sxm`, and a checkpoint's name is that of its LLM once the words for
fine-tuning, packing and release are taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from milp_planner.errors import did_you_mean, nearest

VENDOR = re.compile(
    r"\b(nvidia|amd|intel|google|aws|geforce|tesla|instinct|radeon|tensor|core|gpu|hbm\d?e?)\b"
)
RELEASE = re.compile(
    r"^(v\d+(\.\d+)?|\d{4}|\d{6}|hf|pt|qat|instruct|it|chat|base|thinking|orig|original)$"
)
"""Words of a checkpoint's name for how it was tuned and when: its tensors stay as they are."""

PACKED = re.compile(
    r"^(bf16|fp16|fp8|nvfp4|mxfp4|fp4|int4|int8|awq|gptq|gguf|bnb|4bit|8bit|w\d+a\d+|dynamic|static|"
    r"quanti[sz]ed(\.\w+)?|q\d\w*|marlin|block|pertensor|g\d+|kv|autoround)$"
)
"""Words for the format it was stored in."""

MAKERS = ("meta-", "nvidia-", "qwen-", "mistralai-")
"""What stands before an LLM's name in some checkpoints' names."""


def gpu_words(name: str) -> frozenset[str]:
    """`NVIDIA H100 80 GB HBM3` -> {h100, 80gb}; `RTX 4090` -> {rtx4090}."""
    plain = VENDOR.sub(" ", name.lower().replace("_", " ").replace("-", " "))
    plain = re.sub(r"(\d) ?gi?b\b", r"\1gb", plain)
    plain = re.sub(r"(?<=\d)(sxm|pcie|nvl)", r" \1", plain)
    plain = re.sub(r"\b(sxm|pcie)\d\b", r"\1", plain)
    plain = re.sub(r"\b(gaudi|trainium) (\d)\b", r"\1\2", plain)
    plain = re.sub(r"\brtx (pro )?([a-z]?\d+)( ada)?", _joined, plain)
    return frozenset(plain.split())


def _joined(found: re.Match[str]) -> str:
    return "rtx" + "".join((part or "").strip() for part in found.groups())


def gpus_with_words(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The GPU ids that have every word of `name`, `4090` for `rtx4090` among them; none when it has
    no words."""
    words = gpu_words(name)
    return tuple(i for i in sorted(ids) if _has_all(gpu_words(i), words)) if words else ()


def _has_all(theirs: frozenset[str], words: frozenset[str]) -> bool:
    """Whether each word is among theirs; a number of four digits may be the end of one."""
    return all(
        word in theirs or (re.fullmatch(r"\d{4}", word) and any(t.endswith(word) for t in theirs))
        for word in words
    )


def llm_spellings(name: str) -> Iterator[str]:
    """Names in lower case that `name` may stand for, the closest first.

    `RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8` gives `meta-llama-3.1-8b-instruct-fp8`, then shorter
    ones up to `llama-3.1-8b`.
    """
    plain = "-".join(name.lower().replace("_", " ").split())
    yield plain
    short = plain.rsplit("/", 1)[-1]
    for begun in MAKERS:
        short = short.removeprefix(begun) if short.count("-") > 1 else short
    yield short
    words = short.split("-")
    while len(words) > 1 and (RELEASE.match(words[-1]) or PACKED.match(words[-1])):
        words = words[:-1]
        yield "-".join(words)
    inner = [word for word in words if not (RELEASE.match(word) or PACKED.match(word))]
    yield "-".join(inner)


def find_llm(name: str, by_name: Mapping[str, str]) -> str:
    """The id of the LLM that `name` means, '' for none; `by_name` has ids by lower-case names.

    Names as they are written go first, then their words alone: `llama3.1:8b` has those of
    `llama-3.1-8b`.
    """
    spellings = [*llm_spellings(name)]
    tried = (*spellings, *map(_words_alone, spellings))
    return next((by_name[spelling] for spelling in tried if spelling in by_name), "")


def names_in_lower_case(ids: Iterable[str], aliases: Mapping[str, str]) -> dict[str, str]:
    """Ids by what `llm_spellings` gives of ids, aliases and Hugging Face names."""
    known: dict[str, str] = {}
    for alias, llm in aliases.items():
        for spelling in list(llm_spellings(alias))[:2]:
            known.setdefault(spelling, llm)
    shorter = {spelling: llm for alias, llm in aliases.items() for spelling in llm_spellings(alias)}
    exact = {i.lower(): i for i in ids}
    return _by_words(exact) | shorter | known | exact


def _by_words(by_name: Mapping[str, str]) -> dict[str, str]:
    """Ids by the words of their names, where no other id has the same ones."""
    found: dict[str, set[str]] = {}
    for name, llm in by_name.items():
        found.setdefault(_words_alone(name), set()).add(llm)
    return {words: llm for words, (llm, *others) in found.items() if words and not others}


_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)*[a-z]?")


def _words_alone(name: str) -> str:
    """`llama3.1:8b` -> `llama 3.1 8b`, which no name is written as."""
    return " ".join(_WORD.findall(name))


def near_llms(name: str, ids: Iterable[str], most: int = 4) -> list[str]:
    """Ids that share words with `name`, those of the same version and size first.

    `70b` names every 70B; `llama-3.3-8b` the Llama 3.3s before the 8Bs. Where some have all words,
    as `qwen2-72b` those of `qwen 72b`, no others are named.
    """
    words = _WORD.findall(name.lower().rsplit("/", 1)[-1])
    known = list(ids)
    whole = [i for i in known if words and set(words) <= set(_WORD.findall(i))]
    ranked = sorted((-_shared(words, i), len(i), i) for i in whole or known)
    return [i for shared, _, i in ranked[:most] if shared < 0]


def _shared(words: list[str], other: str) -> float:
    """Words in common; families and versions, which come first, weigh more than what follows."""
    theirs = _WORD.findall(other)
    if not any(re.search(r"[a-z]", w) and w in theirs for w in words):
        return 0.0
    return sum(1 + 1 / (2 + place) for place, word in enumerate(words) if word in theirs)


def did_you_mean_llm(name: str, ids: Iterable[str]) -> str:
    """`; did you mean 'x'?` for LLMs: a mistyped id, else those of the same family and version."""
    known = list(ids)
    typed = nearest(name, known)
    if typed and not _is_number_off(name, typed[0]):
        return did_you_mean(name, known)
    near = near_llms(name, known)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else did_you_mean(name, known, 2)


def _is_number_off(name: str, other: str) -> bool:
    """Whether the two differ in a version or a size, which is no slip of the finger."""
    numbers = [re.findall(r"\d+(?:\.\d+)*", text.lower()) for text in (name, other)]
    return numbers[0] != numbers[1]


def gpu_spelling(name: str) -> str:
    """`H100 PCIe` and `h100_pcie` -> `h100-pcie`: how the keys of `gpu_aliases` are written."""
    return "-".join(name.lower().replace("_", " ").split())


def short_gpu_names(ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Beginnings of ids, which stand for every id that they begin: `h100` -> the three H100s."""
    names: dict[str, list[str]] = {}
    for gpu in sorted(ids):
        parts = gpu.split("-")
        for length in range(1, len(parts)):
            names.setdefault("-".join(parts[:length]), []).append(gpu)
    return {name: tuple(gpus) for name, gpus in names.items()}
