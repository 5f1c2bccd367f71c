"""Commands of `python -m crucible_nb`: demo, replay, verify, postgres."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from crucible_nb import __version__, demos
from crucible_nb.errors import ConfigError, CrucibleError
from crucible_nb.experiment.replay import Progress, replay, report
from crucible_nb.store.postgres.tables import rights, script
from crucible_nb.store.verify import verify


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0, 1 for a damaged store, 2 for invalid input."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        if args.command == "demo":
            demos.run(Path(args.out), predictions=args.predictions)
        elif args.command == "verify":
            report = verify(args.path)
            print(report)
            return 0 if report.sound else 1
        elif args.command == "postgres":
            print(script() + "".join(map(rights, args.roles)))
        else:
            _replay(args)
    except CrucibleError as error:
        print(f"crucible_nb: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crucible_nb", description=__doc__)
    parser.add_argument("--version", action="version", version=f"crucible_nb {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    job = commands.add_parser("demo", help="compare two real classifiers, one event per prediction")
    job.add_argument("--out", default="out", metavar="DIR", help="folder for the Parquet files (default: out)")
    job.add_argument("--predictions", type=int, default=3000, metavar="N", help="predictions per arm (default: 3000)")
    trace = commands.add_parser("replay", help="stream a CSV, JSONL or Parquet trace, with event time as the clock")
    trace.add_argument("file", metavar="FILE")
    trace.add_argument("--where", metavar="EXPR", help="only rows that meet this condition: \"release == 'v8'\"")
    trace.add_argument("--time", metavar="COLUMN", help="column with the time")
    trace.add_argument("--unit", choices=("s", "ms", "us", "ns"), help="unit of relative times")
    trace.add_argument("--origin", metavar="DATE", help="zero of relative times: 2025-01-01")
    trace.add_argument(
        "--map",
        nargs="+",
        action="extend",
        default=[],
        metavar="NEW=EXPR",
        help="new columns from others: latency_ms=latency_s*1000",
    )
    trace.add_argument("--event", metavar="NAME", help="column with the event's name, or one name for all events")
    trace.add_argument("--by", metavar="COLUMN", help="group the metrics by this column")
    trace.add_argument("--window", metavar="LENGTH", help="length of a window: 5min (default: a round one)")
    trace.add_argument("--max-events", type=int, metavar="N", help="rows to keep in memory")
    trace.add_argument("--out", metavar="FILE", help="write the events to .parquet, .csv or .jsonl")
    trace.add_argument("--name", metavar="TEXT", help="name of the experiment (default: the file's)")
    check = commands.add_parser("verify", help="check every checksum of a store, an experiment or one of its files")
    check.add_argument("path", metavar="PATH")
    tables = commands.add_parser("postgres", help="print the SQL that creates the tables, to pipe into psql")
    tables.add_argument("roles", nargs="*", metavar="ROLE", help="database role that may write to the tables")
    return parser


def _replay(args: argparse.Namespace) -> None:
    progress = Progress()
    exp = replay(
        args.file,
        name=args.name,
        map=dict(map(_pair, args.map)),
        time=args.time,
        event=args.event,
        unit=args.unit,
        origin=args.origin,
        where=args.where,
        max_events=args.max_events,
        progress=progress,
    )
    progress.close()
    print(report(exp, args.by, args.window))
    if args.out:
        print(f"\nwritten: {exp.export(args.out)}")


def _pair(text: str) -> tuple[str, str]:
    name, sign, expression = text.partition("=")
    if not (name and sign and expression):
        raise ConfigError(f"--map {text!r}: expected NEW=EXPRESSION, such as latency_ms=latency_s*1000")
    return name.strip(), expression.strip()


if __name__ == "__main__":
    sys.exit(main())
