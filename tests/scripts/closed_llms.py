"""Adds LLMs that are sold per token only, with their prices, to catalogs/market.

    python tests/scripts/closed_llms.py

GPT, Claude, Gemini and Command as their own publishers and the large clouds sell them, from the
licensed lists in `../shared/data/prices/token_prices.csv`; without that file nothing is done. The
newest price of a provider counts, of one day the lower. No architecture is known of them.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKET = ROOT / "catalogs" / "market"
PRICES = ROOT.parent / "shared" / "data" / "prices" / "token_prices.csv"

CLOSED = re.compile(
    r"^(gpt-(3\.5-turbo|4|4-turbo|4o(-mini)?|4\.1(-mini|-nano)?|5(\.\d)?(-mini|-nano|-pro|-codex)?"
    r"|5\.6-\w+)"
    r"|claude-((opus|sonnet|haiku|fable)-\d(-\d)?|3(-[57])?-(sonnet|haiku|opus))"
    r"|gemini-\d(\.\d)?-(pro|flash|flash-lite)(-preview)?"
    r"|command(-a|-r|-r-plus|-r7b)?)$"
)
"""Text LLMs by the publisher's own name, without dated, tuned, spoken or drawn variants."""

SELLERS = ("openai", "anthropic", "google", "cohere", "azure", "vertex")
NOTE = "sold per token only: the publisher states no architecture"

Row = dict[str, str]


def main() -> int:
    """Write both files."""
    if not PRICES.is_file():
        print(f"{PRICES} is not there: nothing done")
        return 0
    offers = list(newest(offered()))
    merge(MARKET / "token_prices.csv", [price for price, _ in offers], ("provider", "llm"))
    llms: dict[str, Row] = {}
    for price, context in offers:
        llm = llms.setdefault(price["llm"], _llm(price))
        llm["context_tokens"] = str(max(int(llm["context_tokens"] or 0), context) or "")
    merge(MARKET / "llms.csv", list(llms.values()), ("id",))
    return 0


def offered() -> list[tuple[str, Row]]:
    """(id of the LLM, row of the list) of what is sold."""
    with PRICES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        name = row["provider_model_id"].split("/")[-1].split("@")[0].lower()
        usable = row["quality"] == "ok" and row["tier"] == "standard" and row["provider"] in SELLERS
        if usable and CLOSED.match(name) and float(row["usd_per_mtok_output"] or 0) > 0:
            found.append((name, row))
    return found


def newest(found: list[tuple[str, Row]]) -> list[tuple[Row, int]]:
    """One price a provider and LLM, with its context."""
    by_key: dict[tuple[str, str], list[Row]] = {}
    for name, row in found:
        by_key.setdefault((row["provider"], name), []).append(row)
    offers = []
    for (provider, name), rows in sorted(by_key.items()):
        last = max(row["observed_on"] for row in rows)
        row = min(
            (row for row in rows if row["observed_on"] == last),
            key=lambda row: float(row["usd_per_mtok_output"]),
        )
        context = max(int(float(row["context_tokens"] or 0)) for row in rows)
        offers.append((_price(provider, name, row), context))
    return offers


def _price(provider: str, name: str, row: Row) -> Row:
    cached = row["usd_per_mtok_cache_read"]
    return {
        "provider": provider,
        "llm": name,
        "usd_per_m_input_tokens": f"{float(row['usd_per_mtok_input']):g}",
        "usd_per_m_output_tokens": f"{float(row['usd_per_mtok_output']):g}",
        "usd_per_m_cached_tokens": f"{float(cached):g}" if cached and float(cached) else "",
        "as_of": row["observed_on"],
        "source": f"{row['source_repo']}@{row['source_commit'][:7]} {row['source_path']}",
        "note": row["provider_model_id"],
    }


def _llm(price: Row) -> Row:
    kept = {"as_of": price["as_of"], "source": price["source"], "note": NOTE}
    return {"id": price["llm"], "context_tokens": "", **kept}


def merge(path: Path, rows: list[Row], key: tuple[str, ...]) -> None:
    """Put the rows into the file, in order of their keys, in the place of those of equal key."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        kept = {tuple(row[name] for name in key): row for row in reader}
    kept |= {tuple(row[name] for name in key): row for row in rows}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept[k] for k in sorted(kept))


if __name__ == "__main__":
    sys.exit(main())
