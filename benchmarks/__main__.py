"""`python -m benchmarks [NAME ...] [--quick] [--write]`: run the tables, and with --write keep them."""

from __future__ import annotations

import argparse
import importlib
import re
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.timing import machine

NAMES = (
    "recording", "looking", "frames", "windowed", "sketches", "sampling", "judging", "comparing", "sequences", "memory",
    "dashboard", "store", "postgres", "files",
)  # fmt: skip
PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without any")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--write", action="store_true", help="keep these tables in docs/performance.md")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no such tables: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    tables = []
    for name in args.names or NAMES:
        tables.append(importlib.import_module(f"benchmarks.{name}").main(quick=args.quick))
        print(tables[-1], flush=True)
    if args.write and args.names:
        PAGE.write_text(merged(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
    elif args.write:
        head = f"# Measured\n\n`python -m benchmarks --write` on {machine()}, {datetime.now(UTC):%Y-%m-%d}. Medians of seven or more rounds,\nratios within a round. What the figures mean: [guides/performance.md](guides/performance.md).\n\n## Figures\n"
        PAGE.write_text("\n".join([head, *tables]), encoding="utf-8")


def merged(page: str, tables: list[str]) -> str:
    """Return the page with these tables, dated, in place of those of the same heading; new ones come last."""
    parts = _HEADINGS.split(page)
    for part in (part for table in tables for part in _HEADINGS.split(table) if part.strip()):
        heading, _, rest = part.partition("\n")
        place = [i for i, old in enumerate(parts) if old.partition("\n")[0].partition(" (2")[0] == heading]
        dated = f"{heading} ({datetime.now(UTC):%Y-%m-%d})\n{rest.strip()}\n\n"
        if place:
            parts[place[0]] = dated
        else:
            parts += ["" if parts[-1].endswith("\n\n") else "\n", dated]
    return "".join(parts).rstrip() + "\n"


_HEADINGS = re.compile("^(?=### )", re.MULTILINE)


if __name__ == "__main__":
    main()
