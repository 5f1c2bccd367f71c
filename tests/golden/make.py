"""Write the golden files, with the code of the release that they are to keep: once a release, never again.

Copy this folder into a checkout of the release and run there, with the module that has the metrics' BLOCK:
`python -m tests.golden.make tests/golden crucible_nb.metrics.measure` (its name in v0.1).
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import crucible_nb as cr
from tests.golden import face, pickles, run, states


def main(place: Path, block: str) -> None:
    """States, pickles, the files of a run, and the public names of this release."""
    warnings.simplefilter("ignore", cr.CrucibleWarning)
    folder = place / f"v{cr.__version__}"
    folder.mkdir(exist_ok=True)
    (folder / "states.json").write_bytes(b"".join(f"{line}\n".encode() for line in states.lines()))
    (folder / "face.txt").write_text("".join(f"{line}\n" for line in face.lines()))
    import_module(block).BLOCK = 512  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as temporary:
        kept = {
            name: [base64.b64encode(data).decode(), meaning]
            for name, data, meaning in pickles.pickles(Path(temporary, "a"))
        }
        golden = run.run(Path(temporary, "b"))
    write(folder / "run.json.gz", [golden.journal, golden.state, golden.metrics])
    cr.files.write_table(golden.frame, folder / "run.parquet")
    write(folder / "pickles.json.gz", kept)


def write(path: Path, data: Any) -> None:
    path.write_bytes(gzip.compress(json.dumps(data).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
