"""Examine training rows: every measure, and what stands in the way of training on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.diversity.answers import examine_answers
from harness.diversity.clusters import Clusters, distinctive_words, k_means
from harness.diversity.effective_number import effective_number, mean_cosine
from harness.diversity.embedding_map import MapPoint, plane, shown_rows
from harness.diversity.leakage import Leak, rows_to_drop
from harness.diversity.neighbours import (
    DuplicateGroups,
    near_duplicate_rate,
    near_duplicates,
)
from harness.diversity.plain_text import excerpt
from harness.diversity.reach import Cases, examine_reach, gather_cases
from harness.diversity.readiness import judge
from harness.diversity.report import DataReport
from harness.diversity.report_options import Options
from harness.diversity.row_contents import examine_contents
from harness.diversity.rows import AnswersAgree, Rows, prepare
from harness.training_rows import TrainingRow
from harness.types import Case, Encoder

ROWS_PER_CLUSTER = 25
MAX_CLUSTERS = 20
MAP_CASES = 500


def examine(
    rows: Sequence[TrainingRow],
    *,
    encoder: Encoder,
    eval_suites: Mapping[str, Sequence[Case]],
    rng: np.random.Generator,
    options: Options | None = None,
) -> DataReport:
    """Examine training rows, alone and against the suites that will judge what is trained on them.

    Parameters
    ----------
    rows : sequence of TrainingRow
        What `load_training_rows` read. No rows at all is a report too: NOT ready.
    encoder : Encoder
        Wrapped in an `EmbeddingStore`, a second examination embeds only what is new.
    eval_suites : mapping of str to cases
        By suite name. Empty: the report says that leakage was not measured.
    rng : numpy.random.Generator
        Samples, clusters and the audit are drawn from it: the same seed gives the same report.
    options : Options, optional
        Limits, production queries, a pool to label from, the audit, the model's window.
    """
    options = options or Options()
    data = prepare(rows, encoder=encoder)
    cases = gather_cases(eval_suites, encoder=encoder)
    agree = AnswersAgree(data)
    duplicates = near_duplicates(
        data.vectors, options.limits.duplicate_cosine, rng=rng, agree=agree
    )
    count = min(MAX_CLUSTERS, max(1, len(rows) // ROWS_PER_CLUSTER))
    clusters = k_means(data.vectors, count, rng=rng)
    reach = examine_reach(data, cases, encoder=encoder, options=options, rng=rng)
    answers = examine_answers(data, options=options, rng=rng)
    report = DataReport(
        data=data,
        encoder=encoder.fingerprint,
        limits=options.limits,
        cases=cases.refs,
        effective_number=effective_number(data.vectors, rng=rng),
        mean_cosine=mean_cosine(data.vectors),
        near_duplicate_rate=near_duplicate_rate(duplicates),
        duplicates=duplicates,
        minimal_pairs=tuple(sorted(agree.apart)),
        clusters=clusters,
        cluster_names=_names(data, clusters),
        reach=reach,
        answers=answers,
        contents=examine_contents(data, options=options, numeric=answers.targets is not None),
        map=_map(data, cases, clusters, (duplicates, reach.leaks), options=options, rng=rng),
        not_measured=_not_measured(cases, options),
    )
    return replace(report, findings=judge(report))


def _names(data: Rows, clusters: Clusters) -> tuple[str, ...]:
    found = [", ".join(words) for words in distinctive_words(data.inputs, clusters.of_row)]
    return tuple(found + [""] * (len(clusters.centroids) - len(found)))


def _map(
    data: Rows,
    cases: Cases,
    clusters: Clusters,
    marks: tuple[DuplicateGroups, tuple[Leak, ...]],
    *,
    options: Options,
    rng: np.random.Generator,
) -> tuple[MapPoint, ...]:
    copies, leaked = set(marks[0].near_copies), set(rows_to_drop(marks[1]))
    held = {leak.case for leak in marks[1] if leak.action == "drop"}
    marked = np.array(sorted(copies | leaked), dtype=np.int64)
    rows = shown_rows(len(data.rows), marked, rng=rng)
    asked = list(range(min(MAP_CASES, len(cases.refs))))
    shown = data.vectors[rows]
    if asked and cases.vectors.shape[1] == shown.shape[1]:
        shown = np.vstack([shown, cases.vectors[asked]])
    else:
        asked = []
    marks_of = [("row", n, int(clusters.of_row[n]), n in copies, n in leaked) for n in rows]
    marks_of += [("case", n, -1, False, n in held) for n in asked]
    texts = [data.inputs[n] for n in rows] + [cases.refs[n].text for n in asked]
    flat = plane(shown, options.project).round(4).tolist()
    return tuple(
        MapPoint(
            x=x,
            y=y,
            kind=kind,
            number=number,
            cluster=cluster,
            duplicate=duplicate,
            leaked=is_leaked,
            text=excerpt(text),
        )
        for (x, y), (kind, number, cluster, duplicate, is_leaked), text in zip(
            flat, marks_of, texts, strict=True
        )
    )


def _not_measured(cases: Cases, options: Options) -> tuple[str, ...]:
    absent = []
    if not cases.refs:
        absent.append("leakage: no eval suite was given")
    if not options.production:
        absent.append(
            "coverage of production: no production queries were given (--production FILE)"
            + ("; the eval cases stand in for them" if cases.refs else "")
        )
    if not options.production and not options.pool:
        absent.append(
            "what to label next: there are no unlabelled texts to choose from (--pool FILE)"
        )
    if options.window is None or options.count_tokens is None:
        absent.append("truncation: the model's window and tokenizer are not known (--model NAME)")
    if not options.vocabulary:
        absent.append("coverage of operators, tools and labels: the suite names none")
    return tuple(absent)
