"""Reads LiteLLM's token prices: `model_prices_and_context_window.json` (BerriAI/litellm).

One object by the name under which LiteLLM calls a provider's LLM, such as
`deepinfra/meta-llama/Llama-3.3-70B-Instruct`:

    litellm_provider                the provider
    mode                            chat, completion, embedding, ...: the first two serve text
    input_cost_per_token, output_cost_per_token, cache_read_input_token_cost     USD per token
    deprecation_date                the day from which it is no longer sold

The LLM is found by the catalog's ids, aliases and Hugging Face names. Where a provider sells one
LLM under several names, as with faster or quantized variants, the cheapest is taken; `note` names
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from milp_planner.errors import input_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.writing import read_json
from milp_planner.inputs.imports.dating import day_of
from milp_planner.inputs.imports.overlay import (
    NO_PRICE,
    CatalogImport,
    PriceRows,
    Row,
    Skipped,
    base_catalog,
    cheapest_of_each,
    provider_id,
    write_overlay,
)
from milp_planner.units import TOKENS_PER_MILLION

SPECIMEN = "sample_spec"
"""The entry that explains the format."""

TEXT_MODES = ("chat", "completion", "responses")
ROUTERS = ("openrouter", "vercel-ai-gateway", "github-copilot")
"""They sell what others serve, at changing prices."""

OTHER_MODE = "does not generate text"
ROUTED = "routed through another provider"
GONE = "no longer sold"
UNKNOWN_LLM = "LLM not in the catalog"
NO_PROVIDER = "provider not named"

GEOGRAPHY = re.compile(r"^(us|eu|apac|jp|au|ca|us-gov|global)\.")
"""Where a cross-region profile of Bedrock serves."""

MAKER = re.compile(r"^(meta|mistral|deepseek|qwen|openai|google|minimax|moonshot|nvidia|zai)\.")
VERSION_BEHIND = re.compile(r"(-v?\d+:\d+|@\d+|:\d+)$")

VARIANT = re.compile(r"-(instruct|it|chat|hf|turbo|versatile|instant|maas|fp8)$")
"""Endings that do not change an LLM's shape."""


def import_litellm(
    files: Sequence[str | Path],
    out: Path,
    *,
    base: str | Path = "market",
    as_of: date | None = None,
    source: str | None = None,
    keep: bool = False,
) -> CatalogImport:
    """Write the token prices of open LLMs as an overlay folder `out` on top of `base`.

    `as_of` is the day the prices are of, default the file's own (`dating.py`), and the day taken
    for today; `source` where they are from. What `base` sells per token of a provider that the
    files have, and they do not name, is retired unless `keep`. Raises InputError for files of
    another format, when nothing can be used, and when `out` exists.
    """
    catalog = base_catalog(base)
    read = read_litellm(files, catalog, as_of=as_of, source=source)
    return write_overlay(
        out, "token_prices.csv", read, tool="LiteLLM", base=base, catalog=catalog, keep=keep
    )


def read_litellm(
    files: Sequence[str | Path],
    catalog: Catalog,
    *,
    as_of: date | None = None,
    source: str | None = None,
) -> PriceRows:
    """Rows of `token_prices.csv`, one for each key; parameters as in `import_litellm`."""
    read, names = PriceRows(), LlmNames(catalog)
    today = as_of or date.today()
    rows: list[Row] = []
    for path in map(Path, files):
        document = read_json(path)
        if not isinstance(document, dict):
            raise input_error("expected one entry per LLM", file=str(path))
        read.dates.append(day_of(path, as_of))
        said = source or f"LiteLLM, {path.name}"
        sourced = {"as_of": read.dates[-1].day.isoformat(), "source": said}
        for name, entry in document.items():
            if name == SPECIMEN or not isinstance(entry, dict):
                continue
            row = _token_price(name, entry, names, read.skipped, today)
            if row is not None:
                rows.append(row | sourced)
    read.rows = cheapest_of_each(rows, "usd_per_m_output_tokens", read.skipped)
    return read


def _token_price(
    name: str, entry: Mapping[str, Any], names: LlmNames, skipped: Skipped, day: date
) -> Row | None:
    provider = provider_id(str(entry.get("litellm_provider", "")), names.sellers)
    llm = names.find(name)
    inputs, outputs = (_per_million(entry.get(f"{k}_cost_per_token")) for k in ("input", "output"))
    reasons = [
        (entry.get("mode", "chat") not in TEXT_MODES, OTHER_MODE),
        (not provider, NO_PROVIDER),
        (provider in ROUTERS, ROUTED),
        (not llm, UNKNOWN_LLM),
        (str(entry.get("deprecation_date") or "9999-12-31") <= day.isoformat(), GONE),
        (inputs is None or not outputs, NO_PRICE),
    ]
    for applies, reason in reasons:
        if applies:
            skipped.add(reason, name)
            return None
    return {
        "provider": provider,
        "llm": llm,
        "usd_per_m_input_tokens": inputs,
        "usd_per_m_output_tokens": outputs,
        "usd_per_m_cached_tokens": _per_million(entry.get("cache_read_input_token_cost")),
        "note": name,
    }


def _per_million(usd_per_token: Any) -> float | None:
    """USD per million tokens; None for what is no price."""
    if isinstance(usd_per_token, bool) or not isinstance(usd_per_token, int | float):
        return None
    return round(usd_per_token * TOKENS_PER_MILLION, 6) if usd_per_token >= 0 else None


def told_names(name: str) -> Iterator[str]:
    """What a provider's own spelling tells: `us.meta.llama3-3-70b-instruct-v1:0` -> llama-3.3-70b.

    Bedrock puts a geography and a maker with a dot before it and a version behind, OCI a maker,
    Databricks its own name; Bedrock, Databricks, watsonx and Snowflake write 3.3 as 3-3 or without
    the dash before it.
    """
    plain = GEOGRAPHY.sub("", name)
    plain = VERSION_BEHIND.sub("", plain.removeprefix("databricks-"))
    for told in (MAKER.sub("", plain), plain.replace(".", "-", 1)):
        told = told.removeprefix("meta-")
        told = re.sub(r"^(llama|gemma|qwen)-?(\d)-(\d)(?=-)", r"\1-\2.\3", told)
        told = re.sub(r"^(llama|gemma)(\d)", r"\1-\2", told)
        yield re.sub(r"^(llama-4-\w+)-17b(-\d+e)?", r"\1", told)


class LlmNames:
    """Finds the LLM that a provider's name means."""

    def __init__(self, catalog: Catalog) -> None:
        self.sellers = catalog.sellers
        aliases = {name.lower(): llm for name, llm in catalog.llm_aliases.items()}
        self._ids = aliases | {llm.lower(): llm for llm in catalog.llms}

    def find(self, name: str) -> str:
        """The LLM's id, or '' when none is meant."""
        for spelling in self._spellings(name.lower()):
            if spelling in self._ids:
                return self._ids[spelling]
        return ""

    def _spellings(self, name: str) -> Iterator[str]:
        yield from self._as_written(name)
        for told in told_names(name.split("/")[-1]):
            yield from self._as_written(told)

    @staticmethod
    def _as_written(name: str) -> Iterator[str]:
        parts = name.split("/")
        for start in range(len(parts)):
            yield "/".join(parts[start:])
        plain = re.sub(r"\bv(\d+)p(\d+)\b", r"\1.\2", parts[-1]).split(":")[0]
        plain = plain.removeprefix("meta-")
        while True:
            yield plain
            shorter = VARIANT.sub("", plain)
            if shorter == plain:
                return
            plain = shorter
