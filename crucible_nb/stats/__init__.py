"""Statistics for decisions: estimates with intervals, tests, effect sizes, sequences, sample sizes."""

from crucible_nb.stats.adjust import adjust
from crucible_nb.stats.effects.risks import cohens_g, cohens_h, odds_ratio
from crucible_nb.stats.effects.sizes import (
    Effect,
    cliffs_delta,
    cohens_d,
    eta_squared,
    glass_delta,
    hedges_g,
    omega_squared,
    rank_biserial,
)
from crucible_nb.stats.estimates.confidence import Estimate, confidence_interval
from crucible_nb.stats.hypotests.equivalence import equivalence, non_inferiority
from crucible_nb.stats.hypotests.fisher import fisher
from crucible_nb.stats.hypotests.groups import anova
from crucible_nb.stats.hypotests.mcnemar import mcnemar
from crucible_nb.stats.hypotests.means import one_sample, t_test
from crucible_nb.stats.hypotests.permutation import permutation_test
from crucible_nb.stats.hypotests.proportions import one_proportion, two_proportions
from crucible_nb.stats.hypotests.ranks import kruskal_wallis, mann_whitney_u, wilcoxon
from crucible_nb.stats.hypotests.tables import chi_square
from crucible_nb.stats.outcome import TestResult
from crucible_nb.stats.planning.economics import NextSample, next_sample
from crucible_nb.stats.planning.power import minimum_detectable_effect, power, required_sample_size
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.sequences import ConfidenceSequence, confidence_sequence

__all__ = [
    "ConfidenceSequence",
    "Effect",
    "Estimate",
    "Interval",
    "NextSample",
    "Result",
    "TestResult",
    "adjust",
    "anova",
    "chi_square",
    "cliffs_delta",
    "cohens_d",
    "cohens_g",
    "cohens_h",
    "confidence_interval",
    "confidence_sequence",
    "equivalence",
    "eta_squared",
    "fisher",
    "glass_delta",
    "hedges_g",
    "kruskal_wallis",
    "mann_whitney_u",
    "mcnemar",
    "minimum_detectable_effect",
    "next_sample",
    "non_inferiority",
    "odds_ratio",
    "omega_squared",
    "one_proportion",
    "one_sample",
    "permutation_test",
    "power",
    "rank_biserial",
    "required_sample_size",
    "t_test",
    "two_proportions",
    "wilcoxon",
]
