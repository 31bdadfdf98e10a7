"""Estimates, tests and evidence over cases: pure functions of counts and arrays.

rates         one pass rate: intervals, exact and clustered tests, pass@k and pass^k
graded        means of graded scores: t and BCa intervals, sign-flip test
outcomes      what a metric said of a system, case by case: the input of everything above this layer
pairs         two systems on the same cases, from counts: McNemar, Bonett-Price, Tango
strata        is this build unchanged: the exact stratified test over epochs
claims        above, below or open: one look at the end of a run
evalues       betting e-values and confidence sequences, valid at every look
sequences     stopping rules over them
multiplicity  Holm, Benjamini-Hochberg
power         minimum detectable effects, and how many more cases would settle it
preferences   Bradley-Terry from pairwise judgements
labels        judged scores corrected by human labels: PPI++, Rogan-Gladen
"""

from harness.statistics.claims import (
    Claim,
    clustered_claim,
    mean_claim,
    pair_claim,
    rate_claim,
)
from harness.statistics.evalues import (
    mean_evalue,
    pair_evalue,
    pair_sequence,
    rate_evalue,
    rate_sequence,
)
from harness.statistics.graded import mean, mean_pvalue, sign_flip_pvalue
from harness.statistics.labels import JudgeQuality, ppi, rogan_gladen
from harness.statistics.multiplicity import (
    benjamini_hochberg,
    e_benjamini_hochberg,
    e_holm,
    holm,
    holm_directional,
)
from harness.statistics.outcomes import Outcomes
from harness.statistics.pairs import bonett_price, mcnemar, tango, tango_pvalue, tango_z
from harness.statistics.power import (
    FurtherCases,
    further_cases_for_mean,
    further_cases_for_pairs,
    further_cases_for_rate,
    mean_mde,
    pair_mde,
    pairs_needed,
    rate_mde,
)
from harness.statistics.preferences import (
    Beats,
    Preference,
    Ranked,
    Ranking,
    bradley_terry,
    rank,
)
from harness.statistics.rates import (
    Clustered,
    above_pvalue,
    below_pvalue,
    clopper_pearson,
    clustered,
    clustered_pvalue,
    clustered_rate,
    jeffreys,
    pass_at_k,
    pass_hat_k,
    rate,
    wilson,
    worst_case,
)
from harness.statistics.sequences import Look, PairSequence, RateSequence, Sequence, StoppingRule
from harness.statistics.strata import Strata, unchanged_pvalue

__all__ = [
    "Beats",
    "Claim",
    "Clustered",
    "FurtherCases",
    "JudgeQuality",
    "Look",
    "Outcomes",
    "PairSequence",
    "Preference",
    "Ranked",
    "Ranking",
    "RateSequence",
    "Sequence",
    "StoppingRule",
    "Strata",
    "above_pvalue",
    "below_pvalue",
    "benjamini_hochberg",
    "bonett_price",
    "bradley_terry",
    "clopper_pearson",
    "clustered",
    "clustered_claim",
    "clustered_pvalue",
    "clustered_rate",
    "e_benjamini_hochberg",
    "e_holm",
    "further_cases_for_mean",
    "further_cases_for_pairs",
    "further_cases_for_rate",
    "holm",
    "holm_directional",
    "jeffreys",
    "mcnemar",
    "mean",
    "mean_claim",
    "mean_evalue",
    "mean_mde",
    "mean_pvalue",
    "pair_claim",
    "pair_evalue",
    "pair_mde",
    "pair_sequence",
    "pairs_needed",
    "pass_at_k",
    "pass_hat_k",
    "ppi",
    "rank",
    "rate",
    "rate_claim",
    "rate_evalue",
    "rate_mde",
    "rate_sequence",
    "rogan_gladen",
    "sign_flip_pvalue",
    "tango",
    "tango_pvalue",
    "tango_z",
    "unchanged_pvalue",
    "wilson",
    "worst_case",
]
