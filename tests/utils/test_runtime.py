"""The registry of process-wide objects: one reset, and locks held around forks."""

from __future__ import annotations

import gc

import crucible_nb as cr
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.live import LIVE
from crucible_nb.utils.runtime import RUNTIME, Runtime


class Part:
    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def before_fork(self) -> None:
        self.calls.append("before")

    def after_in_parent(self) -> None:
        self.calls.append("parent")

    def after_in_child(self) -> None:
        self.calls.append("child")


def test_a_fork_is_announced_and_followed_on_both_sides() -> None:
    runtime, calls = Runtime(), []
    part = Part(calls)
    runtime.survive_forks(part)
    runtime.in_child(lambda: calls.append("forget"))
    runtime.before_fork()
    runtime.after_in_parent()
    runtime.before_fork()
    runtime.after_in_child()
    assert calls == ["before", "parent", "before", "forget", "child"]


def test_what_is_gone_is_not_told() -> None:
    runtime, calls = Runtime(), []
    runtime.survive_forks(Part(calls))
    gc.collect()
    runtime.before_fork()
    runtime.after_in_parent()
    assert calls == []


def test_one_reset_empties_the_process() -> None:
    exp = cr.start("left running", default=True)
    assert cr.current() is exp
    RUNTIME.reset()
    assert exp.status == "stopped"
    assert LIVE.known() == []
    assert CURRENT.get() is None
