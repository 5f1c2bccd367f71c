"""Look at what a release uploads: `python tools/check_dist.py dist`; prints what it saw, and fails with a reason."""

from __future__ import annotations

import email
import re
import sys
import tarfile
import zipfile
from pathlib import Path

NEEDED = ("tests/conftest.py", "benchmarks/__init__.py", "docs/architecture.md", "tools/bare_install.py", "Makefile",
          "CONTRIBUTING.md", "crucible_nb/notebook/js/package.json")  # fmt: skip


def check_wheel(path: Path) -> None:
    """Check licences, addresses and the description of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        licences = {Path(name).name for name in names if ".dist-info/licenses/" in name}
        assert licences == {"LICENSE", "THIRD_PARTY_LICENSES"}, licences
        assert not [name for name in names if name.startswith(("tests/", "tools/")) or "/js/" in name]
        assert "crucible_nb/py.typed" in names
        [name] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(wheel.read(name))
    assert len(metadata.get_all("Project-URL", [])) >= 4
    page = metadata.get_payload()
    assert isinstance(page, str)
    links = re.findall(r"\]\(([^)]+)\)", page) + re.findall(r'(?:src|srcset|href)="([^"]+)"', page)
    dead = [link for link in links if not link.startswith(("https://", "#"))]
    assert links
    assert not dead, dead
    print(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.2f} MB, {len(links)} links, none relative")


def check_sdist(path: Path) -> None:
    """Check that a source distribution holds what its tests and packagers need."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in NEEDED if name not in names]
    assert not missing, missing
    assert not [name for name in names if "node_modules" in name]
    print(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.2f} MB")


def main(folder: Path) -> None:
    """Check the wheel and the source distribution of a folder."""
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
