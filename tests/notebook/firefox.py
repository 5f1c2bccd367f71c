"""Debian's Firefox, driven by the WebDriver BiDi protocol: enough for one look at a page with a real mouse."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.notebook.lab import free_port

FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    "app.normandy.enabled": False, "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank", "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "extensions.update.enabled": False, "toolkit.telemetry.enabled": False, "browser.region.update.enabled": False,
    "services.settings.server": "http://127.0.0.1:1", "remote.active-protocols": 1,
}  # fmt: skip


class Firefox:
    """A headless Firefox with one page."""

    def __init__(self) -> None:
        import websocket

        self.folder = Path(tempfile.mkdtemp(prefix="crucible-firefox-"))
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items())
        (self.folder / "user.js").write_text("\n".join(lines))
        port = free_port()
        command = [
            FIREFOX,
            "--headless",
            "--no-remote",
            "--profile",
            str(self.folder),
            f"--remote-debugging-port={port}",
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                self._socket = websocket.create_connection(
                    f"ws://127.0.0.1:{port}/session", timeout=90, suppress_origin=True
                )
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.2)
        self._number = 0
        self.call("session.new", capabilities={})
        self.context = self.call("browsingContext.create", type="tab")["context"]
        self.call("browsingContext.setViewport", context=self.context, viewport={"width": 1280, "height": 900})

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            reply = json.loads(self._socket.recv())
            if reply.get("id") == self._number:
                assert reply["type"] == "success", reply
                return reply["result"]

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, script: str) -> Any:
        """The JSON value of a script."""
        found = self.call(
            "script.evaluate",
            expression=f"JSON.stringify({script})",
            target={"context": self.context},
            awaitPromise=True,
        )
        value = found.get("result", {}).get("value")
        assert found["type"] == "success", found
        return None if value is None else json.loads(value)

    def wait(self, condition: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, condition
            time.sleep(0.1)

    def press(self, selector: str) -> None:
        """Press and release the mouse on the middle of an element."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{find}.scrollIntoView({{block: 'nearest'}})")
        x, y = self.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({find}.getBoundingClientRect())")
        actions = [
            {"type": "pointerMove", "x": round(x), "y": round(y)}, {"type": "pointerDown", "button": 0},
            {"type": "pause", "duration": 60}, {"type": "pointerUp", "button": 0},
        ]  # fmt: skip
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.call("input.performActions", context=self.context, actions=[source])

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._socket.close()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        if self.process.poll() is None:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Firefox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
