"""Disks that fail for tests: only inside their block, the same for a seed, and honest about what is safe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.store import syscalls
from crucible_nb.testing import FaultyDisk, PowerLossDisk
from crucible_nb.testing.disk import CALLS

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")


def events(place: Path, rate: float, seed: int) -> tuple[list[bool], dict[str, int]]:
    with FaultyDisk(0.0, seed) as disk:
        exp = cr.start("faulty", store=place)
        disk.rate = rate
        kept = [exp.record("e", n=n) for n in range(200)]
        disk.rate = 0.0
        exp.stop()
    assert exp.summary()["refused"] == kept.count(False)
    return kept, dict(disk.faults)


def test_a_seed_gives_the_same_faults(tmp_path: Path) -> None:
    one, again, other = (events(tmp_path / str(i), 0.2, seed) for i, seed in enumerate((1, 1, 2)))
    assert one == again
    assert one != other
    assert one[1]["write"] > 0


def test_a_rate_of_one_fails_every_call_and_a_rate_of_none_none(tmp_path: Path) -> None:
    assert events(tmp_path, 0.0, 0) == ([True] * 200, {})
    with FaultyDisk(1.0) as disk:
        for call in CALLS:
            with pytest.raises(OSError, match=r"No space left|Input/output"):
                for _ in range(50):  # a write may take a part instead
                    getattr(syscalls.system(), call)(1, b"xy")
            assert disk.faults[call] > 0


@pytest.mark.parametrize("make", [FaultyDisk, PowerLossDisk])
def test_outside_of_its_block_the_disk_is_the_real_one(make: type[FaultyDisk]) -> None:
    before = syscalls.system()
    with pytest.raises(RuntimeError), make():
        assert syscalls.system() is not before
        raise RuntimeError
    assert syscalls.system() is before


def test_what_is_not_a_rate_is_refused() -> None:
    with pytest.raises(cr.ConfigError, match=r"^rate=2: expected a number >= 0 and <= 1$"):
        FaultyDisk(2)


def test_a_power_loss_takes_what_was_not_synced(tmp_path: Path) -> None:
    folder, left = tmp_path / "folder", set()
    folder.mkdir()
    with PowerLossDisk() as disk:
        system = syscalls.system()
        handle = system.open(folder / "a", os.O_WRONLY | os.O_CREAT)
        system.write(handle, b"safe")
        system.sync(handle)
        system.sync_folder(folder)
        system.write(handle, b"more")
        system.rename(folder / "a", folder / "b")
        system.close(handle)
        for seed in range(40):
            disk.lose_power(folder, tmp_path / str(seed), seed)
            left.add(tuple((path.name, path.read_bytes()) for path in sorted((tmp_path / str(seed)).glob("*"))))
    files = [file for files in left for file in files]
    assert all(data.startswith(b"safe") and len(data) <= 8 for _, data in files)
    assert {name for name, _ in files} == {"a", "b"}
    assert {b"safe", b"safemore"} < {data for _, data in files}
    assert () in left  # the old name is gone and the new one not there yet: a rename needs a sync of its folder


def test_what_an_experiment_flushed_survives_a_power_loss(tmp_path: Path) -> None:
    with PowerLossDisk() as disk:
        exp = cr.start("power", store=tmp_path / "store", windows=())
        for n in range(50):
            exp.record("e", n=n)
        exp.flush()
        exp.record("e", n=50)
        for seed in range(10):
            disk.lose_power(tmp_path, tmp_path / str(seed), seed)
        exp.stop()
    for seed in range(10):
        frame = cr.attach("power", store=tmp_path / str(seed) / "store", mode="read").frame()
        assert frame["n"].tolist() in (list(range(50)), list(range(51)))
