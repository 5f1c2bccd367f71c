"""Power loss, modelled: of the logged system calls only what was synced is sure, of the rest anything may be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from crucible_nb.store import syscalls


class Logged(syscalls.System):
    """Carries every call out, and remembers what a power loss would leave.

    Attributes:
        data: Bytes of every file, by inode.
        synced: How many of them are sure.
        names: What each folder holds now: path to inode.
        sure: What it holds for sure.
        pending: Changes of names that are not sure yet, in order.
    """

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {}
        self.synced: dict[int, int] = {}
        self.sure: dict[Path, int] = {}
        self.pending: list[tuple[Path, int | None]] = []

    def open(self, path: Path, flags: int) -> int:
        handle = super().open(path, flags)
        if flags & os.O_CREAT:
            inode = os.fstat(handle).st_ino
            self.data[inode], self.synced[inode] = bytearray(), 0
            self.pending.append((path, inode))
        return handle

    def write(self, handle: int, data: Any) -> int:
        taken = super().write(handle, data)
        self.data[os.fstat(handle).st_ino] += bytes(data)[:taken]
        return taken

    def truncate(self, handle: int, size: int) -> None:
        super().truncate(handle, size)
        del self.data[os.fstat(handle).st_ino][size:]

    def sync(self, handle: int) -> None:
        super().sync(handle)
        inode = os.fstat(handle).st_ino
        self.synced[inode] = len(self.data[inode])

    def rename(self, old: Path, new: Path) -> None:
        inode = old.stat().st_ino
        super().rename(old, new)
        self.pending += [(new, inode), (old, None)]

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.pending.append((path, None))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        for path, inode in [one for one in self.pending if one[0].parent == folder]:
            self._apply(self.sure, path, inode)
        self.pending = [one for one in self.pending if one[0].parent != folder]

    @staticmethod
    def _apply(names: dict[Path, int], path: Path, inode: int | None) -> None:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode

    def lose_power(self, root: Path, into: Path, rng: np.random.Generator) -> None:
        """Write what a machine would find when it comes up again: what is sure, and some of the rest."""
        names = dict(self.sure)
        for path, inode in self.pending:  # a folder may have written some of its changes
            if rng.random() < 0.5:
                self._apply(names, path, inode)
        for path, inode in names.items():
            data, sure = bytes(self.data[inode]), self.synced[inode]
            more = int(rng.integers(0, len(data) - sure + 1)) if len(data) > sure else 0
            rest = data[sure : sure + more] if rng.random() < 0.5 else bytes(more)  # written, or only allocated
            target = into / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[:sure] + rest)
