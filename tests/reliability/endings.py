"""Scripts that end: what PostgreSQL holds of each at the moment when its process has gone.

    python -m tests.reliability.endings --scripts 20 --write     # the long run; its table stands in docs/reliability.md

Each script records events, pauses, plans, looks, and raises an alert; then it ends in one of several ways. Read back are
status, counts, lifecycle, plan and alerts, from the database alone, as another machine reads it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import crucible_nb as cr

EVENTS = 40
SCRIPT = """
import sys, warnings
import crucible_nb as cr
warnings.simplefilter("ignore", cr.CrucibleWarning)
exp = cr.start(sys.argv[1], store=sys.argv[2])
exp.plan("latency_ms", sample_size=100)
exp.watch("event_count > 10", action="alert")
for i in range({events}):
    exp.record("e", latency_ms=float(i), n=i)
    if i == 20:
        exp.pause()
        exp.resume()
assert not exp.should_stop
{end}
"""
ENDS = {
    "`stop()` at the end": "exp.stop()",
    "`with` block": "with exp:\n    pass",
    "stop() after everything is in": "exp.wait_archived(30)\nexp.stop()",
    "`sys.exit(3)` in the block": "with exp:\n    sys.exit(3)",
    "exception in the block": "with exp:\n    raise ValueError",
    "no `stop()`": "",
}
"""Ways in which a script ends, and the last lines of it."""

STATUS = {
    "`sys.exit(3)` in the block": ("failed",),
    "exception in the block": ("failed",),
    "no `stop()`": ("running", "dead"),
}
"""Status that a reader on another machine finds; "stopped" for the other ends."""


class Outcome(NamedTuple):
    """What was found of the scripts that end in one way."""

    end: str
    scripts: int
    status: int
    counts: int
    lifecycle: int

    def __str__(self) -> str:
        return f"| {self.end} | {self.scripts} | {self.status} | {self.counts} | {self.lifecycle} |"

    @property
    def clean(self) -> bool:
        return self.status == self.counts == self.lifecycle == self.scripts


HEAD = "| end of the script | scripts | status | events and rows | pauses, plan and alerts |\n|---|--:|--:|--:|--:|"


def run(end: str, name: str, url: str, home: Path) -> None:
    """Run one script to its end, with a local folder of its own."""
    script = SCRIPT.format(events=EVENTS, end=ENDS[end])
    subprocess.run(
        [sys.executable, "-c", script, name, url], check=False, capture_output=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "CRUCIBLE_DIR": str(home)},
    )  # fmt: skip


def look(name: str, url: str) -> tuple[str, bool, bool]:
    """Return what the database holds: the status, and whether counts and lifecycle are those of the script."""
    back = cr.attach(name, store=url, mode="read")
    summary, listed = back.summary(), cr.experiments(url).set_index("name").loc[name]
    counts = [summary["total_events"], listed.total_events, listed.kept_events, len(back.df), int(back.df.n.sum())]
    lifecycle = back.pause_count, back.resume_count, back.planned is not None, len(back.alerts())
    right = counts == [EVENTS] * 4 + [EVENTS * (EVENTS - 1) // 2]
    return str(listed.status), right, lifecycle == (1, 1, True, 1)


def outcomes(url: str, home: Path, scripts: int) -> list[Outcome]:
    """Run this many scripts in all, the ends in turn, and read each back."""
    os.environ["CRUCIBLE_DIR"] = str(home / "reader")  # another machine
    found = {end: [0, 0, 0, 0] for end in ENDS}
    for number in range(scripts):
        end, name = list(ENDS)[number % len(ENDS)], f"script {number}"
        run(end, name, url, home / "writer")
        status, counts, lifecycle = look(name, url)
        results = (True, status in STATUS.get(end, ("stopped",)), counts, lifecycle)
        found[end] = [count + right for count, right in zip(found[end], results, strict=True)]
    return [Outcome(end, *counts) for end, counts in found.items()]


def main() -> None:
    from tests.reliability.page import put
    from tests.store.postgres.server import Server

    parser = argparse.ArgumentParser()
    parser.add_argument("--scripts", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as home:
            found = outcomes(server.url(), Path(home), args.scripts)
    finally:
        server.close()
    table = "\n".join([HEAD, *map(str, found)])
    print(table)
    if args.write:
        put("endings", table)
    assert all(one.clean for one in found)


if __name__ == "__main__":
    main()
