"""The verdict: which rung of the ladder a suite's evidence justifies.

evidence     what is known about a suite, as records; `document`: the same as JSON, checked
claims       every claim of the table, each proven above, proven below, or open
table        the decision table: the first row that holds wins
verdict      `judge(evidence)`: action, sentence, confidence, next step, what would change it
run_evidence evidence from a stored run; `project`: verdicts of a run and one sentence for all of them
expiry       what a verdict stood on and that has changed since
"""

from harness.escalation.document import evidence_from_json, evidence_to_json, read_evidence
from harness.escalation.evidence import Evidence
from harness.escalation.expiry import stale, stale_sentence, stands_on
from harness.escalation.project import judge_run, project_sentence, verdict_rows
from harness.escalation.run_evidence import RunData, columns_of, evidence_of_run, with_known
from harness.escalation.verdict import judge, rejudge, summary, with_target

__all__ = [
    "Evidence",
    "RunData",
    "columns_of",
    "evidence_from_json",
    "evidence_of_run",
    "evidence_to_json",
    "judge",
    "judge_run",
    "project_sentence",
    "read_evidence",
    "rejudge",
    "stale",
    "stale_sentence",
    "stands_on",
    "summary",
    "verdict_rows",
    "with_known",
    "with_target",
]
