"""Memory that events take, as growth of a fresh process; import time."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from benchmarks.timing import Row, at_most, table

_GROWTH = """
import gc, resource, sys
import numpy as np
import crucible_nb as cr
n, kept = int(sys.argv[1]), sys.argv[2] == "kept"
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
rng = np.random.default_rng(0)
latency, cost = rng.lognormal(6, 1, 65536).tolist(), rng.lognormal(-6, 1, 65536).tolist()
exp = cr.start("memory", max_events=None if kept else 1000)
for i in range(20000):
    exp.record("llm.request", latency_ms=latency[i], cost_usd=cost[i], success=True, model="gpt-4o", prompt_tokens=311, completion_tokens=92)
exp.metrics(); gc.collect()
before = rss()
for i in range(n):
    exp.record("llm.request", latency_ms=latency[i & 65535], cost_usd=cost[i & 65535], success=True, model="gpt-4o", prompt_tokens=311, completion_tokens=92)
exp.metrics(); gc.collect()
# time, seq, latency, cost, three token columns: 8 bytes each; success 1; event and model 4-byte codes
print((rss() - before) / n, 7 * 8 + 1 + 2 * 4)
"""


def growth(n: int, kept: bool) -> tuple[float, float]:
    """Growth of the process in bytes per event, and bytes of payload."""
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, str(n), "kept" if kept else "gone"], capture_output=True, text=True, check=True
    )
    grown, payload = done.stdout.split()
    return float(grown), float(payload)


def importing(module: str) -> float:
    """Seconds to import a module in a fresh process."""
    code = f"from time import perf_counter as t; s = t(); import {module}; print(t() - s)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main(quick: bool = False) -> str:
    """Run it; returns the table as Markdown."""
    rows: list[Row] = []
    for n in (10**6,) if quick else (10**6, 10**7):
        grown, payload = growth(n, kept=True)
        rows.append(
            at_most(
                f"growth at {n:.0e} events, of the payload", grown / payload, 1.3, note=f" ({grown:.0f} B per event)"
            )
        )
    gone, _ = growth(10**6, kept=False)
    rows.append(at_most("growth with `max_events=1000`, per event", gone, 1, " B"))
    pairs = [(importing("crucible_nb"), importing("pandas")) for _ in range(3 if quick else 9)]
    rows.append(
        at_most(
            "`import crucible_nb`, against `import pandas`",
            median(a / b for a, b in pairs),
            1.3,
            note=f" ({median(a for a, _ in pairs):.2f} s)",
        )
    )
    return table("Memory and import", rows)


if __name__ == "__main__":
    print(main())
