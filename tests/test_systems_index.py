"""A stored index: what it is built of, and when it is built anew."""

import json
import unicodedata

import pytest

from systems.corpus import Chunk
from systems.retrieval import Index

TEXTS = ["The café by the lake.", "A stolen bicycle.", "Die Äpfel und die Birnen."]


@pytest.fixture
def index(tmp_path):
    def build(texts=TEXTS):
        chunks = [
            Chunk(id=str(i), unit=str(i), document="a", start=0, end=len(text), text=text)
            for i, text in enumerate(texts)
        ]
        return Index(chunks, tmp_path / "index", encoder=lambda: None, encoder_name="none")

    return build


def ranked(index, query):
    return [chunk for chunk, _ in index.retriever("bm25", {}).rank([query], 2)[0]]


@pytest.mark.parametrize("content", ["{}", "[]", '{"stolen": 0}'])
@pytest.mark.parametrize("file", ["vocab.index.json", "params.index.json", "checksums.json"])
def test_an_index_whose_json_is_another_one_is_built_anew(index, tmp_path, file, content):
    assert ranked(index(), "stolen bicycle") == [1]
    (damaged,) = (tmp_path / "index").glob(f"*/{file}")
    whole = json.loads(damaged.read_text())
    damaged.write_text(content)
    assert ranked(index(), "stolen bicycle") == [1]
    assert json.loads(damaged.read_text()) == whole


def test_an_index_that_is_whole_stays(index, tmp_path):
    ranked(index(), "stolen bicycle")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")}
    ranked(index(), "stolen bicycle")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")} == before


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_an_accent_is_found_however_it_was_typed(index, form, asked):
    texts = [unicodedata.normalize(form, text) for text in TEXTS]
    assert ranked(index(texts), unicodedata.normalize(asked, "café")) == [0]
    assert ranked(index(texts), unicodedata.normalize(asked, "äpfel")) == [2]


def test_texts_that_only_differ_in_how_accents_were_typed_share_an_index(index, tmp_path):
    for form in ("NFC", "NFD"):
        ranked(index([unicodedata.normalize(form, text) for text in TEXTS]), "café")
    assert len(list((tmp_path / "index").iterdir())) == 1
