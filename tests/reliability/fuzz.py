"""Strange files, guided by coverage: every loader reads, or says an error of ours; none crashes, hangs or takes all memory.

    python -m tests.reliability.fuzz --seconds 600 --write     # the long run; its table stands in docs/reliability.md

Each target is a kind of file, in a process of its own, two at a time. It starts from real files, and changes them
blindly (libFuzzer) and with knowledge of their format (`odd`): behind the checksums, so that those are not all that is
tried. What libFuzzer sees of the loaders is which of their lines and branches a file reaches.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import importlib
import io
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reliability import odd

HANG = 10  # seconds for one file
MEMORY = 2048  # MB, of the process
MOST = 4 << 20  # bytes of a file
EXPANDED = 2 << 20  # what `cr.load` is told a file may expand to: reading takes time in proportion
TOGETHER = 2
GOLDEN = Path(__file__).parents[1] / "store" / "golden"
PRICES = b"""[{"m": {"input": 1, "output": 2}, "n": {"match": {"or": [{"starts_with": "n"}, {"regex": "^x.$"}]},
"prices": {"input_mtok": {"base": 1.5, "tiers": [{"start": 9, "price": 2}]}}}}]"""


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        seeds: Good files, by patterns within the store that `seeds` makes.
        change: Makes an odd one of a good one.
        read: Reads one: (its bytes, a folder to put it into).
    """

    seeds: tuple[str, ...]
    change: odd.Change
    read: Callable[[bytes, Path], None]


@dataclass
class Result:
    """What was found of one target."""

    name: str
    executions: int = 0
    features: int = 0
    kept: int = 0
    findings: dict[str, Path] = field(default_factory=dict)  # what happened, and the file that did it


# -- good files -----------------------------------------------------------------------------------------------------------


def make(place: Path) -> None:
    """Small files of all kinds: an experiment with a bit of everything, what it exports, and the golden ones."""
    import numpy as np
    import pandas as pd

    import crucible_nb as cr
    from crucible_nb.store import writer
    from tests.conftest import settle

    writer.SEAL_EVENTS = 20
    rng = np.random.default_rng(0)
    exp = cr.start(
        "fuzz", store=place / "store", condition="a", tags=["t"], metadata={"k": [1]}, by=("note",), windows=("1min",),
        sampling="importance", sampling_config={"size": 10, "by": "latency_ms"}, anomaly=["z_score"], seed=1,
    )  # fmt: skip
    exp.watch("mean_latency_ms > 1 over 1h")
    next(place.glob("store/*/prices.json.gz")).write_bytes(gzip.compress(PRICES, mtime=0))  # a small one
    frame = pd.DataFrame(
        {"latency_ms": rng.lognormal(5, 1, 24), "model": ["m", "n"] * 12, "text": "é", "k": np.arange(24)}
    )
    exp.extend(frame, event="call")
    settle(exp)
    exp.pause()
    exp.resume()
    exp.record("odd", score=float("nan"), big=2**70, tags=["x"], note="n", success=False, model="n1", prompt_tokens=12, completion_tokens=6)  # fmt: skip
    exp.extend([{"latency_ms": 9.5, "time": 1}, {"metadata": {"a": 1}}], event="late")
    exp.extend(frame.assign(success=True, when=pd.Timestamp("2025-01-01"), thing=[[1]] * 24).iloc[:4], event="table")
    exp.set_sampling(None)
    exp.plan("score", margin=0.1, sample_size=10)
    exp.planned.take(1, ["score"])
    exp.watch("event_count >= 1")
    assert not exp.should_stop  # and its alert
    exp.export(place / "ours.jsonl")
    exp.export(place / "ours.csv")
    exp.export(place / "ours.parquet")
    shutil.copytree(place / "store", place / "died")
    exp.stop()
    exp.archive(place / "run.zip")
    for golden in GOLDEN.iterdir():
        shutil.copytree(golden, place / golden.name)
    frame["at"] = pd.date_range("2025", periods=24, tz="UTC")
    frame.to_csv(place / "foreign.csv", index=False)
    frame.to_json(place / "foreign.jsonl", orient="records", lines=True)
    frame.to_parquet(place / "foreign.parquet")
    for name in ("foreign.csv", "foreign.jsonl", "ours.jsonl"):
        (place / f"{name}.gz").write_bytes(gzip.compress((place / name).read_bytes(), mtime=0))


