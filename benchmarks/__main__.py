"""`python -m benchmarks [NAME ...] [--quick] [--write]`: run the tables, and with --write keep them."""

from __future__ import annotations

import argparse
import importlib
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.timing import machine

NAMES = (
    "recording", "looking", "frames", "windowed", "sketches", "sampling", "judging", "comparing", "sequences", "memory",
    "dashboard", "store", "postgres",
)  # fmt: skip
PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without any")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no such tables: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    tables = []
    for name in args.names or NAMES:
        tables.append(importlib.import_module(f"benchmarks.{name}").main(quick=args.quick))
        print(tables[-1], flush=True)
    if args.write:
        head = f"# Measured\n\n`python -m benchmarks --write` on {machine()}, {datetime.now(UTC):%Y-%m-%d}. Medians of seven or more rounds,\nratios within a round. What the figures mean: [guides/performance.md](guides/performance.md).\n"
        PAGE.write_text("\n".join([head, *tables]), encoding="utf-8")


if __name__ == "__main__":
    main()
