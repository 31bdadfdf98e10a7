"""The pilot: a small tuning at nested sizes, judged as the suite judges, before anyone pays for a GPU.

plan        sizes and seeds: nested subsets, several seeds at the largest
variants    the systems that a pilot compares: tuned, many-shot, tuned on general skills
workshop    trains and judges, each result in a folder of its own: a killed pilot goes on
findings    points, gains, tiers and forgetting, from the stored runs
standing    the hashes that it stands on, and what falls with each
record      the committed file
words       the same for people
"""

from harness.pilot.findings import Findings, Pilots, Scored, findings_of, read_scored
from harness.pilot.plan import Training, nested, read_sizes, trainings, usual_sizes
from harness.pilot.record import read_record, record_file, record_rows, write_record
from harness.pilot.standing import outdated
from harness.pilot.words import describe
from harness.pilot.workshop import Workshop, digest

__all__ = [
    "Findings",
    "Pilots",
    "Scored",
    "Training",
    "Workshop",
    "describe",
    "digest",
    "findings_of",
    "nested",
    "outdated",
    "read_record",
    "read_scored",
    "read_sizes",
    "record_file",
    "record_rows",
    "trainings",
    "usual_sizes",
    "write_record",
]