# -- reading --------------------------------------------------------------------------------------------------------------


def ours(work: Callable[[], object]) -> None:
    """An error of ours is an answer."""
    from crucible_nb import StoreError

    with contextlib.suppress(StoreError):
        work()


def looked(exp: Any) -> None:
    exp.frame()
    exp.summary()
    exp.metrics()
    repr((exp, exp._repr_html_(), exp.paused_spans, exp.alerts(), exp.anomalies(), exp.planned))


def within(name: str) -> Callable[[bytes, Path], None]:
    """The file as the one of that kind in an experiment; all that reads a store looks at it."""

    def read(data: bytes, place: Path) -> None:
        import crucible_nb as cr
        from crucible_nb.__main__ import main

        store = place / "died"
        path = sorted(store.glob(f"*/{name}"))[-1]
        path.write_bytes(data)
        ours(lambda: looked(cr.attach(path.parent.name, store=store, mode="read")))
        repr(cr.experiments(store))  # one that is broken does not hide the others
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main(["verify", str(store)])

    return read


def unarchived(data: bytes, place: Path) -> None:
    import crucible_nb as cr

    path = place / "odd.zip"
    path.write_bytes(data)
    try:
        ours(lambda: looked(cr.unarchive(path, place / "again")))
        strange = [one for one in place.iterdir() if one.name == "x"]
        if strange:
            raise AssertionError(f"it wrote outside of the store: {strange}")
    finally:
        shutil.rmtree(place / "again", ignore_errors=True)
    ours(lambda: cr.load(path, max_bytes=EXPANDED))


def loaded(name: str) -> Callable[[bytes, Path], None]:
    """The file by itself."""

    def read(data: bytes, place: Path) -> None:
        import crucible_nb as cr

        path = place / name
        path.write_bytes(data)
        ours(lambda: cr.load(path, max_bytes=EXPANDED))

    return read


TARGETS = {
    "journal": Target(("died/*/*.jsonl", "v*/*/*.jsonl"), odd.journal, within("*.jsonl")),
    "segment": Target(("died/*/*.parquet", "v*/*/*.parquet"), odd.parquet, within("*.parquet")),
    "state": Target(("store/*/*.state", "died/*/*.state", "v*/*/*.state"), odd.zipped, within("*.state")),
    "experiment.json": Target(("died/*/experiment.json", "v*/*/experiment.json"), odd.facts, within("experiment.json")),
    "prices": Target(("died/*/prices.json.gz",), odd.gz(odd.plain_json), within("prices.json.gz")),
    "archive": Target(("run.zip",), odd.zipped, unarchived),
    "csv": Target(("*.csv",), odd.text, loaded("odd.csv")),
    "jsonl": Target(("*.jsonl",), odd.lines, loaded("odd.jsonl")),
    "parquet": Target(("*.parquet", "v*/*.parquet"), odd.parquet, loaded("odd.parquet")),
    "csv.gz": Target(("*.csv.gz",), odd.gz(odd.text), loaded("odd.csv.gz")),
    "jsonl.gz": Target(("*.jsonl.gz",), odd.gz(odd.lines), loaded("odd.jsonl.gz")),
}


# -- planted bugs: what the harness must find -------------------------------------------------------------------------------


PLANTED = ("raises", "hangs", "dies")


