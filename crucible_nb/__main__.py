"""Commands of `python -m crucible_nb`: demo, report, replay, verify, postgres."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from crucible_nb import __version__
from crucible_nb.demos import demo, digits
from crucible_nb.errors import ConfigError, CrucibleError
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.replay import Progress, replay, report
from crucible_nb.files.disk import as_path, replacing
from crucible_nb.reports import report as write_report
from crucible_nb.reports.sources import open_experiment
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
        with _tolerating_closed_pipe():
            return _run(args)
    except CrucibleError as error:
        print(f"crucible_nb: {error}", file=sys.stderr)
        return 2


@contextmanager
def _tolerating_closed_pipe() -> Iterator[None]:
    """End quietly when the reader of the output has left, as in `replay FILE | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit


def _run(args: argparse.Namespace) -> int:
    if args.command == "verify":
        report = verify(args.path)
        print(report)
        return 0 if report.sound else 1
    if args.command == "demo":
        _demo(args)
    elif args.command == "report":
        _write_report(args)
    elif args.command == "postgres":
        print(script() + "".join(map(rights, args.roles)))
    else:
        _replay(args)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crucible_nb", description=__doc__)
    parser.add_argument("--version", action="version", version=f"crucible_nb {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_demo(commands.add_parser("demo", help="measure, compare and watch real work of this machine, 15 seconds"))
    _add_replay(commands.add_parser("replay", help="stream a CSV, JSON or Parquet trace, with event time as the clock"))
    _add_report(commands.add_parser("report", help="write experiments into one HTML file without scripts"))
    check = commands.add_parser("verify", help="check every checksum of a store, an experiment or one of its files")
    check.add_argument("path", metavar="PATH")
    tables = commands.add_parser("postgres", help="print the SQL that creates the tables, to pipe into psql")
    tables.add_argument("roles", nargs="*", metavar="ROLE", help="database role that may write to the tables")
    return parser


def _add_demo(job: argparse.ArgumentParser) -> None:
    job.add_argument("--seconds", type=float, default=15.0, metavar="S", help="duration of the work (default: 15)")
    job.add_argument(
        "--digits", action="store_true", help="compare two real classifiers instead, one event per prediction"
    )
    work = job.add_argument_group("with --digits")
    work.add_argument("--out", default="out", metavar="DIR", help="folder for the Parquet files (default: out)")
    work.add_argument("--predictions", type=int, default=3000, metavar="N", help="predictions per arm (default: 3000)")


def _demo(args: argparse.Namespace) -> None:
    if args.digits:
        digits.run(Path(args.out), predictions=args.predictions)
    else:
        demo(args.seconds, stream=sys.stdout)


def _add_report(job: argparse.ArgumentParser) -> None:
    job.add_argument(
        "runs", nargs="+", metavar="RUN", help="name or id with --store; else a folder of an experiment, or a file"
    )
    job.add_argument("--store", metavar="PLACE", help="folder or postgresql:// address that keeps the experiments")
    job.add_argument("--out", default="report.html", metavar="FILE", help="the report (default: report.html)")
    job.add_argument("--data", choices=("parquet", "csv"), help="embed the events, to be saved from the page")
    job.add_argument("--title", metavar="TEXT", help="title (default: the names)")
    job.add_argument("--metrics", nargs="+", metavar="NAME", help="metrics to compare, for several runs")


def _write_report(args: argparse.Namespace) -> None:
    found = [open_experiment(place, args.store) for place in args.runs]
    comparing = {} if args.metrics is None else {"metrics": args.metrics}
    arms = found if len(found) > 1 else found[0]
    print(f"written: {write_report(arms, args.out, data=args.data, title=args.title, **comparing)}")


def _add_replay(trace: argparse.ArgumentParser) -> None:
    trace.add_argument("file", metavar="FILE")
    trace.add_argument("--where", metavar="EXPR", help="only rows that meet this condition: \"release == 'v8'\"")
    trace.add_argument("--time", metavar="COLUMN", help="column with the time")
    trace.add_argument("--unit", choices=("s", "ms", "us", "ns"), help="unit of relative times")
    trace.add_argument("--origin", metavar="DATE", help="zero of relative times: 2025-01-01")
    several: Any = {"nargs": "+", "action": "extend"}
    trace.add_argument(
        "--map", **several, default=[], metavar="NEW=EXPR", help="new columns: latency_ms=latency_s*1000"
    )
    trace.add_argument("--event", metavar="NAME", help="column with the event's name, or one name for all events")
    trace.add_argument("--by", metavar="COLUMN", help="group the metrics by this column, over every event")
    trace.add_argument("--window", metavar="LENGTH", help="length of a window: 5min (default: a round one)")
    trace.add_argument("--max-events", type=int, metavar="N", help="rows to keep in memory")
    trace.add_argument("--out", metavar="FILE", help="write the events to .parquet, .csv or .jsonl")
    trace.add_argument("--name", metavar="TEXT", help="name of the experiment (default: the file's)")
    trace.add_argument("--store", metavar="PLACE", help="folder or postgresql:// address to keep the experiment in")
    trace.add_argument("--anomaly", metavar="NAMES", help="detectors: auto, or z_score,iqr")
    trace.add_argument(
        "--sampling", metavar="NAME[:KEY=VALUE,...]", help="sampler: adaptive, uniform:rate=0.1, reservoir:size=1000"
    )
    trace.add_argument("--dashboard", metavar="FILE", help="write a page with the dashboard's charts to .html")
    trace.add_argument(
        "--format", metavar="NAME", help="parquet, csv, jsonl, json or zip (default: by suffix, or content)"
    )
    trace.add_argument("--columns", **several, metavar="NAME", help="columns of the file to keep (default: all)")
    table = trace.add_argument_group("CSV files")
    table.add_argument("--sep", metavar="CHARACTER", help="separator of cells (default: inferred)")
    table.add_argument("--decimal", default=".", metavar="CHARACTER", help="decimal mark (default: .)")
    table.add_argument("--header", default="infer", metavar="LINE", help="line with the names, from 0, or none")
    table.add_argument("--names", **several, metavar="NAME", help="names of the columns")
    table.add_argument("--na-values", **several, metavar="WORD", help="further words for missing values")
    table.add_argument("--comment", metavar="CHARACTER", help="beginning of lines to skip")


def _replay(args: argparse.Namespace) -> None:
    progress = Progress()
    sampling, config = _sampling(args.sampling)
    shared = ("name", "time", "event", "unit", "origin", "where", "max_events", "store", "anomaly", "format", "columns")
    exp = replay(
        args.file,
        map=dict(map(_pair, args.map)),
        by=() if args.by is None else args.by,
        sampling=sampling,
        sampling_config=config,
        progress=progress,
        sep="\t" if args.sep == "\\t" else args.sep,
        header=_header(args.header),
        **{name: getattr(args, name) for name in (*shared, "decimal", "names", "na_values", "comment")},
    )
    progress.close()
    print(report(exp, args.by, args.window))
    if args.out:
        print(f"\nwritten: {exp.export(args.out)}")
    if args.dashboard:
        print(f"\nwritten: {_write_page(exp, args.dashboard)}")


def _header(text: str) -> Any:
    return None if text.lower() == "none" else int(text) if text.isdigit() else text


def _sampling(text: str | None) -> tuple[str | None, dict[str, Any] | None]:
    """Parse a sampler with its options: "uniform:rate=0.1"."""
    if text is None:
        return None, None
    name, colon, options = text.partition(":")
    try:
        pairs = [option.split("=", 1) for option in options.split(",")] if colon else []
        return name, {key.strip(): json.loads(value) for key, value in pairs} or None
    except ValueError:
        raise ConfigError(f"--sampling {text!r}: expected NAME:KEY=NUMBER, such as uniform:rate=0.1") from None


def _write_page(exp: Experiment, target: str) -> Path:
    """Write the charts of the dashboard as one HTML page."""
    from crucible_nb.notebook import page_state, static_page  # noqa: PLC0415  only this option needs them

    path, state = as_path(target), page_state.PageState(exp)
    content = f"<!doctype html><meta charset='utf-8'><title>{escape(exp.name)}</title>{static_page.page([state])}"
    with replacing(path) as stream:
        stream.write(content.encode())
    return path


def _pair(text: str) -> tuple[str, str]:
    name, sign, expression = text.partition("=")
    if not (name and sign and expression):
        raise ConfigError(f"--map {text!r}: expected NEW=EXPRESSION, such as latency_ms=latency_s*1000")
    return name.strip(), expression.strip()


if __name__ == "__main__":
    sys.exit(main())
