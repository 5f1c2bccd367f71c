"""The magics in a separate kernel: await, %time, ! and last values under a header, errors once, Run All stops."""

from __future__ import annotations

import json

import pytest
from jupyter_client.manager import KernelManager
from nbclient.exceptions import CellExecutionError

from tests.notebook.shells import executed, text

AWAITED = """%%crucible awaited
import asyncio
async def one(i):
    await asyncio.sleep(0.01)
    return cr.record("call", latency_ms=float(i))
await asyncio.gather(*(one(i) for i in range(3)))"""

SPANNED = """%%crucible lasting
await asyncio.sleep(0.05)
cr.record("inside")
%time 1 + 1
!echo from the system
!!echo and back"""


@pytest.fixture(scope="module")
def cells():
    return executed(
        AWAITED,
        "exp.status, exp.metrics().events, cr.current()",
        "%crucible start lasting -o lasting",
        SPANNED,
        "lasting.df.event.tolist(), bool(lasting.df.latency_ms.iloc[-1] >= 50), lasting.status",
        "%%crucible lasting\nvalue = {'a': 1}\nvalue['b']",
        "lasting.df.error.iloc[-1], bool(lasting.df.success.iloc[-1])",
        "%%crucible broken\nawait asyncio.sleep(0)\n1/0",
        "exp.name, exp.status",
        "%%crucible wrong\nif True:\n  x = 1\n y = 2",
        "'wrong' in cr.experiments().name.tolist()",
        "%%crucible quiet\n'shown'; 'not shown';",
        "%%crucible alone",
        "exp.name, exp.status",
        "%%crucible cancelled\nraise KeyboardInterrupt",
        "exp.name, exp.status",
        "%crucible fly",
        "%crucible?",
    )


def test_await_and_the_last_value(cells):
    assert text(cells[0]) == "[True, True, True]"
    assert text(cells[1]) == "('stopped', 3, None)"


def test_time_shell_and_the_span(cells):
    said = text(cells[3])
    assert "Wall time" in said
    assert "from the system" in said
    assert "['and back']" in said
    assert text(cells[4]) == "(['inside', 'cell'], True, 'running')"


def test_errors_show_once_on_their_line(cells):
    for cell, error, line in (
        (cells[5], "KeyError", 3),
        (cells[7], "ZeroDivisionError", 3),
        (cells[9], "IndentationError", 4),
    ):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        assert [output.ename for output in errors] == [error]
        assert f"line {line}" in text(cell) or f"<tokenize>:{line}" in text(cell)
        assert "crucible_nb" not in text(cell)  # none of our frames
        assert all(output.output_type == "error" for output in cell.outputs)
    assert text(cells[6]) == "('KeyError', False)"
    assert text(cells[8]) == "('broken', 'failed')"
    assert text(cells[10]) == "False"
    assert text(cells[15]) == "('cancelled', 'failed')"


def test_a_silenced_value_and_an_empty_body(cells):
    assert text(cells[11]) == ""
    assert text(cells[12]) == ""
    assert text(cells[13]) == "('alone', 'stopped')"


def test_a_usage_error_is_one_red_line(cells):
    [said] = cells[16].outputs
    lines = text(cells[16]).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("UsageError: argument COMMAND: invalid choice: 'fly'")
    assert said.output_type == "error" or said.name == "stderr"


@pytest.mark.check
def test_a_usage_error_stops_run_all():
    for mistake in ("%crucible fly", "%%crucible\n1", "%crucible metrics"):
        with pytest.raises(CellExecutionError, match="UsageError"):
            executed("1", mistake, "2", allow_errors=False)


PUBLIC = """
import pandas as pd
import crucible_nb as cr
exp, other = cr.start("one"), cr.start("two")
for one in (exp, other):
    for i in range(60): _ = one.record("call", latency_ms=100.0 + i % 7, success=i % 9 > 0, cost_usd=0.1, loss=1 / (1 + i))
metrics, table, verdict = exp.metrics(), cr.table([exp, other]), cr.compare(exp, other)
by, summary, plot, columns = exp.metrics(by="model"), exp.summary(), exp.plot, metrics.columns
latency, cost, reliability, tokens, loss = metrics.latency, metrics.cost, metrics.reliability, metrics.tokens, columns["loss"]
test, interval, sequence = cr.t_test(exp, other), cr.confidence_interval(exp, "success_rate"), cr.confidence_sequence(exp, metric="success_rate")
effect, size, plan, level = cr.cohens_d(exp, other), cr.required_sample_size(0.5), exp.plan("success_rate", margin=0.1), exp.slo("success", target=0.9)
span, frame, listed, prices, accessor = exp.span("x"), exp.df, cr.experiments(), cr.PriceTable.default(), exp.df.crucible
events, anomaly, sampling = cr.events, cr.anomaly, cr.sampling
"""
NAMES = [
    name.strip() for line in PUBLIC.splitlines() if " = " in line and not line.startswith(" ")
    for name in line.split(" = ")[0].split(",")
]  # fmt: skip


@pytest.mark.check
def test_completion_over_the_protocol():
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive("%load_ext crucible_nb\n%crucible start 'my run'", timeout=60)
        code = "1 + 1\n%crucible status -e my"
        content = client.complete(code, reply=True, timeout=60)["content"]
        assert content["matches"] == ["'my run'"]
        assert code[content["cursor_start"] : content["cursor_end"]] == "my"
        code = "%%crucible new --sampling ad\n1"
        content = client.complete(code, cursor_pos=28, reply=True, timeout=60)["content"]
        assert content["matches"] == ["adaptive"]
        reply = client.execute_interactive(PUBLIC, timeout=60, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply["content"]
        for name in ("cr", *NAMES):
            content = client.complete(f"{name}.", reply=True, timeout=60)["content"]
            found = [match.removeprefix(f"{name}.") for match in content["matches"]]
            assert [one for one in found if not one.startswith("_")], f"{name}.<Tab> offers nothing"
            if name == "exp":
                assert {"record", "metrics", "status", "dashboard", "plot"} <= set(found)
        told = client.inspect("%crucible", reply=True, timeout=60)["content"]
        assert "compare" in json.dumps(told["data"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
