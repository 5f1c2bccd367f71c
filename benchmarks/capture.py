"""Costs of capture as ratios in one run: python -m benchmarks.capture [--seconds 5].

Prints what a span costs the traced code without and with the processor, what a call of a client costs without and with
the wrapper, and what a receiver takes beside a computing cell from two senders.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import http.client
import json
import math
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import crucible_nb as cr

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.provider.name": "openai"}
USED = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 9}


def spans_per_call(tracer: Any, count: int) -> float:
    """Return the microseconds of one span in the calling thread."""
    begin = time.thread_time()
    for _ in range(count):
        with tracer.start_as_current_span("chat", attributes=CHAT) as span:
            span.set_attributes(USED)
    return (time.thread_time() - begin) / count * 1e6


def processor(waiting: int) -> dict[str, float]:
    """Measure a span without and with the processor, interleaved; the best of each, CPU time of the thread.

    Args:
        waiting: Spans in a loop, which all wait in the queue; it is emptied 20 times a second, so 20 times as many come
            in a second.
    """
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    waits: list[Any] = []

    class Keeping(SpanProcessor):  # the least that any queue costs: spans that wait are not freed
        def on_end(self, span: Any) -> None:
            waits.append(span)

    bare, kept, captured = TracerProvider(), TracerProvider(), TracerProvider()
    bare.add_span_processor(SpanProcessor())  # what any processor costs is not ours
    kept.add_span_processor(Keeping())
    with cr.start("processor", max_events=10_000) as exp:
        cr.capture.otel(exp, captured)
        providers = {"bare": bare, "kept": kept, "captured": captured}
        found: dict[str, list[float]] = {f"{name}{collected}": [] for name in providers for collected in ("", "_gc")}
        for _ in range(40 if waiting < 100 else 7):
            for key, times in found.items():
                gc.collect()
                if not key.endswith("_gc"):
                    gc.disable()
                with exp._intake.lock:  # the thread that records waits: this is the cost in the traced code alone
                    times.append(spans_per_call(providers[key.removesuffix("_gc")].get_tracer("benchmark"), waiting))
                gc.enable()
                exp.summary()  # maps what waits, outside of the measured time
                waits.clear()
    best = {name: min(values) for name, values in found.items()}
    return {
        **best,
        "ratio": best["captured"] / best["bare"],
        "ratio_to_a_list": best["captured"] / best["kept"],
        "ratio_gc": best["captured_gc"] / best["bare_gc"],  # with the collector, which walks over spans that wait
    }


def wrapper(rounds: int = 7, count: int = 300) -> dict[str, float]:
    """Measure a call of the OpenAI client whose transport answers at once, without and with the wrapper."""
    import httpx2
    import openai

    usage = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}
    message = {"role": "assistant", "content": "x"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport))
    found: dict[str, list[float]] = {"bare": [], "captured": []}
    with cr.start("wrapper") as exp:
        for _ in range(rounds):
            for name, times in found.items():
                capture = cr.capture.openai(client, exp) if name == "captured" else None
                begin = time.thread_time()
                for _ in range(count):
                    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
                times.append((time.thread_time() - begin) / count * 1e6)
                if capture is not None:
                    capture.undo()
    best = {name: min(values) for name, values in found.items()}
    return {**best, "ratio": best["captured"] / best["bare"]}


def body(first: int, spans: int, sender: int) -> bytes:
    """Return a gzipped body of calls in protobuf."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    scoped.scope.name = "benchmark"
    for number in range(first, first + spans):
        span = scoped.spans.add(name="chat", start_time_unix_nano=10**18, end_time_unix_nano=10**18 + number)
        span.trace_id, span.span_id = (sender << 64 | number + 1).to_bytes(16), (number + 1).to_bytes(8)
        for key, value in CHAT.items():
            span.attributes.add(key=key).value.string_value = value
        for key, count in USED.items():
            span.attributes.add(key=key).value.int_value = count
    return gzip.compress(request.SerializeToString(), 1)


def send(
    endpoint: str, headers: dict[str, str], sender: int, spans: int, rate: float, seconds: float, out: Any
) -> None:
    """Post bodies at a rate of spans per second; report how many were answered and how long each took."""
    bodies = [body(i * spans, spans, sender) for i in range(int(rate * seconds / spans))]
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    given = {**headers, "content-type": "application/x-protobuf", "content-encoding": "gzip"}
    out.put("ready")
    time.sleep(1.0)
    begin, took = time.perf_counter(), []
    for number, data in enumerate(bodies):
        wait = begin + number * spans / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sent = time.perf_counter()
        connection.request("POST", "/v1/traces", data, given)
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            took.append(time.perf_counter() - sent)
    out.put((len(took) * spans, time.perf_counter() - begin, took))


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used; NaN where the system does not tell."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


def receiver(spans: int, rate: float, seconds: float) -> dict[str, float]:
    """Offer spans from two processes beside a computing thread; return spans per second, p99 in ms and the rest."""
    stop = threading.Event()

    def compute() -> None:
        total = 0
        while not stop.is_set():
            total += sum(range(1000))

    with tempfile.TemporaryDirectory() as folder, cr.start("receiver", store=folder, max_events=10_000) as exp:
        rx = exp.listen()
        out: Any = multiprocessing.get_context("spawn").Queue()
        spawn = multiprocessing.get_context("spawn").Process
        senders = [
            spawn(target=send, args=(rx.endpoint, rx.headers, sender, spans, rate / 2, seconds, out))
            for sender in (1, 2)
        ]
        for sender in senders:
            sender.start()
        for _ in senders:
            out.get(timeout=120)
        cell = threading.Thread(target=compute, daemon=True)
        cell.start()
        parts = {"taking": rx._serving.taker, "mapping": rx._serving.pid}
        before = {name: processor_time(pid) for name, pid in parts.items()}
        results = [out.get(timeout=300) for _ in senders]
        stop.set()
        cell.join()
        used = {"taking": processor_time(parts["taking"]) - before["taking"]}
        begin = time.perf_counter()
        rx.wait(300)
        late = time.perf_counter() - begin
        used["mapping"] = processor_time(parts["mapping"]) - before["mapping"]
        took = sorted(1e3 * one for result in results for one in result[2])
        return {
            "spans_per_second": sum(result[0] / result[1] for result in results),
            "posts": len(took),
            "p50_ms": statistics.median(took),
            "p99_ms": took[int(len(took) * 0.99)],
            "recorded_after_s": late,
            "taking_us_per_post": used["taking"] / len(took) * 1e6,
            "mapping_us_per_span": used["mapping"] / len(took) / spans * 1e6,
            "spans": rx.stats["spans"],
            "answered": sum(result[0] for result in results),
        }


def main() -> None:
    """Print all measurements as JSON lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", choices=("processor_50", "processor_2000", "wrapper", "big", "small"))
    given = parser.parse_args()
    for name, measure in {
        "processor_50": lambda: processor(50),
        "processor_2000": lambda: processor(2_000),
        "wrapper": wrapper,
        "big": lambda: receiver(512, 20_000.0, given.seconds),
        "small": lambda: receiver(1, 1_000.0, given.seconds),
    }.items():
        if given.only in (None, name):
            print(json.dumps({name: {key: round(value, 3) for key, value in measure().items()}}), flush=True)


if __name__ == "__main__":
    main()
