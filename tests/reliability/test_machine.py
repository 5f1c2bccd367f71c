"""Any history: processes that record, seal, die, are taken over, joined and read, against a list."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import crucible_nb as cr
from crucible_nb.store import writer
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.log import open_log
from tests.conftest import settle
from tests.laws.test_resume import die
from tests.tiers import scaled

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.hypothesis,
]


class Histories(RuleBasedStateMachine):
    """The model is a list of (writer, n)."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.expected: list[int] = []
        self.workers: list[cr.Experiment] = []
        self.n = 0
        self.pauses = 0

    @initialize(sampling=st.sampled_from([None, None, {"sampling": "uniform", "sampling_config": {"rate": 1.0}}]))
    def start(self, sampling: Any) -> None:
        self.exp = cr.start("machine", store=self.place, windows=("1min",), **(sampling or {}))
        self.reader = cr.attach("machine", store=self.place, mode="read")

    def _next(self, count: int) -> list[int]:
        found = list(range(self.n, self.n + count))
        self.n += count
        return found

    @rule(
        fields=st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.floats(), st.text(max_size=5)), max_size=2)
    )
    def record(self, fields: dict[str, Any]) -> None:
        fields = {name: value for name, value in fields.items() if name != "n"}
        assert self.exp.record("e", {**fields, "n": self.n}) is not self.exp.paused
        if not self.exp.paused:
            self.expected.append(self.n)
        self.n += 1

    @rule(count=st.integers(0, 40), table=st.booleans())
    def extend(self, count: int, table: bool) -> None:
        rows = self._next(count)
        what: Any = pd.DataFrame({"n": rows}) if table else [{"n": n} for n in rows]
        taken = self.exp.extend(what, event="e")
        assert taken == (0 if self.exp.paused else count)
        self.expected += [] if self.exp.paused else rows

    @rule()
    def pause_or_resume(self) -> None:
        self.exp.resume() if self.exp.paused else self.exp.pause()
        self.pauses += self.exp.paused

    @rule()
    def flush(self) -> None:
        self.exp.flush()

    @rule(torn=st.integers(0, 20))
    def crash(self, torn: int) -> None:
        settle(self.exp)
        path = self.exp._log.writer.journal.path
        die(self.exp)
        if torn:  # the death tore a line that nobody was told of
            with path.open("ab") as file:
                file.write(b'[123456,[0,17,"torn event"'[:torn])
        assert cr.attach("machine", store=self.place, mode="read").status == "dead"
        self.exp = cr.attach("machine", store=self.place)

    @precondition(lambda self: len(self.workers) < 3)
    @rule()
    def join(self) -> None:
        folder = self.exp._log.attachment.folder
        attached = Attachment.join(folder, None, None, None)
        self.workers.append(cr.Experiment(attached.config, open_log(attached)))

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2), ends=st.booleans())
    def work(self, which: int, ends: bool) -> None:
        worker = self.workers[which % len(self.workers)]
        rows = self._next(5)
        for n in rows:
            assert worker.record("e", n=n)
        self.expected += rows
        if ends:
            settle(worker)
            die(worker)
            self.workers.remove(worker)

    @rule()
    def exact_state(self) -> None:
        frame = self.exp.frame()
        assert sorted(frame["n"].tolist() if "n" in frame else []) == self.expected
        assert self.exp.metrics().events == len(self.expected)
        assert self.exp.pause_count == self.pauses

    @rule()
    def read(self) -> None:
        for reader in (self.reader, cr.attach("machine", store=self.place, mode="read")):
            frame = reader.frame()
            assert sorted(frame["n"].tolist() if "n" in frame else []) == self.expected
            assert reader.metrics().events == len(self.expected)

    @invariant()
    def files_are_private(self) -> None:
        for path in self.place.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # a temporary file has got its name
                assert path.stat().st_mode & 0o077 == 0

    def teardown(self) -> None:
        if hasattr(self, "exp"):
            settle(self.exp)
            self.exp.stop()
            for worker in self.workers:
                worker.stop()
            again = cr.attach("machine", store=self.place)
            frame = again.frame()
            assert sorted(frame["n"].tolist() if "n" in frame else []) == self.expected
        shutil.rmtree(self.place, ignore_errors=True)


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_any_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 60)
    run_state_machine_as_test(
        Histories,
        settings=settings(max_examples=scaled(60), stateful_step_count=30),
    )
