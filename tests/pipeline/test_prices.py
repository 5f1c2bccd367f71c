"""Prices are data: golden numbers come from the source's own calculator and the shared table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.rates import Rates
from crucible_nb.utils import checks
from tests.conftest import need

TABLE = PriceTable.default()
COMMON = [
    "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-4.1", "o3-mini", "claude-sonnet-4-5-20250929",
    "claude-3-5-haiku-latest", "claude-opus-4-1", "gemini-2.5-flash", "gemini-2.5-pro", "mistral-large-latest",
    "command-r-plus", "grok-3",
]  # fmt: skip


def cost(
    table: PriceTable, model: str, prompt: float, completion: float, read: float = math.nan, write: float = math.nan
) -> float:
    parts = (np.array([part], float) for part in (prompt, completion, read, write))
    return float(Rates(table, [model]).cost(np.array([0]), *parts)[0])


@pytest.mark.parametrize("model", COMMON)
@pytest.mark.parametrize("prompt", [1_000, 150_000, 250_000])
def test_prices_as_the_source_does(model: str, prompt: int) -> None:
    genai = need("genai_prices")
    usage = genai.Usage(input_tokens=prompt, output_tokens=500, cache_read_tokens=300)
    expected = float(genai.calc_price(usage, model_ref=model).total_price)
    assert cost(TABLE, model, prompt, 500, read=300) == pytest.approx(expected, rel=1e-12)


def test_the_shared_table_says_the_same(shared_data: Path) -> None:
    shared = PriceTable.from_json(shared_data / "llm_prices.json")
    assert len(shared) == 11
    for model in shared.to_frame().index:
        for prompt in (1_000, 300_000):
            assert cost(TABLE, model, prompt, 10, 5, 5) == pytest.approx(
                cost(shared, model, prompt, 10, 5, 5), rel=1e-12
            )


def test_the_table_is_dated_and_says_where_it_is_from() -> None:
    assert TABLE.date.startswith("20")
    assert "MIT" in TABLE.source
    assert repr(PriceTable.from_dict({})) == "<PriceTable of 0 models, undated>"


@pytest.mark.parametrize("model", ["", "gpt", "my-gpt-4o", "gpt-4o-my-finetune", "claude", "llama", "nobody/gpt-4o"])
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert TABLE.lookup(model) is None
    assert math.isnan(cost(TABLE, model, 1, 1))


def test_case_and_provider_prefix_do_not_matter() -> None:
    assert TABLE.lookup("GPT-4o") == TABLE.lookup("openai/gpt-4o") == TABLE.lookup("gpt-4o", "openai")
    assert TABLE.lookup("gpt-4o", "anthropic") is None


@pytest.mark.parametrize(
    "model",
    [
        "my-finetune-of-claude-3-5-sonnet", "claude-3-5-sonnet-my-finetune", "local/gemini-1.5-pro-distill",
        "google/gemini-1.5-pro-distill", "my-gpt-4o4-mini-clone", "gemini-1.5-flash-8b", "google/gemini-1.5-flash-8b",
        "mycompany/claude-3-5-sonnet", "mycompany/openai/gpt-4o", "mycompany/anthropic.claude-3-haiku-20240307-v1:0",
        "openrouter/gpt-4o", "openrouter/mycompany/gpt-4o", "anthropic/gpt-4o", "claude-opus-4-9", "ollama/llama3",
    ],
)  # fmt: skip
def test_no_model_is_priced_by_resemblance(model: str) -> None:
    assert TABLE.lookup(model) is None
    provider, _, rest = model.partition("/")
    assert not rest or TABLE.lookup(rest, provider) is None


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("azure/gpt-4o", "openai/gpt-4o"), ("azure/o3-mini-2025-01-31", "o3-mini"), ("azure_ai/phi-4", "phi-4"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"), ("vertex_ai/gemini-1.5-pro-002", "gemini-1.5-pro"),
        ("vertex_ai/claude-3-5-sonnet@20240620", "claude-3-5-sonnet"), ("xai/grok-4", "grok-4"),
        ("gcp.vertex_ai/gemini-2.5-flash", "gemini-2.5-flash"), ("models/gemini-1.5-pro", "gemini-1.5-pro"),
        ("openrouter/openai/gpt-4o", "gpt-4o"), ("openrouter/anthropic/claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("openrouter/x-ai/grok-4", "grok-4"), ("litellm_proxy/azure/gpt-4o", "gpt-4o"),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("bedrock/converse/us-east-1/anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("cohere_chat/command-r-plus", "command-r-plus"), ("moonshot/kimi-k2-0905-preview", "kimi-k2-0905-preview"),
        ("openai/openai/gpt-4o", "gpt-4o"), ("Azure OpenAI/gpt-4o", "gpt-4o"), (" OpenAI / gpt-4o ", "gpt-4o"),
    ],
)  # fmt: skip
def test_prefixes_of_other_tools_name_the_provider(name: str, own: str) -> None:
    price = TABLE.lookup(own)
    assert price is not None
    found = TABLE.lookup(name)
    assert found is not None
    assert (found.input, found.output) == (price.input, price.output)
    provider, _, model = name.partition("/")
    assert TABLE.lookup(model, provider) == found


def test_a_table_of_ones_own_may_match_as_it_likes() -> None:
    table = TABLE.updated({"models": {"mine": {"match": {"contains": "distill"}, "prices": {"input": 7}}}})
    assert table.lookup("local/gemini-1.5-pro-distill").input == 7
    assert table.lookup("distilled", "mycompany").input == 7


def test_a_model_of_another_provider_is_listed_as_unpriced() -> None:
    exp = cr.start("another")
    for model in ("claude-3-5-sonnet", "gpt-4o"):
        exp.record("llm.request", model=model, provider="mycompany", prompt_tokens=10**6, completion_tokens=0)
    assert "cost_usd" not in exp.df or exp.df.cost_usd.isna().all()
    assert exp.unpriced() == {"mycompany/claude-3-5-sonnet": 1, "mycompany/gpt-4o": 1}


@pytest.mark.parametrize(
    ("prompt", "read", "write", "total", "expected"),
    [
        (100, 900_000, None, None, 100 * 3 + 900_000 * 0.3),  # beside the prompt: more than it
        (100, 90_000, 50_000, None, 100 * 3 + 90_000 * 0.3 + 50_000 * 3.75),
        (1_000, 900, None, None, 100 * 3 + 900 * 0.3),  # inside
        (1_000, 900, None, 1_010, 100 * 3 + 900 * 0.3),
        (1_000, 900, None, 1_910, 1_000 * 3 + 900 * 0.3),  # beside: the total says so
        (1_000, 500, 500, None, 500 * 0.3 + 500 * 3.75),
    ],
)
def test_cached_tokens_inside_and_beside_the_prompt(
    prompt: int, read: int | None, write: int | None, total: int | None, expected: float
) -> None:
    exp = cr.start("cache")
    exp.record(
        "llm.request", model="claude-3-5-sonnet-20241022", prompt_tokens=prompt, completion_tokens=10,
        cache_read_tokens=read, cache_write_tokens=write, total_tokens=total,
    )  # fmt: skip
    assert exp.df.cost_usd.tolist() == pytest.approx([(expected + 10 * 15) / 1e6])
    assert exp.unpriced() == {}


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"])
def test_no_cost_is_negative(name: str) -> None:
    exp = cr.start("negative")
    tokens = {
        "prompt_tokens": 5,
        "completion_tokens": 5,
        "cache_read_tokens": 1,
        "cache_write_tokens": 1,
        name: -(10**6),
    }
    exp.record("llm.request", model="gpt-4o", **tokens)
    assert "cost_usd" not in exp.df or exp.df.cost_usd.isna().all()
    assert exp.unpriced() == {"gpt-4o": 1}


def test_tiers_count_cached_tokens_beside_the_prompt() -> None:
    table = PriceTable.from_dict({"m": {"input": {"base": 1, "tiers": [{"start": 100, "price": 2}]}, "output": 0}})
    assert cost(table, "m", 60, 0, read=61) == pytest.approx(2 * 121 / 1e6)


def test_a_total_beyond_int64_is_missing() -> None:
    exp = cr.start("huge")
    exp.record("a", prompt_tokens=2**62, completion_tokens=2**62)
    exp.record("a", prompt_tokens=2**62, completion_tokens=2**62 - 1)
    assert exp.df.total_tokens.isna().tolist() == [True, False]
    assert exp.df.total_tokens.iloc[1] == 2**63 - 1


def test_missing_tokens_are_not_zero() -> None:
    assert math.isnan(cost(TABLE, "gpt-4o", math.nan, 5))
    assert math.isnan(cost(TABLE, "gpt-4o", 5, math.nan))


def test_an_embedding_needs_no_tokens_out() -> None:
    table = PriceTable.from_dict({"embed": {"input": 2.0}})
    assert cost(table, "embed", 1e6, math.nan) == 2.0


def test_cached_tokens_are_part_of_the_prompt() -> None:
    table = PriceTable.from_dict({"m": {"input": 4.0, "output": 8.0, "cache_read": 1.0, "cache_write": 5.0}})
    assert cost(table, "m", 1e6, 0, read=0.5e6, write=0.25e6) == pytest.approx(0.25 * 4 + 0.5 * 1 + 0.25 * 5)
    assert cost(PriceTable.from_dict({"m": {"input": 4.0, "output": 8.0}}), "m", 1e6, 0, read=0.5e6) == 4.0


def test_tiers_hold_above_their_start() -> None:
    rate = {"base": 1, "tiers": [{"start": 100, "price": 2}, {"start": 1000, "price": 3}]}
    table = PriceTable.from_dict({"m": {"input": rate, "output": 0}})
    prompts = np.array([100.0, 101.0, 1000.0, 1001.0])
    assert (Rates(table, ["m"]).cost(np.zeros(4, int), prompts, np.zeros(4)) * 1e6 / prompts).round(9).tolist() == [
        1,
        2,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ({"equals": "a"}, "A", "ab"),
        ({"starts_with": "a"}, "ab", "ba"),
        ({"ends_with": "a"}, "ba", "ab"),
        ({"contains": "a"}, "bab", "b"),
        ({"regex": "^a.c$"}, "abc", "abcd"),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", "c"),
        ({"and": [{"starts_with": "a"}, {"ends_with": "b"}]}, "a-b", "a-c"),
    ],
)
def test_match_rules(rule: dict, yes: str, no: str) -> None:
    table = PriceTable.from_dict({"models": {"m": {"match": rule, "prices": {"input": 1, "output": 1}}}})
    assert table.lookup(yes) is not None
    assert table.lookup(no) is None
    assert table.lookup("m") is not None


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"m": {"input": -1, "output": 1}}, "price of 'm', input=-1: expected a number >= 0"),
        ({"m": {"input": 1, "output": "free"}}, "price of 'm', output='free': expected a number >= 0"),
        ({"m": {"output": 1}}, "price of 'm', input=None: expected a number >= 0"),
        ({"m": 3}, "price of 'm'=3: expected a mapping with text keys"),
        (5, "table=5: expected a mapping with text keys"),
        ({"models": {"m": {"match": {"like": "x"}, "prices": {"input": 1}}}}, None),
        ({"models": {"m": {"match": {}, "prices": {"input": 1}}}}, "match of 'm'={}: expected a mapping with one rule"),
    ],
)
def test_bad_tables_are_refused(table: object, sentence: str | None) -> None:
    with pytest.raises(ConfigError) as error:
        PriceTable.from_dict(table)
    assert sentence is None or str(error.value) == sentence


def test_the_packaged_table_is_valid() -> None:
    (data,) = TABLE.data
    checked = PriceTable.from_dict(data)
    pd.testing.assert_frame_equal(checked.to_frame(), TABLE.to_frame())
    assert (checked.date, checked.source) == (TABLE.date, TABLE.source)


def test_a_stored_table_is_not_checked_again_where_it_is_the_packaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.loads(json.dumps([{"m": {"input": 1.0, "output": 2.0}}, *TABLE.data]))
    calls: list[str] = []

    def count(name: str) -> None:
        check = getattr(checks, name)
        monkeypatch.setattr(checks, name, lambda *args, **bounds: calls.append(name) or check(*args, **bounds))

    for name in ("mapping", "number", "one_of"):
        count(name)
    table = PriceTable.from_data(data)
    assert len(calls) < 10
    assert (table.lookup("m").input, table.lookup("gpt-4o").input) == (1.0, 2.5)
    assert table.data == tuple(data)
    data[1]["models"]["gpt-4o"]["prices"] = {"input": -1.0}  # any other table is checked whole
    with pytest.raises(ConfigError, match="input=-1.0: expected a number >= 0"):
        PriceTable.from_data(data)


def test_a_broken_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{")
    for name in ("p.json", "absent.json"):
        with pytest.raises(StoreError, match="cannot read"):
            PriceTable.from_json(str(tmp_path / name))
    (tmp_path / "p.json").write_text(json.dumps({"m": {"input": 1, "output": 1}}))
    assert PriceTable.from_json(tmp_path / "p.json").lookup("m").input == 1


def test_provider_given_cost_wins_and_unknown_models_are_listed() -> None:
    exp = cr.start("costs")
    for extra in ({"cost_usd": 9.0}, {}, {"model": "mystery"}, {"model": "mystery", "cost_usd": 1.0}, {"model": None}):
        exp.record("llm.request", **{"model": "gpt-4o", "prompt_tokens": 10**6, "completion_tokens": 0, **extra})
    exp.record("llm.request", model="phi-4", provider="azure", prompt_tokens=10**6, completion_tokens=0)
    exp.record("llm.request", model="gpt-4o", provider="garage", prompt_tokens=10**6, completion_tokens=0)
    exp.record("llm.request", model="gpt-4o", prompt_tokens=5)
    azure = TABLE.lookup("phi-4", "azure").input
    assert exp.df.cost_usd.fillna(-1).tolist() == [9.0, 2.5, -1, 1.0, -1, azure, -1, -1]
    assert exp.unpriced() == {"mystery": 1, "garage/gpt-4o": 1}


def test_reprice_equals_having_had_the_table_from_the_start() -> None:
    mine = {"mystery": {"input": 3.0, "output": 1.0}, "gpt-4o": {"input": 1.0, "output": 1.0}}
    exp = cr.start("reprice", by=("route",))
    before = exp.df
    for i in range(3000):
        cost = {"cost_usd": 0.5} if i % 7 == 0 else {}
        exp.record(
            "a", model=["mystery", "gpt-4o", "never"][i % 3], prompt_tokens=i, completion_tokens=1, route=i % 2, **cost
        )
    assert set(exp.unpriced()) == {"mystery", "never"}
    held, bits = exp.df, exp.df.cost_usd.to_numpy().tobytes()
    exp.reprice(mine)
    assert held.cost_usd.to_numpy().tobytes() == bits
    assert len(before) == 0
    assert set(exp.unpriced()) == {"never"}
    rows = exp.df
    expected = np.select(
        [np.arange(3000) % 7 == 0, rows.model == "mystery", rows.model == "gpt-4o"],
        [0.5, (rows.prompt_tokens * 3 + 1) / 1e6, (rows.prompt_tokens + 1) / 1e6],
        np.nan,
    ).astype(float)
    np.testing.assert_allclose(rows.cost_usd, expected, rtol=1e-14)
    assert exp.metrics().cost.total == pytest.approx(np.nansum(expected), rel=1e-12)
    assert exp.metrics(by="route")[0].cost.count + exp.metrics(by="route")[1].cost.count == exp.metrics().cost.count
    exp.record("a", model="mystery", prompt_tokens=10**6, completion_tokens=0)
    assert exp.df.cost_usd.iloc[-1] == 3.0
    exp.reprice(PriceTable.from_dict({}))
    assert exp.metrics().cost.count == sum(i % 7 == 0 for i in range(3000))


def test_reprice_refuses_what_it_cannot_do() -> None:
    exp = cr.start("gone", max_events=10)
    for _ in range(20):
        exp.record("a", model="gpt-4o", prompt_tokens=1, completion_tokens=1)
    exp.metrics()
    with pytest.raises(cr.CrucibleError, match=r"^cannot reprice 'gone': 10 events are not in memory"):
        exp.reprice({})
