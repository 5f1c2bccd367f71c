"""Data of five jobs: an evaluation, a day of calls, a training run, a load test, an A/B experiment."""

from __future__ import annotations

import heapq
import os
import signal

import numpy as np
import pandas as pd

LEVELS = (1, 2, 4, 8, 16, 32, 64)


def evaluations(seed: int = 0, questions: int = 500, epochs: int = 3) -> dict[str, pd.DataFrame]:
    """Three models answer the same questions, which belong to passages, three times each."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(2, 9, 200).cumsum()
    passage = np.searchsorted(ends[ends < questions], np.arange(questions), side="right")
    hard = rng.normal(0, 0.8, passage.max() + 1)[passage] + rng.normal(0, 1, questions)
    result = {}
    for model, skill in {"base": 0.5, "mid": 0.65, "big": 1.0}.items():
        p = 1 / (1 + np.exp(-(skill + hard + rng.normal(0, 0.4, questions))))
        parts = [
            pd.DataFrame(
                {
                    "sample_id": [f"q{i}" for i in range(questions)],
                    "passage": [f"p{k}" for k in passage],
                    "epoch": epoch,
                    "model": model,
                    "success": rng.random(questions) < p,
                    "latency_ms": rng.lognormal(6, 0.4, questions),
                    "cost_usd": rng.lognormal(-6, 0.3, questions) * (1 + skill),
                }
            )
            for epoch in range(epochs)
        ]
        result[model] = pd.concat(parts, ignore_index=True)
    return result


def calls(n: int = 20_000, seed: int = 1) -> pd.DataFrame:
    """A day of calls: slow and failing from 14:00 to 15:00, dear from 20:00 to 21:00."""
    rng = np.random.default_rng(seed)
    time = pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(np.sort(rng.beta(2, 1.6, n)) * 86_400, unit="s")
    service = rng.choice(["chat", "search", "summarise", "agent"], n, p=[0.5, 0.25, 0.15, 0.1])
    team = pd.Series(service).map({"chat": "support", "search": "growth", "summarise": "growth", "agent": "labs"})
    ttft, answer = rng.lognormal(5.4, 0.5, n), rng.poisson(180, n)
    latency, slow = ttft + answer * rng.normal(4, 0.4, n), time.hour == 14
    success = rng.random(n) > np.where(slow, 0.03, 0.004)
    prompt = rng.poisson(np.where(service == "agent", 6000, 900))
    prompt = np.where((time.hour == 20) & (service == "agent"), prompt * 8, prompt)
    return pd.DataFrame(
        {
            "time": time,
            "event": "llm.request",
            "service": service,
            "team": team.to_numpy(),
            "session_id": [f"s{i}" for i in rng.integers(0, 4000, n)],
            "model": np.where(service == "agent", "gpt-4o", "gpt-4o-mini"),
            "latency_ms": np.where(slow, latency * 2.2, latency),
            "ttft_ms": np.where(slow, ttft * 2.2, ttft),
            "retries": rng.poisson(np.where(success, 0.05, 1.8)),
            "success": success,
            "prompt_tokens": prompt,
            "completion_tokens": answer,
        }
    )


def requests(clients: int, n: int = 600, seed: int = 0) -> pd.DataFrame:
    """A server of 16 slots, simulated in event time; its first answers are slow."""
    rng = np.random.default_rng([seed, clients])
    slots, waiting, rows = [0.0] * 16, [0.0] * clients, []
    start = pd.Timestamp("2026-03-02", tz="UTC")
    for i in range(n):
        sent, free = heapq.heappop(waiting), heapq.heappop(slots)
        answer = int(rng.poisson(128))
        gap = (0.012 + 0.0006 * min(clients, 16)) * rng.lognormal(0, 0.1)
        ttft = max(sent, free) - sent + 0.08 * rng.lognormal(0, 0.3) + (1.5 if sent < 2 and i < clients else 0)
        gaps = gap * rng.lognormal(0, 0.4, answer - 1)
        end = sent + ttft + gaps.sum()
        heapq.heappush(slots, end)
        heapq.heappush(waiting, end)
        rows.append(
            {
                "time": start + pd.Timedelta(end, "s"),
                "event": "llm.request",
                "concurrency": clients,
                "latency_ms": (end - sent) * 1e3,
                "ttft_ms": ttft * 1e3,
                "itl_p99_ms": np.quantile(gaps, 0.99) * 1e3,
                "prompt_tokens": 512,
                "completion_tokens": answer,
                "success": True,
                "t_sent": sent,
            }
        )
    return pd.DataFrame(rows)


def users(n: int = 8000, seed: int = 3) -> pd.DataFrame:
    """Two prompts at random to users with several calls each, over two weeks."""
    rng = np.random.default_rng(seed)
    device, arm = rng.choice(["mobile", "desktop"], n, p=[0.6, 0.4]), rng.choice(["A", "B"], n)
    count = 1 + rng.poisson(1.2, n)
    p = 1 / (1 + np.exp(-(rng.normal(0, 0.8, n) + 0.4 + 0.12 * (arm == "B") - 0.2 * (device == "mobile"))))
    user = np.repeat(np.arange(n), count)
    seconds = np.sort(rng.uniform(0, 14 * 86_400, len(user)))
    user = user[rng.permutation(len(user))]
    latency = rng.lognormal(6.6, 0.4, len(user)) * np.where(arm[user] == "B", 1.02, 1)
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(seconds, unit="s"),
            "event": "llm.request",
            "user_id": [f"u{i}" for i in user],
            "session_id": [f"u{i}" for i in user],
            "arm": arm[user],
            "device": device[user],
            "success": rng.random(len(user)) < p[user],
            "latency_ms": latency * np.where(device[user] == "mobile", 1.3, 1),
            "cost_usd": rng.lognormal(-6, 0.3, len(user)),
        }
    )


class Network:
    """A network whose loss falls faster with a larger learning rate; the process is killed in epoch `killed_in`."""

    killed_in: int | None = None

    def __init__(self, rate: float, seed: int) -> None:
        self.rng, self.rate, self.age = np.random.default_rng(seed), rate, 0

    def epoch(self) -> tuple[float, float]:
        self.age += 1
        if self.age == self.killed_in:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = 0.2 + np.exp(-self.rate * self.age) + abs(self.rng.normal(0, 0.02))
        return loss, 1 - loss / 3
