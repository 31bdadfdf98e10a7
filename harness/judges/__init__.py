"""Judges: any system asked about an answer by a rubric, and what people say of the judge."""

from harness.judges.asking import Judgement, PairJudgement, ask, ask_pairs
from harness.judges.calibration import (
    Calibration,
    Label,
    calibrate,
    calibrate_scores,
    cohen_kappa,
    corrected_difference,
    corrected_mean,
    read_labels,
)
from harness.judges.replies import Reply, UnparseableReplyError, parse_reply
from harness.judges.rubric import Rubric, judge_prompt, read_rubric
from harness.judges.standard import CORRECT, RELEVANT, SUPPORTED

__all__ = [
    "CORRECT",
    "RELEVANT",
    "SUPPORTED",
    "Calibration",
    "Judgement",
    "Label",
    "PairJudgement",
    "Reply",
    "Rubric",
    "UnparseableReplyError",
    "ask",
    "ask_pairs",
    "calibrate",
    "calibrate_scores",
    "cohen_kappa",
    "corrected_difference",
    "corrected_mean",
    "judge_prompt",
    "parse_reply",
    "read_labels",
    "read_rubric",
]
