"""Research-grade telemetry for AI and ML experiments, in the notebook and on pandas.

Examples:
    >>> import crucible_nb as cr
    >>> with cr.start("demo") as exp:
    ...     _ = exp.record("llm.request", latency_ms=812.4, model="gpt-4o", success=True)
    >>> exp.metrics().reliability.success_rate
    1.0
"""

from inspect import isfunction as _isfunction
from typing import TYPE_CHECKING, Any

from crucible_nb import accumulators, anomaly, capture, events, files, notebook, sampling, stats
from crucible_nb.comparison import compare, table
from crucible_nb.demos import demo
from crucible_nb.errors import (
    ConfigError,
    CrucibleError,
    CrucibleWarning,
    LifecycleError,
    SchemaError,
    StatError,
    StoreError,
)
from crucible_nb.experiment import extensions
from crucible_nb.experiment.accessor import CrucibleAccessor
from crucible_nb.experiment.attach import attach, unarchive
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.open_dataset import open_dataset
from crucible_nb.experiment.session import current, experiments, record, span, start, track
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.figures import plot
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.reports import report
from crucible_nb.stats import (
    adjust,
    anova,
    chi_square,
    cliffs_delta,
    cohens_d,
    cohens_g,
    cohens_h,
    confidence_interval,
    confidence_sequence,
    equivalence,
    eta_squared,
    fisher,
    glass_delta,
    hedges_g,
    kruskal_wallis,
    mann_whitney_u,
    mcnemar,
    minimum_detectable_effect,
    next_sample,
    non_inferiority,
    odds_ratio,
    omega_squared,
    one_proportion,
    one_sample,
    permutation_test,
    power,
    rank_biserial,
    required_sample_size,
    t_test,
    two_proportions,
    wilcoxon,
)
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.removal import remove, restore
from crucible_nb.utils import suggest as _suggest

if TYPE_CHECKING:
    from crucible_nb.files import load

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "CrucibleAccessor",
    "CrucibleError",
    "CrucibleWarning",
    "Experiment",
    "LifecycleError",
    "Metrics",
    "PriceTable",
    "Redaction",
    "SchemaError",
    "StatError",
    "StoreError",
    "accumulators",
    "adjust",
    "anomaly",
    "anova",
    "attach",
    "capture",
    "chi_square",
    "cliffs_delta",
    "cohens_d",
    "cohens_g",
    "cohens_h",
    "compare",
    "confidence_interval",
    "confidence_sequence",
    "current",
    "demo",
    "equivalence",
    "eta_squared",
    "events",
    "experiments",
    "extensions",
    "fisher",
    "glass_delta",
    "hedges_g",
    "kruskal_wallis",
    "load",
    "mann_whitney_u",
    "mcnemar",
    "minimum_detectable_effect",
    "next_sample",
    "non_inferiority",
    "notebook",
    "odds_ratio",
    "omega_squared",
    "one_proportion",
    "one_sample",
    "open_dataset",
    "permutation_test",
    "plot",
    "power",
    "rank_biserial",
    "record",
    "remove",
    "report",
    "required_sample_size",
    "restore",
    "sampling",
    "span",
    "start",
    "stats",
    "t_test",
    "table",
    "track",
    "two_proportions",
    "unarchive",
    "wilcoxon",
]


def __getattr__(name: str) -> Any:
    """Import `load` on first use, see `crucible_nb.files`."""
    if name == "load":
        return files.load
    raise _suggest.missing(f"module {__name__!r}", name, __all__, _WORDS)


_WORDS = {
    "init": "use exp = cr.start('name', metadata={'lr': 0.1})",
    "log": "use cr.record('train.step', {'loss': 0.3}, step=1), or exp.record(...)",
    "finish": "use exp.stop(), or `with cr.start(...) as exp:`",
}
"""Names of other packages, and what to use here."""

_HOT = ("record", "span", "track")  # called for every event, and any keyword is a column
for _name in __all__:
    _public = globals().get(_name)
    if _isfunction(_public) and _name not in _HOT:
        globals()[_name] = _suggest.hinting(_public)
        globals()[_name].__module__ = __name__  # where pickle finds the wrapper
del _name, _public


def load_ipython_extension(shell: Any) -> None:
    """Register `%crucible` and `%%crucible` with a shell, on `%load_ext crucible_nb`."""
    from crucible_nb.notebook import extension  # noqa: PLC0415  imports IPython

    extension.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics from a shell, on `%unload_ext crucible_nb`; experiments keep running."""
    from crucible_nb.notebook import extension  # noqa: PLC0415  imports IPython

    extension.unload(shell)


def __dir__() -> list[str]:
    return __all__
