"""Make crucible_nb/pipeline/prices.json from the genai-prices package (MIT, Pydantic Services Inc.).

    pip install -U genai-prices && python tools/update_prices.py

Kept are the makers of models and the large hosts; prices by time of day cannot be said in one number and are left out.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data

KEPT = (
    "openai", "anthropic", "google", "mistral", "deepseek", "cohere", "x-ai", "meta", "moonshotai", "voyageai",
    "perplexity", "minimax", "zai", "groq", "cerebras", "fireworks", "together", "azure", "aws",
)  # fmt: skip
RATES = ("input", "output", "cache_read", "cache_write")
PAGE = Path(__file__).resolve().parents[1] / "crucible_nb" / "pipeline" / "prices.json"


def rule(clause: Any) -> dict[str, Any]:
    """A match clause as plain data."""
    for kind in ("equals", "starts_with", "ends_with", "contains", "regex"):
        if hasattr(clause, kind):
            return {kind: getattr(clause, kind)}
    for kind in ("or", "and"):
        if hasattr(clause, f"{kind}_"):
            return {kind: [rule(part) for part in getattr(clause, f"{kind}_")]}
    raise TypeError(clause)


def rate(value: Any) -> Any:
    """One rate as plain data: a number, or a base with tiers."""
    if hasattr(value, "base"):
        return {"base": float(value.base), "tiers": [{"start": t.start, "price": float(t.price)} for t in value.tiers]}
    return float(value)


def current(prices: Any, today: date) -> Any:
    """The price that holds today, None where it depends on the time of day."""
    if not isinstance(prices, list):
        return prices
    found = None
    for one in prices:
        start = getattr(one.constraint, "start_date", None)
        if one.constraint is not None and start is None:
            return None
        if start is None or start <= today:
            found = one.prices
    return found


def main() -> None:
    """Write the table."""
    today = datetime.now(UTC).date()
    models: dict[str, Any] = {}
    for provider in sorted((p for p in data.providers if p.id in KEPT), key=lambda p: KEPT.index(p.id)):
        for model in provider.models:
            prices = current(model.prices, today)
            if prices is None or prices.input_mtok is None:
                continue
            rates = {
                name: rate(value) for name in RATES if (value := getattr(prices, f"{name}_mtok", None)) is not None
            }
            entry = {"provider": provider.id, "match": rule(model.match), "prices": rates}
            key = model.id if model.id not in models else f"{provider.id}/{model.id}"
            models[key] = entry if key == model.id else {"model": model.id, **entry}
    table = {
        "date": today.isoformat(),
        "source": f"genai-prices {version('genai-prices')}, MIT licence, Copyright (c) Pydantic Services Inc.",
        "unit": "USD per million tokens",
        "models": models,
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in models.items()]
    head = json.dumps({key: value for key, value in table.items() if key != "models"}, indent=1)[:-2]
    PAGE.write_text(f'{head},\n "models": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")
    print(f"{len(models)} models, {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