def plant(kind: str) -> None:
    """A journal reader that trusts what a line with a good checksum says; or that hangs or dies over it."""
    from crucible_nb.store.replayer import Replayer

    careful = Replayer._apply_line

    def trusting(self: Replayer, line: Any) -> None:
        cells = line.cells
        if cells[0] != "rows" and not isinstance(cells[2], dict):
            if kind == "raises":
                raise ValueError("planted")
            if kind == "hangs":
                time.sleep(3600)
            os.abort()
        careful(self, line)

    Replayer._apply_line = trusting


# -- one target, in a process of its own ------------------------------------------------------------------------------------


def one(target: Target, seconds: int, out: Path, seed: int, hang: int, first: bool) -> None:
    """Fuzz for so long; what is found goes to files in `out`. Good files are in the folder beside."""
    import atheris

    place = out / "place"
    shutil.copytree(out.parent / "good", place)
    for folder in ("seeds", "corpus", "findings", "artifacts"):
        (out / folder).mkdir()
    for path in (path for pattern in target.seeds for path in place.glob(pattern)):
        data = path.read_bytes()
        (out / "seeds" / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    warnings.simplefilter("ignore")
    logging_off()
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))  # a machine that promises all memory finds nothing
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def test(data: bytes) -> None:
        (out / "last").write_bytes(data)  # what did it, should the process not come back
        try:
            target.read(data, place)
        except Exception as error:
            note(error, data, out / "findings")
            if first:
                raise

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.75:
            with contextlib.suppress(Exception):  # it is no such file any more
                changed = target.change(data, rng)
                if len(changed) <= most:
                    return changed
        return atheris.Mutate(data, most)

    flags = [
        f"-max_total_time={seconds}", f"-timeout={hang}", f"-rss_limit_mb={MEMORY}", f"-max_len={MOST}", f"-seed={seed}",
        "-len_control=0", "-report_slow_units=5", f"-artifact_prefix={out / 'artifacts'}/",
    ]  # fmt: skip
    atheris.Setup(["fuzz", *flags, str(out / "corpus"), str(out / "seeds")], test, custom_mutator=mutate)
    atheris.Fuzz()


def logging_off() -> None:
    import logging

    logging.disable()


