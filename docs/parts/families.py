"""Pages of the API: which public names stand on which, in the order in which a reader meets them."""

from __future__ import annotations

from typing import NamedTuple


# names under which a thing is also met
ALIASES = {
    "crucible_nb.plot": "crucible_nb.notebook.figures.Plots",
    "crucible_nb.Experiment.plot": "crucible_nb.notebook.figures.Plot",
    "crucible_nb.extensions": "crucible_nb.experiment.extensions",
}


class Family(NamedTuple):
    """One page of the API.

    Attributes:
        page: Name of the file.
        title: Heading.
        text: What the names have in common, as reST.
        module: Module under which the names are shown.
        names: Public names, by heading; "" has none.
    """

    page: str
    title: str
    text: str
    module: str
    names: dict[str, tuple[str, ...]]


def words(text: str) -> tuple[str, ...]:
    """Split a text at its spaces."""
    return tuple(text.split())


FAMILIES = (
    Family(
        "recording", "Start, record, find again", "From the first event to a store that is listed.", "crucible_nb",
        {"": words("start record span track current attach experiments load remove restore unarchive Redaction PriceTable")},
    ),
    Family(
        "experiment", "Experiment", "What :func:`~crucible_nb.start` and :func:`~crucible_nb.attach` return.",
        "crucible_nb", {"": ("Experiment",), "Parts": words("experiment.spans.Span pipeline.alerts.Alert experiment.objective.ServiceLevel")},
    ),
    Family(
        "metrics", "Metrics", "Results of :meth:`~crucible_nb.Experiment.metrics`. They cover every event, also those that "
        "sampling leaves out.", "crucible_nb.metrics",
        {"": words("Metrics Latency Cost Reliability Tokens Summary Span NumericColumn NumericColumns")},
    ),
    Family(
        "frames", "DataFrame accessor", "``frame.crucible`` gives the methods of an experiment to any DataFrame.",
        "crucible_nb", {"": ("CrucibleAccessor",)},
    ),
    Family(
        "compare", "Compare runs", "One verdict for each metric, with its test and the reasons.", "crucible_nb.comparison",
        {"": words("compare table Comparison Comparisons GroupedComparison MetricComparison InteractionTest Table")},
    ),
    Family(
        "tests", "Hypothesis tests", "Every test takes arrays, Series or frames, and returns a "
        ":class:`~crucible_nb.stats.TestResult`.", "crucible_nb.stats",
        {
            "Means": words("t_test one_sample anova permutation_test"),
            "Ranks": words("mann_whitney_u wilcoxon kruskal_wallis"),
            "Proportions and tables": words("one_proportion two_proportions mcnemar fisher chi_square"),
            "Equivalence": words("equivalence non_inferiority"),
            "Several tests": ("adjust",),
            "Results": words("TestResult Result hypotests.equivalence.MarginResult"),
        },
    ),
    Family(
        "effects", "Effect sizes", "How large a difference is, with an interval.", "crucible_nb.stats",
        {
            "Means": words("cohens_d hedges_g glass_delta"), "Ranks": words("cliffs_delta rank_biserial"),
            "Proportions": words("cohens_h cohens_g odds_ratio"), "Several groups": words("eta_squared omega_squared"),
            "Results": ("Effect",),
        },
    ),
    Family(
        "intervals", "Intervals and sequences", "Intervals of fixed samples, and sequences that stay valid however often one "
        "looks.", "crucible_nb.stats",
        {"": words("confidence_interval confidence_sequence Estimate Interval ConfidenceSequence estimates.grouped.Estimates")},
    ),
    Family(
        "planning", "Sample sizes", "How many events a question needs.", "crucible_nb.stats",
        {"": words("power required_sample_size minimum_detectable_effect next_sample"),
         "Results": words("NextSample planning.power.SampleSize planning.power.Power planning.power.DetectableEffect "
                          "planning.plan.Plan planning.plan.Ledger")},
    ),
    Family(
        "anomaly", "Anomaly detectors", "Given by name or object to ``cr.start(anomaly_config=...)``, or run over a frame.",
        "crucible_nb.anomaly",
        {
            "Over a frame": words("score anomalies Scores Incidents Incident"),
            "Detectors": words("Auto ZScore ModifiedZScore IQR EWMA CUSUM IsolationForest"),
            "Your own": words("Detector OneByOne Windowed Refitted Verdict Given detector_of detectors_of"),
        },
    ),
    Family(
        "sampling", "Sampling", "Which events are kept as rows; each carries its weight.", "crucible_nb.sampling",
        {
            "Policies": words("Uniform Reservoir Stratified Adaptive Importance"),
            "Over frames": words("sample merge"), "Your own": words("Sampler Choice Events sampling_of"),
        },
    ),
    Family(
        "figures", "Figures and dashboard", "``exp.plot`` draws one experiment, ``cr.plot`` several or any DataFrame.",
        "crucible_nb.notebook", {"": words("dashboard track_iter figures.Plots figures.Plot")},
    ),
    Family(
        "extensions", "Extensions", "Methods of your own on :class:`~crucible_nb.Experiment`.",
        "crucible_nb.experiment.extensions", {"": ("register",)},
    ),
    Family(
        "accumulators", "Accumulators", "Statistics of a stream: mergeable, and the same bits in any order.",
        "crucible_nb.accumulators",
        {
            "": words(
                "Moments Extremes Counts Proportion EWMoments Quantiles LogHistogram TDigest Accumulator combine moments_by "
                "quantile_of_sorted"
            ),
            "Results": words(
                "MomentsResult ExtremesResult CountsResult ProportionResult EWMomentsResult QuantileResult"
            ),
        },
    ),
    Family("datasets", "Datasets", "The same questions of files larger than memory.", "crucible_nb",
           {"": words("open_dataset datasets.dataset.Dataset")}),
    Family("reports", "Reports and demo", "A run in one file, and a first look.", "crucible_nb", {"": words("report demo demos.first_look.Demo")}),
    Family(
        "capture", "Capture", "Events of clients and spans without calls of ``record``.", "crucible_nb.capture",
        {"": words("openai anthropic google_genai litellm mistral auto otel from_otel Capture Receiver Trace")},
    ),
    Family("events", "Events", "Names of events and what they mean.", "crucible_nb.events",
           {"": words("EventInfo standard info by_category")}),
    Family("errors", "Errors and warnings", "All derive from :class:`~crucible_nb.CrucibleError`.", "crucible_nb",
           {"": words("CrucibleError ConfigError LifecycleError SchemaError StatError StoreError CrucibleWarning")}),
    Family(
        "testing", "Testing", "For tests of your own accumulators, detectors and samplers.", "crucible_nb.testing",
        {
            "": words("check_accumulator check_detector check_sampler check_experiment ManualClock FaultyDisk PowerLossDisk"),
            "Laws": words("ACCUMULATOR_LAWS DETECTOR_LAWS SAMPLER_LAWS EXPERIMENT_LAWS"),
        },
    ),
)  # fmt: skip
