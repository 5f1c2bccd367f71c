"""Bits that rot, tails that are torn, files that are strange: found, named, and never in the way of the rest."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.store import attachment, writer
from crucible_nb.store.checkpoint import read_checkpoint, write_checkpoint
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lines import decode_line, encode_line, frame_line
from crucible_nb.store.verify import verify
from tests.conftest import settle
from tests.laws.test_resume import die
from tests.tiers import examples, scaled

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]


def make(place: Path, *, end: bool = True, sampling: Any = None) -> Path:
    """An experiment of three segments, or with a journal at its end; returns its folder."""
    exp = cr.start("rot", store=place, sampling=sampling, windows=("1min",), anomaly="z_score")
    rng = np.random.default_rng(0)
    for part in range(3):
        frame = pd.DataFrame({"n": np.arange(400) + 400 * part, "latency_ms": rng.normal(100, 5, 400), "model": "m"})
        exp.extend(frame, event="call")
        settle(exp)
    for n in range(1200, 1230):
        exp.record("call", n=n, note=f"text {n}")
    folder = exp._log.attachment.folder.path
    if end:
        exp.stop()
    else:
        die(exp)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SEAL_EVENTS", 400)
        return make(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def open_ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SEAL_EVENTS", 10**9)
        return make(tmp_path_factory.mktemp("open"), end=False)


def rows(folder: Path) -> list[int]:
    return cr.attach(folder.name, store=folder.parent, mode="read").frame()["n"].tolist()


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]


def test_every_flipped_bit_of_a_segment_is_found(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / finished.name)
    path = sorted((tmp_path / finished.name).glob("*.parquet"))[1]
    good, want = path.read_bytes(), rows(finished)
    silent = []
    draw = random.Random(0)
    for bit in draw.sample(range(8 * len(good)), scaled(400)):
        path.write_bytes(flipped(good, bit))
        report = verify(path)
        if report.sound and not _same(path, good):
            silent.append(bit)
    assert silent == []
    path.write_bytes(flipped(good, 8 * 500))
    left = rows(tmp_path / finished.name)
    assert len(left) == len(want) - 400  # the other segments can be read
    assert set(left) < set(want)


def _same(path: Path, good: bytes) -> bool:
    """Whether a flip changed nothing that is read: padding, or words that nobody looks at."""
    import io

    return pd.read_parquet(path).equals(pd.read_parquet(io.BytesIO(good)))


def test_every_flipped_bit_of_a_state_or_a_journal_is_found(finished: Path, open_ended: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    for folder, pattern in ((finished, "*.state"), (open_ended, "*.jsonl"), (finished, "experiment.json")):
        good = next(folder.glob(pattern)).read_bytes()
        path = tmp_path / next(folder.glob(pattern)).name
        silent = 0
        for bit in draw.sample(range(8 * len(good)), scaled(300)):
            path.write_bytes(flipped(good, bit))
            if pattern == "experiment.json":
                text = flipped(good, bit)
                try:
                    silent += json.loads(text) != json.loads(good) and _facts_sound(path)
                except ValueError:
                    continue
            else:
                report = verify(path)
                silent += report.sound and not _alike(path, good, report)
        assert silent == 0, pattern


def _facts_sound(path: Path) -> bool:
    from crucible_nb.store.layout import ExperimentFolder

    try:
        ExperimentFolder(path.parent).facts()
    except cr.StoreError:
        return False
    return True


def _alike(path: Path, good: bytes, report: Any) -> bool:
    """A flip in the last line's end makes it a torn one; in a zip's dates it changes nothing."""
    if path.suffix == ".jsonl":
        return report.files[0].torn > 0 or path.read_bytes() == good
    from crucible_nb.store.checkpoint import pack_state, read_checkpoint

    other = path.with_name("good.state")
    other.write_bytes(good)
    one, two = (json.dumps(pack_state(read_checkpoint(one)[0])) for one in (path, other))
    return one == two


def test_a_bad_line_hides_no_other_and_is_named(open_ended: Path, tmp_path: Path) -> None:
    shutil.copytree(open_ended, tmp_path / open_ended.name)
    folder = tmp_path / open_ended.name
    path = next(folder.glob("*.jsonl"))
    lines = path.read_bytes().split(b"\n")
    victim = next(i for i, text in enumerate(lines) if b'"n":1210' in text)
    offset = sum(len(text) + 1 for text in lines[:victim])
    lines[victim] = lines[victim].replace(b"1210", b"9210")
    path.write_bytes(b"\n".join(lines))
    exp = cr.attach(folder.name, store=tmp_path, mode="read")
    assert exp.frame()["n"].tolist() == [n for n in range(1230) if n != 1210]
    assert exp.summary()["lost"] == 1
    assert exp.frame()["seq"].tolist() == [n for n in range(1230) if n != 1210]  # the others keep their numbers
    broken = [one for one in verify(folder).files if not one.sound]
    assert [one.bad for one in broken] == [(offset,)]
    assert f"1 lines cannot be read (at byte {offset})" in str(broken[0])


@pytest.mark.parametrize("cut", [1, 7, 40, 400])
def test_a_torn_tail_is_no_damage(open_ended: Path, tmp_path: Path, cut: int) -> None:
    shutil.copytree(open_ended, tmp_path / open_ended.name)
    folder = tmp_path / open_ended.name
    path = next(folder.glob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert verify(folder).sound
    found = rows(folder)
    assert found == list(range(len(found)))
    assert len(found) >= 1230 - cut // 40 - 1
    exp = cr.attach(folder.name, store=tmp_path)
    exp.record("call", n=len(found))
    exp.stop()
    assert rows(folder) == list(range(len(found) + 1))


@pytest.mark.parametrize("damage", ["gone", "cut", "foreign"])
def test_a_lost_state_costs_no_row(finished: Path, open_ended: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(finished, tmp_path / finished.name)
    path = next((tmp_path / finished.name).glob("*.state"))
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    else:
        state, sample = read_checkpoint(path)
        write_checkpoint(path, state, sample, {"experiment": open_ended.name, "writer": 0, "part": 4})
    exp = cr.attach(finished.name, store=tmp_path)
    whole = cr.attach(finished.name, store=finished.parent)
    assert exp.frame()["n"].tolist() == rows(finished)
    assert (exp.status, exp.metrics().events, exp.summary()["lost"]) == ("stopped", 1230, 1)
    assert exp.metrics().latency.mean == pytest.approx(whole.metrics().latency.mean)
    assert cr.experiments(tmp_path).loc[finished.name, "status"] == "stopped"
    assert [report.path for report in verify(tmp_path).files if not report.sound] == [path]


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=12,
)
verbs = st.sampled_from(
    [
        *("rows", "pause", "resume", "stop", "sampling", "prices", "watch", "alert", "plan", "look", "absent"),
        *("objective", "mark", "silence", "crucible"),
    ]
)


@examples(300)
@given(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.lists(values, max_size=12),
            st.tuples(verbs, values, values),
            st.tuples(st.integers(0, 10), st.integers(), *[values] * 7),
        ),
        max_size=6,
    )
)
def test_any_journal_is_read_without_a_crash(
    open_ended: Path, tmp_path_factory: pytest.TempPathFactory, lines: list[Any]
) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    folder = place / open_ended.name
    shutil.copytree(open_ended, folder)
    path = next(folder.glob("*.jsonl"))
    head = path.read_bytes().split(b"\n")[0] + b"\n"
    strange = b""
    for one in lines:
        try:
            strange += one + b"\n" if isinstance(one, bytes) else encode_line(list(one))
        except (TypeError, ValueError):
            continue
    tail = encode_line([11, 1735689600000000000, "call", 1.0, None, None, None, None, None])
    path.write_bytes(head + strange + tail)
    exp = cr.attach(folder.name, store=place, mode="read")
    assert "call" in exp.frame()["event"].tolist()  # the good line is there, whatever stood before it
    exp.metrics()
    exp.summary()
    verify(folder)
    shutil.rmtree(place)


@examples(200)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_line_or_not(data: bytes) -> None:
    assert decode_line(data) is None or data.startswith(b"[")


@examples(150)
@given(
    which=st.sampled_from(["*.parquet", "*.state", "experiment.json", "prices.json.gz", "w0000.lock"]),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    keep=st.floats(0, 1),
)
def test_any_broken_file_is_an_error_of_ours(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, which: str, cuts: list[tuple[float, int]], keep: float
) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    folder = place / finished.name
    shutil.copytree(finished, folder)
    path = sorted(folder.glob(which))[-1]
    data = bytearray(path.read_bytes())
    for at, byte in cuts:
        data[int(at * (len(data) - 1))] = byte
    path.write_bytes(bytes(data[: max(1, int(keep * len(data)))]) if keep < 0.5 else bytes(data))
    said = ""
    try:
        cr.attach(finished.name, store=place, mode="read").frame()
    except cr.StoreError as error:
        said = str(error)
    assert not said or path.name in said or "no such experiment" in said
    verify(folder)
    cr.experiments(place)
    shutil.rmtree(place)


@pytest.mark.parametrize(
    "cells",
    [
        b"[5]",
        b'["rows",0,1000000000000,0,"e",null,[]]',
        b'["rows",0,1,0,"e",null,[["x","gone",1000000000000]]]',
        b'["rows",0,1,0,"e",null,[["x","int",[18446744073709551615],[]]]]',
        b'["rows",0,1,0,"e",null,[["x","any",[{"":["dict","' + b"[" * 100_000 + b'"]}]]]]',
        b'["watch",0,{"rule":["r","error_rate",">",[],null,1],"kind":"rule","action":"alert"}]',
        b'["alert",0,{"alert":[0,"rule","m","high","high","r","alert",true],"fired":false}]',
        b'["plan",0,{"plan":{"metric":"m","margin":"wide","secondary":[]}}]',
        b'["sampling",0,{"policy":{"room":"anomaly","class":"ZScore","arguments":{"pairs":[]}}}]',
        b'["sampling",0,{"policy":{"room":"sampling","class":"Uniform","arguments":{"pairs":[[]]}}}]',
    ],
)
def test_a_made_up_line_is_passed_over(open_ended: Path, tmp_path: Path, cells: bytes) -> None:
    """Its checksum holds; fuzzing made these."""
    shutil.copytree(open_ended, tmp_path / open_ended.name)
    path = next((tmp_path / open_ended.name).glob("*.jsonl"))
    path.write_bytes(path.read_bytes() + frame_line(cells))
    exp = cr.attach(open_ended.name, store=tmp_path, mode="read")
    assert exp.frame()["n"].tolist() == list(range(1230))
    assert exp._log.attachment.followers[0].replayer.unread == 1
    repr((exp, exp.summary(), exp.planned, exp.alerts()))
    verify(tmp_path)


def test_made_up_facts_are_an_error_of_ours(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / finished.name)
    folder = ExperimentFolder(tmp_path / finished.name)
    good = folder.facts()
    made_up: list[tuple[str, Any]] = [
        ("name", []), ("condition", []), ("windows", ["1min"]), ("windows", 5), ("metadata", "x"), ("by", [1]),
        ("seed", "x"), ("max_events", -1), ("started", {}), ("started", 2**64 - 1), ("detectors", ["x"]),
        ("sampling", {"room": "anomaly", "class": "ZScore", "arguments": {"pairs": []}}),
        ("sampling", {"room": "sampling", "class": "Uniform", "arguments": {"pairs": [[1]]}}),
    ]  # fmt: skip
    for key, value in made_up:
        folder.write_facts({**good, key: value})
        with pytest.raises(cr.StoreError):
            cr.attach(finished.name, store=tmp_path, mode="read")
        assert "unreadable" in repr(cr.experiments(tmp_path))
        verify(tmp_path)


@pytest.mark.check
def test_a_made_up_state_costs_no_row(finished: Path, tmp_path: Path) -> None:
    """Also where what is wrong with it would show only when somebody looks."""
    shutil.copytree(finished, tmp_path / finished.name)
    path = sorted((tmp_path / finished.name).glob("*.state"))[-1]
    good, _ = read_checkpoint(path)
    life, measure = good["life"], good["measure"]
    panel = {"sums": np.zeros(2), "moments": np.zeros(2), "span": np.zeros(2)}
    made_up: list[dict[str, Any]] = [
        {"seq": "many"}, {"notes": 1.5}, {"kinds": [["n"]]}, {"kinds": [["n", np.zeros(0)]]}, {"life": {**life, "status": "odd"}},
        {"life": {**life, "changes": [["pause", "noon", 3]]}}, {"columns": {}}, {"watching": []}, {"policy": "Uniform"},
        {"measure": {**measure, "live": {**measure["live"], "total": {**measure["live"]["total"], "panel": panel}}}},
        {"judging": {**good["judging"], "detectors": []}}, {"keeping": {**good["keeping"], "changes": [1]}},
        {"watching": {"rules": [[["r", "error_rate", ">", None, None, 1], "rule", "alert", False]], "alerts": [], "fired": False}},
        {"ledger": {"plan": {"metric": 1}, "looks": []}},
    ]  # fmt: skip
    for odd in made_up:
        write_checkpoint(path, {**good, **odd}, None)
        exp = cr.attach(finished.name, store=tmp_path, mode="read")
        assert exp.frame()["n"].tolist() == rows(finished)
        assert exp.summary()["lost"] == 1
        verify(tmp_path)
    write_checkpoint(path, good, None)
    assert rows(tmp_path / finished.name) == rows(finished)


def test_prices_that_expand_without_end_are_not_read(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / finished.name)
    blank = gzip.compress(b" " * (1 << 24))
    path = tmp_path / finished.name / "prices.json.gz"
    path.write_bytes(blank * 200)  # 3 MB here, 3 GB there
    with pytest.warns(cr.CrucibleWarning, match=r"prices.json.gz.*with the prices of this release"):
        exp = cr.attach(finished.name, store=tmp_path, mode="read")
    assert (exp.frame()["n"].tolist(), exp.summary()["lost"]) == (rows(finished), 1)
    assert [report.path for report in verify(tmp_path).files if not report.sound] == [path]
    facts = ExperimentFolder(tmp_path / finished.name).facts()
    del facts["prices_crc32"]  # as v0.1
    ExperimentFolder(tmp_path / finished.name).write_facts(facts)
    assert "expands to more" in str(verify(tmp_path))


@pytest.mark.parametrize("pattern", ["*.state", "prices.json.gz"])
def test_every_flipped_bit_of_a_state_and_of_prices_is_named(finished: Path, tmp_path: Path, pattern: str) -> None:
    shutil.copytree(finished, tmp_path / finished.name)
    path = next((tmp_path / finished.name).glob(pattern))
    good, draw = path.read_bytes(), random.Random(2)
    ends = [*range(8 * 30), *range(8 * len(good) - 8 * 60, 8 * len(good))]
    check = attachment.stored_prices if pattern.endswith("gz") else lambda folder: read_checkpoint(path)
    silent = []
    for bit in [*ends, *draw.sample(range(8 * len(good)), scaled(200))]:
        path.write_bytes(flipped(good, bit))
        try:
            check(ExperimentFolder(path.parent))
        except cr.StoreError:
            continue
        silent.append(bit)
    assert silent == []
    path.write_bytes(flipped(good, 8 * len(good) - 1))
    assert [report.path for report in verify(tmp_path).files if not report.sound] == [path]
