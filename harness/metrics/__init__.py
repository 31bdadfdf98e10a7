"""Numbers for `score(...)`. Importing this costs the standard library only."""

from harness.metrics.agreement import agreement
from harness.metrics.choices import (
    chosen_option,
    likeliest_option,
    option_loglikelihoods,
    true_option_mass,
)
from harness.metrics.counts import count_sentences, count_words
from harness.metrics.dates import extract_dates
from harness.metrics.labels import ConfusionMatrix, confusion_matrix, label_credit, macro_f1
from harness.metrics.language import language
from harness.metrics.numbers import (
    RoundShare,
    extract_numbers,
    final_number,
    is_close,
    is_round,
    round_share,
)
from harness.metrics.overlap import (
    bleu,
    chrf,
    corpus_bleu,
    corpus_chrf,
    edit_similarity,
    rouge_l,
    rouge_lsum,
    rouge_n,
)
from harness.metrics.personal_data import PersonalData, find_personal_data
from harness.metrics.profanity import find_profanity
from harness.metrics.refusal import is_abstention, is_refusal, refusal_languages
from harness.metrics.retrieval import (
    average_precision,
    hit_at_k,
    ndcg_at_k,
    precision_at_k,
    ranked,
    recall_at_k,
    reciprocal_rank,
    unit_of,
)
from harness.metrics.similarity import embedding_similarity
from harness.metrics.squad import exact_match, normalize_answer, token_f1
from harness.metrics.support import Claim, claims, supported_share
from harness.metrics.tool_calls import AnyOf, any_of, expected_calls, tool_call_f1
from harness.metrics.variety import distinct_n, repetition

__all__ = [
    "AnyOf",
    "Claim",
    "ConfusionMatrix",
    "PersonalData",
    "RoundShare",
    "agreement",
    "any_of",
    "average_precision",
    "bleu",
    "chosen_option",
    "chrf",
    "claims",
    "confusion_matrix",
    "corpus_bleu",
    "corpus_chrf",
    "count_sentences",
    "count_words",
    "distinct_n",
    "edit_similarity",
    "embedding_similarity",
    "exact_match",
    "expected_calls",
    "extract_dates",
    "extract_numbers",
    "final_number",
    "find_personal_data",
    "find_profanity",
    "hit_at_k",
    "is_abstention",
    "is_close",
    "is_refusal",
    "is_round",
    "label_credit",
    "language",
    "likeliest_option",
    "macro_f1",
    "ndcg_at_k",
    "normalize_answer",
    "option_loglikelihoods",
    "precision_at_k",
    "ranked",
    "recall_at_k",
    "reciprocal_rank",
    "refusal_languages",
    "repetition",
    "rouge_l",
    "rouge_lsum",
    "rouge_n",
    "round_share",
    "supported_share",
    "token_f1",
    "tool_call_f1",
    "true_option_mass",
    "unit_of",
]