def note(error: BaseException, data: bytes, findings: Path) -> None:
    """Keep one file for each place where something was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "crucible_nb" in Path(frame.filename).parts[:-1]] or frames
    at = f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}"
    path = findings / hashlib.sha256(at.encode()).hexdigest()[:16]
    if not path.exists() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(
            f"{at}: {str(error)[:200]!r}\n" + "".join(traceback.format_exception(error))
        )


def harvest(name: str, out: Path) -> Result:
    """What a process left behind."""
    log = (out / "log").read_text(encoding="utf-8", errors="replace")
    result = Result(name)
    found = re.findall(r"^#(\d+)\s+(\w+)(?:\s+cov: \d+)?(?:\s+ft: (\d+))?(?:\s+corp: (\d+))?", log, re.MULTILINE)
    result.executions = max((int(one[0]) for one in found), default=0)
    result.features = max((int(one[2] or 0) for one in found), default=0)
    result.kept = max((int(one[3] or 0) for one in found), default=0)
    for path in sorted((out / "findings").glob("*.txt")):
        result.findings[path.read_text(encoding="utf-8").splitlines()[0]] = path.with_suffix("")
    if "\nDone " not in log and not result.findings:
        said = re.search(r"Timeout|out-of-memory|deadly signal|(?<=Uncaught Python exception: ===\n).*", log)
        why = said[0] if said else "it did not end well"
        result.findings[why] = out / ("last" if (out / "last").exists() else "log")
    return result


def instrumented() -> None:
    """Import everything that reads, so that libFuzzer sees which way it goes."""
    try:
        import atheris
    except ImportError as error:
        raise SystemExit(f"fuzzing needs atheris (Linux, x86-64): pip install atheris ({error})") from None
    import numba  # noqa: F401  not to be instrumented
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    reads = ["crucible_nb.events", "crucible_nb.files", "crucible_nb.store"]  # each room costs seconds
    with atheris.instrument_imports(include=reads):
        package = importlib.import_module("crucible_nb")
        for found in pkgutil.walk_packages(package.__path__, "crucible_nb."):
            if not {"notebook", "postgres", "testing"}.intersection(found.name.split(".")):
                importlib.import_module(found.name)
        importlib.import_module("crucible_nb.__main__")


def run(names: list[str], seconds: float, keep: Path, *, seed: int = 0, hang: int = HANG, first: bool = False) -> list[Result]:  # fmt: skip
    """Fuzz these targets, so many seconds in all; results in their order. `name:bug` is a target with a planted bug."""
    instrumented()
    good = keep / "good"
    good.mkdir()
    make(good)
    end = time.monotonic() + seconds
    waiting, busy, results = list(names), dict[int, tuple[str, float]](), dict[str, Result]()
    while waiting or busy:
        while waiting and len(busy) < TOGETHER:
            name = waiting.pop(0)
            left = end - time.monotonic()  # shared by the targets that did not begin yet
            share = max(2, int(left * TOGETHER / (len(waiting) + 1 + len(busy)))) if left > 0 else 2
            share = min(share, max(2, int(left)))
            out = keep / name
            out.mkdir(parents=True)
            busy[start(name, share, out, seed, hang, first)] = (name, time.monotonic() + share + hang + 15)
        pid, _ = os.waitpid(-1, os.WNOHANG)
        for late, (name, until) in busy.items():
            if late != pid and (time.monotonic() > until or stuck(keep / name, hang)):
                os.kill(late, signal.SIGKILL)
        if pid:
            name, _ = busy.pop(pid)
            results[name] = harvest(name, keep / name)
            print(row(results[name]), flush=True)
        else:
            time.sleep(0.05)
    return [results[name] for name in names]


def stuck(out: Path, hang: int) -> bool:
    """Whether a file takes far too long; libFuzzer's alarm is delayed where a signal must wait for a line to be read."""
    last = out / "last"
    if not last.exists() or time.time() - last.stat().st_mtime < 2 * hang + 5:
        return False
    with (out / "log").open("a", encoding="utf-8") as log:
        log.write("Timeout: it was ended from outside\n")
    return True


def start(name: str, seconds: int, out: Path, seed: int, hang: int, first: bool) -> int:
    """A process that fuzzes one target."""
    child = os.fork()
    if child:
        return child
    handle = os.open(out / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    try:
        name, _, planted = name.partition(":")
        if planted:
            plant(planted)
        one(TARGETS[name], seconds, out, seed, hang, first)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(1)
    return 0


HEAD = ["| file | executions | features reached | kept | findings |", "|---|--:|--:|--:|--:|"]


def row(result: Result) -> str:
    return f"| {result.name} | {result.executions:,} | {result.features:,} | {result.kept:,} | {len(result.findings)} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together, on the clock")
    planted = [f"journal:{kind}" for kind in PLANTED]
    parser.add_argument("--only", nargs="+", choices=[*TARGETS, *planted], default=[*TARGETS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", type=int, default=HANG, help="seconds that one file may take")
    parser.add_argument("--keep", type=Path, help="where logs, corpora and what was found are left")
    parser.add_argument("--first", action="store_true", help="a target ends with the first finding")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args()
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if os.access(fast, os.W_OK) else None) as place:
        keep = Path(place)
        try:
            results = run(args.only, args.seconds, keep, seed=args.seed, hang=args.hang, first=args.first)
        finally:
            if args.keep is not None:
                shutil.copytree(keep, args.keep, ignore=shutil.ignore_patterns("place", "good"), dirs_exist_ok=True)
        for result in results:
            for said, path in result.findings.items():
                print(f"{result.name}: {said} ({path.stat().st_size} bytes)")
    if args.write:
        from tests.reliability.page import put

        put("fuzz", "\n".join([*HEAD, *map(row, results)]))
    sys.exit(any(result.findings for result in results))


if __name__ == "__main__":
    main()
