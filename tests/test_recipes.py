"""CONTRIBUTING's recipes: each file and name in them exists, and those that add code are followed in a copy."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crucible_nb.store.postgres.tables import VERSION

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## (.+)\n\n((?:.+\n)+)", TEXT, re.MULTILINE))
CODE = re.compile(r"`([^`]+)`")
KEPT = ("crucible_nb", "tests", "tools", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml")


def steps(recipe: str) -> list[str]:
    """The numbered steps, each as one line."""
    return [" ".join(step.split()) for step in re.split(r"^\d+\. ", recipe, flags=re.MULTILINE)[1:]]


def paths(text: str) -> list[str]:
    """Files and folders of the repository that a text names."""
    named = [word for word in CODE.findall(text) if re.fullmatch(r"[\w.]+(/[\w.]+)*/?", word)]
    return [word for word in named if "/" in word or word.endswith((".md", ".toml", ".cff"))]


@functools.cache
def source(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text() for file in files)


STEPS = [(title, step) for title, recipe in RECIPES.items() for step in steps(recipe)]


@pytest.mark.parametrize(("title", "step"), [("House rules", TEXT.split("\n## ")[0]), *STEPS])
def test_files_and_commands_of_a_step_exist(title: str, step: str) -> None:
    for path in paths(step):
        if not re.search(r"/(NN|v)[_N]", path):
            assert (ROOT / path).exists(), f"{title}: there is no {path}"
    for word in CODE.findall(step):
        command = [*word.split(), ""]
        if command[0] == "make":
            assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), word
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2]), word
        if command[0] == "python":
            script = ROOT / command[1] if command[1] != "-m" else Path(importlib.util.find_spec(command[2]).origin)
            for option in re.findall(r"--\w+", word):
                assert option in source(script.parent if script.name == "__init__.py" else script), word


@pytest.mark.parametrize(("title", "step"), STEPS)
def test_names_of_a_step_are_in_its_files(title: str, step: str) -> None:
    within = "\n".join(source(ROOT / path) for path in paths(step) if path.endswith((".py", "/")))
    anywhere = (
        source(ROOT / "crucible_nb") + (ROOT / "pyproject.toml").read_text() + (ROOT / "tests/tiers.py").read_text()
    )
    for word in set(CODE.findall(step)) - set(paths(step)):
        if name := re.fullmatch(r"(?:\w+\.)*([A-Za-z_]\w+)(?:\(.*\))?", word):
            text = within if name[1].isupper() and within else anywhere
            known = word.startswith("crucible_nb.") and importlib.util.find_spec(word)
            assert known or re.search(rf"\b{name[1]}\b", text), f"{title}: {word!r} is in none of its files"


class Copy:
    """A copy of the repository in which one recipe at a time is followed.

    Args:
        root: The copy.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.title, self.used = root, "", set[str]()

    def follow(self, title: str) -> None:
        """Begin a recipe; what follows may only use files that it names."""
        self.title, self.used = title, set()

    def new(self, path: str, text: str) -> None:
        """Write the new file."""
        folder = f"{Path(path).parent}/"
        assert folder in paths(RECIPES[self.title]), f"{self.title}: no step has a file in {folder}"
        assert not (self.root / path).exists()
        (self.root / path).write_text(text)
        self.used.add(folder)

    def put(self, path: str, text: str, after: str | None = None) -> None:
        """Put lines into a file: behind the first line that contains `after`, else at its end."""
        assert path in paths(RECIPES[self.title]), f"{self.title}: no step names {path}"
        lines = (self.root / path).read_text().splitlines()
        places = [len(lines)] if after is None else [i for i, line in enumerate(lines, 1) if after in line]
        assert places, f"{path} has no line with {after!r}"
        lines[places[0] : places[0]] = text.splitlines()
        (self.root / path).write_text("\n".join(lines) + "\n")
        self.used.add(path)

    def change(self, path: str, old: str, new: str) -> None:
        """Change the first occurrence of a text in a file."""
        assert path in paths(RECIPES[self.title]), f"{self.title}: no step names {path}"
        text = (self.root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        (self.root / path).write_text(text.replace(old, new, 1))
        self.used.add(path)

    def finish(self, *read: str) -> None:
        """End a recipe: all files that it names were used, or are only to be read."""
        named = {path for path in paths(RECIPES[self.title]) if not path.startswith("docs/")}
        assert named - self.used == set(read), f"{self.title}: {sorted(named - self.used)} were not used"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("copy")
    for name in KEPT:
        if (ROOT / name).is_dir():
            skip = shutil.ignore_patterns("node_modules", "*.parquet")  # with caches: what is compiled stays so
            shutil.copytree(ROOT / name, root / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, root / name)
    return Copy(root)


def python(copy: Copy, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy.root, env={**os.environ, "PYTHONPATH": str(copy.root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def accumulator(copy: Copy) -> None:
    copy.follow("An accumulator")
    copy.new("crucible_nb/accumulators/midrange.py", MIDRANGE)
    init = "crucible_nb/accumulators/__init__.py"
    copy.put(init, "from crucible_nb.accumulators.midrange import Midrange", "accumulators.loghistogram import")
    copy.put(init, '    "Midrange",', '    "LogHistogram",')
    laws = "tests/laws/test_accumulators.py"
    copy.put(laws, "    Midrange,", "    LogHistogram,")
    copy.put(laws, '    "Midrange": (Midrange, numbers(), 1e-12),', "FAMILY = {")
    copy.new("tests/accumulators/test_midrange.py", TEST_MIDRANGE)
    copy.put("CHANGELOG.md", "- `Midrange`.")
    copy.finish("crucible_nb/accumulators/base.py", "crucible_nb/accumulators/serial.py")


def sampler(copy: Copy) -> None:
    copy.follow("A sampler")
    copy.new("crucible_nb/sampling/slow_ones.py", SLOW_ONES)
    init = "crucible_nb/sampling/__init__.py"
    copy.put(init, "from crucible_nb.sampling.slow_ones import SlowOnes", "sampling.reservoir import")
    copy.put(init, '    "SlowOnes",', '    "Sampler",')
    registry = "crucible_nb/sampling/registry.py"
    copy.put(registry, "from crucible_nb.sampling.slow_ones import SlowOnes", "sampling.reservoir import")
    copy.put(registry, '    "slow_ones": SlowOnes,', '"reservoir": Reservoir,')
    copy.put(registry, '    "slow_ones": {"rate": 0.1},', '"reservoir": {')
    copy.change("crucible_nb/notebook/commands.py", '"uniform", ', '"uniform", "slow_ones", ')
    laws = "tests/laws/test_samplers.py"
    copy.put(laws, "from crucible_nb.sampling import SlowOnes", "from hypothesis import strategies")
    copy.put(laws, '    "SlowOnes": (SlowOnes(0.2), None),', "FAMILY: ")
    tool = "tools/simulate_intervals.py"
    copy.put(tool, "from crucible_nb.sampling import SlowOnes", "from scipy import")
    copy.put(tool, '    "slow ones": SlowOnes(0.1),', "SAMPLERS: ")
    copy.put("CHANGELOG.md", "- `SlowOnes`.")
    copy.finish("crucible_nb/sampling/base.py")


def detector(copy: Copy) -> None:
    copy.follow("A detector")
    copy.new("crucible_nb/anomaly/leap.py", LEAP)
    init = "crucible_nb/anomaly/__init__.py"
    copy.put(init, "from crucible_nb.anomaly.leap import Leap", "anomaly.isolation_forest import")
    copy.put(init, '    "Leap",', '    "IsolationForest",')
    registry = "crucible_nb/anomaly/registry.py"
    copy.put(registry, "from crucible_nb.anomaly.leap import Leap", "anomaly.isolation_forest import")
    copy.put(registry, '    "leap": Leap,', '"iqr": IQR,')
    copy.change("crucible_nb/notebook/commands.py", '"auto", ', '"auto", "leap", ')
    laws = "tests/laws/test_detectors.py"
    copy.put(laws, "from crucible_nb.anomaly import Leap", "from hypothesis import strategies")
    copy.put(laws, '    "Leap": Leap,', "KINDS: ")
    copy.put("tests/anomaly/test_detectors.py", TEST_LEAP)
    copy.put("CHANGELOG.md", "- `Leap`.")
    compiled = (
        "crucible_nb/anomaly/compiled.py", "crucible_nb/anomaly/auto_kernel.py", "tests/anomaly/test_compiled.py"
    )  # fmt: skip
    copy.finish("crucible_nb/anomaly/base.py", "crucible_nb/anomaly/recursions.py", *compiled)


def verb(copy: Copy) -> None:
    copy.follow("Something that changes an experiment")
    stream = "crucible_nb/pipeline/stream.py"
    copy.put(stream, STREAM_REMARK, "        self.monitor = Monitor(")
    copy.change(stream, "    def _plan(self", f"{REMARK}    def _plan(self")
    copy.put(stream, '    "remark": Stream._remark,', "_VERBS: ")
    copy.put(stream, '            "remarks": list(self.remarks),', '            "seq": pipeline.seq,')
    copy.put(stream, '        self.remarks = list(state.get("remarks", ()))', 'pipeline.seq = state["seq"]')
    copy.change("crucible_nb/experiment/experiment.py", "    def set_sampling(", f"{LIVE_REMARK}    def set_sampling(")
    laws = "tests/laws/test_resume.py"
    copy.change(
        laws,
        "        exp.record(event, **fields)\n",
        "        exp.remark(i) if i % 777 == 0 else None\n        exp.record(event, **fields)\n",
    )
    copy.put(laws, "    assert one._stream.remarks == two._stream.remarks != []", "def same(")
    copy.put("CHANGELOG.md", "- `exp.remark`.")
    copy.finish("crucible_nb/store/control_codec.py")


def column(copy: Copy) -> None:
    copy.follow("A column")
    line = '    Column("queue_ms", "float", "ms", "record", "time in the queue"),'
    copy.put("crucible_nb/events/schema.py", line, "_KNOWN = (")
    sql = "alter table crucible.events add column if not exists queue_ms double precision;\\n"
    copy.change("crucible_nb/store/postgres/tables.py", '\n)\n"""SQL of each', f'\n    "{sql}",\n)\n"""SQL of each')
    copy.put("CHANGELOG.md", "- `queue_ms`.")
    copy.finish("crucible_nb/metrics/sum_table.py", "crucible_nb/metrics/metrics.py")


def command(copy: Copy) -> None:
    copy.follow("A command of `%crucible`")
    copy.put("crucible_nb/notebook/commands.py", '    "count": Command("Count the events.", _COMMON),', "COMMANDS = {")
    magic = "crucible_nb/notebook/magic.py"
    copy.put(magic, COUNT, "# -- commands")
    copy.put("tests/notebook/test_magic.py", '    "%crucible count a": "unrecognized arguments: a",', "MISTAKES = {")
    copy.put("tests/notebook/test_completion.py", '    "%crucible cou": ["count"],', "CASES = {")
    copy.put("CHANGELOG.md", "- `%crucible count`.")
    copy.finish("crucible_nb/notebook/parser.py", "crucible_nb/notebook/completion.py")


def figure(copy: Copy) -> None:
    copy.follow("A figure")
    copy.new("crucible_nb/notebook/figures/tokens.py", TOKENS)
    copy.put("crucible_nb/notebook/figures/__init__.py", PLOT_TOKENS, "self._experiment = experiment")
    copy.put("tests/notebook/test_figures.py", TEST_TOKENS)
    copy.put("CHANGELOG.md", "- `exp.plot.tokens`.")
    copy.finish("crucible_nb/notebook/figures/words.py", "crucible_nb/notebook/figures/theme.py")


@pytest.mark.check
def test_followed_recipes_give_code_that_passes(copy: Copy) -> None:
    for recipe in (accumulator, sampler, detector, verb, column, command, figure):
        recipe(copy)
    assert python(copy, "-c", USED).split() == ["79", "10", "ms", "float64", str(VERSION + 1)]
    new = [
        "crucible_nb/accumulators/midrange.py", "crucible_nb/sampling/slow_ones.py", "crucible_nb/anomaly/leap.py",
        "crucible_nb/notebook/figures",
    ]  # fmt: skip
    laws = ["tests/laws/test_accumulators.py", "tests/laws/test_samplers.py", "tests/laws/test_detectors.py"]
    laws += ["tests/laws/test_resume.py", "crucible_nb/experiment/experiment.py"]
    laws += ["tests/anomaly/test_detectors.py", "tests/notebook/test_magic.py", "tests/notebook/test_completion.py"]
    names = "Midrange or midrange or SlowOnes or slow_ones or Leap or leap or count or cou or tokens or remark or test_dying_changes_no_verdict"
    own = ["tests/accumulators/test_midrange.py", "tests/notebook/test_figures.py"]
    quiet = ("-m", "pytest", "--doctest-modules", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", names)
    passed = re.search(r"(\d+) passed", python(copy, *quiet, *new, *laws, *own))
    assert passed is not None
    assert int(passed[1]) > 40
    python(copy, "-m", "ruff", "check", *new[:3], "crucible_nb/notebook/figures/tokens.py")
    python(copy, "-m", "py_compile", "tools/simulate_intervals.py")


def test_a_recipe_with_a_file_that_is_not_needed_is_found(copy: Copy) -> None:
    copy.follow("A column")
    with pytest.raises(AssertionError, match=r"A column: \['CHANGELOG.md', 'crucible_nb/events/schema.py'"):
        copy.finish()
    with pytest.raises(AssertionError, match=r"A column: no step names crucible_nb/events/names.py"):
        copy.put("crucible_nb/events/names.py", "")


USED = """
import tempfile, warnings
import crucible_nb as cr
from crucible_nb.events.schema import COLUMNS
from crucible_nb.store.postgres.tables import VERSION
store = tempfile.mkdtemp()
exp = cr.start("all", store=store, sampling="slow_ones", anomaly="leap", seed=1)
for i in range(100):
    exp.record("call", latency_ms=10.0 * i, queue_ms=i)
exp.stop()
frame = cr.attach("all", store=store).df
slow = int((frame.latency_ms > 200).sum())
print(slow, f"{frame.weight.max():g}", COLUMNS["queue_ms"].unit, frame.queue_ms.dtype, VERSION)
"""

MIDRANGE = '''"""Midrange: the mean of the smallest and the largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.serial import Stateful, check_mergeable


class MidrangeResult(NamedTuple):
    """Result of `Midrange`.

    Attributes:
        midrange: In the unit of the values; NaN without any.
    """

    midrange: float


class Midrange(Stateful):
    """Mean of the smallest and the largest value, from these two.

    Examples:
        >>> Midrange().update([1.0, 2.0, 9.0]).result().midrange
        5.0
    """

    __slots__ = ("largest", "smallest")
    kind = "midrange"
    fields: ClassVar[Mapping[str, str]] = {"smallest": "number", "largest": "number"}
    shown = ("smallest", "largest")

    def __init__(self) -> None:
        self.smallest, self.largest = math.nan, math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        x, _, _ = known_values(values, weights)
        for value in (float(x.min()), float(x.max())) if len(x) else ():
            self.smallest = value if not self.smallest <= value else self.smallest
            self.largest = value if not self.largest >= value else self.largest
        return self

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)()
        for part in (self, later):
            merged.update([part.smallest, part.largest])
        return merged

    def result(self) -> MidrangeResult:
        return MidrangeResult((self.smallest + self.largest) / 2)
'''
TEST_MIDRANGE = """import numpy as np

from crucible_nb.accumulators import Midrange


def test_it_is_that_of_numpy() -> None:
    x = np.random.default_rng(0).normal(size=100)
    assert Midrange().update(x).result().midrange == (x.min() + x.max()) / 2
"""
SLOW_ONES = '''"""Slow events always, the others at a rate."""

from __future__ import annotations

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Sampler


class SlowOnes(Sampler):
    """Keep events of more than 200 ms, and a random share of the others.

    Args:
        rate: Probability of the others to stay.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> cr.sampling.sample(pd.DataFrame({"latency_ms": [300.0, 900.0]}), SlowOnes(0.5)).weight.tolist()
        [1.0, 1.0]
    """

    restorable = True

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def rates(self, events: EventColumns) -> np.ndarray:
        """Return 1 for slow events, else the rate."""
        return np.where(events["latency_ms"] > 200, 1.0, self.rate)
'''
LEAP = '''"""Values far beyond the largest so far."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector
from crucible_nb.anomaly.recursions import Scores


class Leap(Detector):
    """A value against twice the largest one before it.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> x = pd.Series([10.0, 11.0] * 30 + [100.0])
        >>> bool(cr.anomaly.score(x, Leap("value")).iloc[-1] >= 1)
        True
    """

    state: ClassVar = {"largest": 0.0}
    restorable: ClassVar[bool] = True

    def algorithm(self, x: np.ndarray, state: dict[str, np.ndarray]) -> Scores:
        """Score by the largest value before each."""
        largest = np.maximum.accumulate(np.concatenate((state["largest"], x), axis=1), axis=1)
        past = largest[:, :-1]
        score = x / (2 * np.maximum(past, 1.0))
        return Scores(score, {"center": past, "distance": x - past}, {"largest": largest[:, 1:]})
'''
TEST_LEAP = """

def test_a_leap_is_a_loop() -> None:
    from crucible_nb.anomaly import Leap

    x, largest = normal(300), 0.0
    got = raw(Leap("value"), x)
    for value, score in zip(x, got, strict=True):
        assert np.isnan(score) or score == value / (2 * max(largest, 1.0))
        largest = max(largest, value)
"""
COUNT = """
    def _count(self, experiment: str | None = None) -> int:
        return self.find_experiment(experiment).summary()["total_events"]
"""
STREAM_REMARK = "        self.remarks: list[str] = []"
REMARK = """    def _remark(self, _: str, facts: Mapping[str, Any]) -> None:
        self.remarks.append(facts["text"])

"""
LIVE_REMARK = '''    def remark(self, text: Any) -> None:
        """Remember a text at this place among the events.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     exp.remark("warm")
        """
        self._intake.apply("remark", {"text": str(text)})

'''
TOKENS = '''"""The figure of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import canvas, empty_figure
from crucible_nb.notebook.figures.theme import palette_of
from crucible_nb.notebook.figures.words import escape

if TYPE_CHECKING:
    from plotly import graph_objects as go


def tokens(experiment: Experiment, theme: str | None) -> go.Figure:
    """See `Plot.tokens`."""
    palette, frame = palette_of(theme), experiment.df
    title = f"{escape(experiment.name)}: tokens"
    values = frame["total_tokens"].to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).any():
        return empty_figure(palette, title, "no tokens are known")
    figure = canvas(palette, title, "")
    return figure.add_scatter(x=frame.index, y=values, mode="markers", marker_color=palette.p50)
'''
PLOT_TOKENS = '''
    def tokens(self, *, theme: str | None = None) -> go.Figure:
        """Plot the tokens of each event over time.

        Args:
            theme: None, "light" or "dark".

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", prompt_tokens=3, completion_tokens=4)
            >>> exp.plot.tokens().data[0].y.tolist()
            [7.0]
        """
        from crucible_nb.notebook.figures.tokens import tokens  # noqa: PLC0415

        return tokens(self._experiment, theme)
'''
TEST_TOKENS = """

@pytest.mark.parametrize("n", [0, 1, 50])
def test_tokens_are_drawn(n: int) -> None:
    frame = trace(n).assign(prompt_tokens=range(n), completion_tokens=1)
    exp = run(frame, name=EVIL)
    figure = exp.plot.tokens()
    assert "<img" not in figure.layout.title.text
    assert [one.y.tolist() for one in figure.data] == ([list(range(1, n + 1))] if n else [])
"""
