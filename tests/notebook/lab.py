"""A private Jupyter server and a real browser: temporary folders, loopback only, ended by process id."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """JupyterLab, Notebook 7, voila or marimo on a free port, serving the folder `root`."""

    def __init__(self, root: Path, app: str = "lab", *, theme: str = "JupyterLab Light", kernel_path: str = "") -> None:
        self.root, self.app, self.token, self.port = root, app, secrets.token_hex(16), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="crucible-lab-"))
        env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
            (self.folder / name).mkdir()
            env[f"JUPYTER_{name}"] = str(self.folder / name)
        env["IPYTHONDIR"] = str(self.folder / "ipython")
        env["JUPYTERLAB_SETTINGS_DIR"] = str(self.folder / "settings")
        env["JUPYTERLAB_WORKSPACES_DIR"] = str(self.folder / "workspaces")
        env["PATH"] = str(Path(sys.executable).parent) + os.pathsep + env.get("PATH", "")
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [kernel_path, str(ROOT)]))
        for plugin, value in {**QUIET, "@jupyterlab/apputils-extension:themes": {"theme": theme}}.items():
            package, name = plugin.split(":")
            file = self.folder / "settings" / package / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        self.log = (self.folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            self.command(), env=env, stdout=self.log, stderr=subprocess.STDOUT, cwd=root, start_new_session=True
        )
        self.wait()

    def command(self) -> list[str]:
        python = [sys.executable, "-m"]
        if self.app == "voila":
            return [
                *python,
                "voila",
                "--no-browser",
                f"--port={self.port}",
                "--progressive_rendering=True",
                str(self.root),
            ]
        if self.app == "marimo":
            page = str(next(self.root.glob("*.py")))
            return [*python, "marimo", "-q", "run", page, "--headless", "--host", "127.0.0.1", "-p", str(self.port)]
        kind = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.app]
        return [
            *python, {"lab": "jupyterlab", "notebook": "notebook"}[self.app],
            "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}",
            "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
            "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
            f"--{kind}.expose_app_in_browser=True",
        ]  # fmt: skip

    def wait(self, seconds: float = 90) -> None:
        path = "/api/status" if self.app in ("lab", "notebook") else "/"
        end = time.monotonic() + seconds
        while True:
            try:
                self.api("GET", path)
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    said = (self.folder / "server.log").read_text(errors="replace")[-3000:]
                    self.close()
                    raise RuntimeError(f"{self.app} did not start:\n{said}") from None
                time.sleep(0.2)

    def api(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(
            self.base + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str = "") -> str:
        if self.app == "voila":
            return f"{self.base}/voila/render/{name}"
        if self.app == "marimo":
            return self.base
        page = {"lab": "lab/tree", "notebook": "notebooks"}[self.app]
        return f"{self.base}/{page}/{name}?token={self.token}" + ("&reset" if self.app == "lab" else "")

    def close(self) -> None:
        if self.process.poll() is None:
            if self.app in ("lab", "notebook"):
                with contextlib.suppress(Exception):
                    for kernel in json.loads(self.api("GET", "/api/kernels")):
                        self.api("DELETE", f"/api/kernels/{kernel['id']}")
                    self.api("POST", "/api/shutdown")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5 if self.app in ("lab", "notebook") else 0.1)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


PANEL = "window.jupyterapp?.shell?.currentWidget"


class Browser:
    """Chromium with one page; records errors, requests beyond loopback, and websocket messages."""

    def __init__(self, size: tuple[int, int] = (1280, 900), *, dark: bool = False, calm: bool = False) -> None:
        from playwright.sync_api import sync_playwright

        self._tool = sync_playwright().start()
        self._chromium = self._tool.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        self.context = self._chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if calm else "no-preference",
        )
        self.errors: list[str] = []
        self.blocked: list[str] = []
        self.frames: list[tuple[float, str, int, bytes]] = []
        self.page = self.new_page()

    def new_page(self) -> Any:
        page = self.context.new_page()
        page.route("**/*", self._guard)
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.errors.append(f"page error: {e}"))
        page.on("websocket", self._socket)
        return page

    def _guard(self, route: Any) -> None:
        url = route.request.url
        host = url.split("//", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
        if url.startswith(("data:", "blob:")) or host in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            self.blocked.append(url)
            route.abort()

    def _socket(self, socket: Any) -> None:
        def keep(way: str) -> Any:
            return lambda payload: self.frames.append((time.monotonic(), way, len(payload), _bytes(payload)[:4000]))

        socket.on("framereceived", keep("in"))
        socket.on("framesent", keep("out"))

    def messages(self, kind: str = "") -> list[int]:
        """How large the dashboard's messages were that came in: "tick", "key", or both."""
        kinds = [f'"kind":"{one}"'.encode() for one in ([kind] if kind else ["tick", "key"])]
        return [size for _, way, size, head in self.frames if way == "in" and any(one in head for one in kinds)]

    def open(self, server: Server, name: str, seconds: float = 120) -> None:
        before = len(self.frames)
        self.page.goto(server.url(name), timeout=seconds * 1000)
        self.page.wait_for_selector(".jp-Notebook", timeout=seconds * 1000)
        self.wait(
            f"{PANEL}?.sessionContext?.session?.kernel?.connectionStatus === 'connected'"
            f" && {PANEL}.sessionContext.session.kernel.status === 'idle'",
            seconds,
        )
        self._wait_greeted(before, seconds)
        self.errors.clear()  # the application's own

    def _wait_greeted(self, before: int, seconds: float) -> None:
        """Till the widget manager has asked its questions and put its subshell away.

        ipykernel 7.1 may never run what it was sent while it deletes a subshell (seen in about 1 of 14 under load).
        """

        def count(way: str, kind: str) -> int:
            mark = f'"msg_type":"{kind}"'.encode()
            return sum(one[1] == way and mark in one[3] for one in self.frames[before:])

        end = time.monotonic() + seconds
        while not count("in", "comm_info_reply") or (
            count("out", "create_subshell_request") > count("in", "delete_subshell_reply")
        ):
            if time.monotonic() > end:
                raise TimeoutError("the widget manager did not ask the kernel for its widgets")
            self.page.wait_for_timeout(20)

    def wait(self, condition: str, seconds: float = 30) -> None:
        self.page.wait_for_function(f"() => {condition}", timeout=seconds * 1000)

    def command(self, name: str, **arguments: Any) -> None:
        script = "([name, args]) => { window.jupyterapp.commands.execute(name, args); return true }"
        self.page.evaluate(script, [name, arguments])

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def wait_done(self, seconds: float = 120) -> None:
        cells = f"[...{PANEL}.content.model.cells].filter(c => c.type === 'code' && c.sharedModel.source.trim())"
        self.wait(
            f"{PANEL}.sessionContext.session.kernel.status === 'idle' && {cells}"
            ".every(c => c.executionCount !== null && c.executionState !== 'running')",
            seconds,
        )

    def outputs(self) -> str:
        """Text of all outputs."""
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.jp-OutputArea-output')].map(o => o.innerText).join('\\n')"
        )

    def close(self) -> None:
        for step in (self.context.close, self._chromium.close, self._tool.stop):
            with contextlib.suppress(Exception):
                step()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else payload.encode()


def notebook(folder: Path, *cells: str, name: str = "run.ipynb") -> str:
    """Write a notebook with these code cells; gives its name."""
    made = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
        for i, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (folder / name).write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return name
