"""Corpora: units with ids of their own, cut into chunks that keep their place."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from systems.corpus import Unit, _chunks, read_corpus

HANDBOOK = Path(__file__).resolve().parent.parent / "fixtures/handbook"
PAGE = """Opening words.

# Leaving us
## Your deposit
It comes back   within 21 days.

```
# no heading
```
## Empty
## Your deposit
Again.
"""


def read(path, *, size=120, overlap=20):
    return read_corpus(path, size=size, overlap=overlap, key="systems.rag.corpus")


@pytest.fixture
def page(tmp_path):
    (tmp_path / "leaving.md").write_text(PAGE)
    return tmp_path


def test_sections_are_named_by_their_headings(page):
    chunks = {chunk.id: chunk for chunk in read(page)}
    assert list(chunks) == [
        "leaving.md",
        "leaving.md#your-deposit",
        "leaving.md#your-deposit-1",
    ]
    deposit = chunks["leaving.md#your-deposit"]
    assert deposit.title == "Leaving us / Your deposit"
    assert deposit.text.startswith("It comes back   within 21 days.")
    assert "# no heading" in deposit.text


def test_a_chunk_is_what_stands_between_its_offsets(page):
    text = (page / "leaving.md").read_text()
    for chunk in read(page, size=3, overlap=1):
        assert text[chunk.start : chunk.end] == chunk.text


@given(words=st.integers(1, 60), size=st.integers(1, 20), overlap=st.integers(0, 19))
def test_chunks_cover_every_word_and_share_the_overlap(words, size, overlap):
    overlap = min(overlap, size - 1)
    text = " ".join(f"w{i}" for i in range(words))
    unit = Unit(id="u", document="u", start=0, text=text)
    chunks = [chunk.text.split() for chunk in _chunks(unit, size, overlap)]
    assert all(len(chunk) <= size for chunk in chunks)
    assert chunks[0] + [w for c in chunks[1:] for w in c[overlap:]] == text.split()
    assert all(a[-overlap:] == b[:overlap] for a, b in pairwise(chunks) if overlap)


def test_a_long_unit_is_cut_into_numbered_chunks(tmp_path):
    (tmp_path / "a.txt").write_text("one two three four five")
    assert [(chunk.id, chunk.unit) for chunk in read(tmp_path, size=3, overlap=1)] == [
        ("a.txt~1", "a.txt"),
        ("a.txt~2", "a.txt"),
    ]


def test_rows_keep_their_ids(tmp_path):
    rows = [{"id": "x", "text": "X"}, {"id": "y", "text": "Y", "more": 1}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [(chunk.id, chunk.document) for chunk in read(tmp_path)] == [
        ("x", "c.jsonl"),
        ("y", "c.jsonl"),
    ]


def test_files_in_folders_below_are_read_and_other_files_are_not(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.txt").write_text("A")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [chunk.id for chunk in read(tmp_path)] == ["deep/a.txt"]


def test_one_file_is_a_corpus_too(page):
    assert len(read(page / "leaving.md")) == 3


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.txt", b"", "is empty"),
        ("a.md", b" \n", "is empty"),
        ("a.txt", b"\xff\xfe", "is no text"),
        ("a.txt", b"a\0b", "null bytes"),
        ("a.jsonl", b'{"id": 3, "text": "x"}', "expected an object"),
        ("a.jsonl", b'{"id": "a", "text": ""}', "text is empty"),
        ("a.jsonl", b'{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "stands twice"),
        ("a.jsonl", b"", "has no rows"),
        ("a.md", b"# One\n\n## Two\n", "a.md: .*holds headings only"),
        ("a.md", b"---\n\n* * *\n", "a.md: .*holds no word"),
        ("a.txt", b"... !!! ---", "a.txt: .*holds no word"),
        ("a.jsonl", b'{"id": "a", "text": "?!"}\n{"id": "b", "text": "..."}', "holds no word"),
        ("a.pdf", b"x", "holds no .md, .txt or .jsonl file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        read(tmp_path)
    assert caught.value.key == "systems.rag.corpus"


@pytest.mark.parametrize(
    ("fenced", "closed"),
    [
        ("````\n```\n# code\n```\n````", True),
        ("~~~~\n~~~\n# code\n~~~~~", True),
        ("   ```py\n# code\n  ````", True),
        ("```\n# code\n~~~", False),
        ("```\n# code\n``` py", False),
    ],
)
def test_a_fence_is_closed_by_at_least_as_many_marks_of_its_kind(tmp_path, fenced, closed):
    (tmp_path / "a.md").write_text(f"# One\n\n{fenced}\n\n## Two\nWords.\n")
    units = [chunk.unit for chunk in read(tmp_path)]
    assert units == (["a.md#one", "a.md#two"] if closed else ["a.md#one"])


def test_code_within_a_line_begins_no_fence(tmp_path):
    (tmp_path / "a.md").write_text("# One\n```x``` is code.\n\n## Two\nWords.\n")
    assert [chunk.unit for chunk in read(tmp_path)] == ["a.md#one", "a.md#two"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("b.jsonl", '\n{"id": "c", "text": "C"}\n{"id": "a", "text": "again"}\n', 3),
        ("b.jsonl", '{"id": "z.md#two", "text": "early"}\n', None),
    ],
)
def test_an_id_that_stands_twice_is_told_with_both_places(tmp_path, name, content, line):
    (tmp_path / "a.jsonl").write_text('{"id": "b", "text": "B"}\n{"id": "a", "text": "A"}\n')
    (tmp_path / name).write_text(content)
    (tmp_path / "z.md").write_text("# One\nWords.\n\n## Two\n\nMore.\n")
    with pytest.raises(ConfigError, match="stands twice") as caught:
        read(tmp_path)
    if line is not None:
        assert (caught.value.file, caught.value.line) == (tmp_path / name, line)
        assert "first in a.jsonl, line 2" in caught.value.hint
    else:
        assert (caught.value.file, caught.value.line) == (tmp_path / "z.md", 6)
        assert "first in b.jsonl, line 1" in caught.value.hint


@pytest.mark.parametrize(
    ("headings", "anchors"),
    [
        (["Example", "Example", "Example 1"], ["example", "example-1", "example-1-1"]),
        (["Example 1", "Example", "Example"], ["example-1", "example", "example-2"]),
        (["One", "One", "One"], ["one", "one-1", "one-2"]),
    ],
)
def test_an_anchor_is_counted_until_it_is_free(tmp_path, headings, anchors):
    (tmp_path / "a.md").write_text("".join(f"## {title}\nWords.\n\n" for title in headings))
    assert [chunk.unit for chunk in read(tmp_path)] == [f"a.md#{anchor}" for anchor in anchors]


@pytest.mark.parametrize("ids", [("d", "d~1"), ("d~1", "d")])
def test_a_piece_has_no_id_of_another_row(tmp_path, ids):
    texts = {"d": "many words that are cut into pieces", "d~1": "Another."}
    rows = [json.dumps({"id": id, "text": texts[id]}) for id in ids]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    with pytest.raises(ConfigError, match="the id 'd~1' stands twice") as caught:
        read(tmp_path, size=4, overlap=0)
    assert caught.value.line == 2
    assert "line 1" in caught.value.hint
    assert "a piece of 'd'" in caught.value.hint
    assert [chunk.id for chunk in read(tmp_path)] == list(ids)


def test_a_folder_may_be_named_like_a_document(tmp_path):
    (tmp_path / "notes.md").mkdir()
    (tmp_path / "notes.md/a.txt").write_text("Words.")
    assert [chunk.id for chunk in read(tmp_path)] == ["notes.md/a.txt"]


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("# One #", "One"),
        ("##   One two  ###  ", "One two"),
        ("# Learn C#", "Learn C#"),
        ("# One # two", "One # two"),
        ("# One" + " " * 50_000 + "two", "One" + " " * 50_000 + "two"),
    ],
    ids=["closed", "spaced", "a mark of its own", "within", "many spaces"],
)
def test_marks_behind_a_space_close_a_heading(tmp_path, heading, title):
    (tmp_path / "a.md").write_text(f"{heading}\nWords.\n")
    assert [chunk.title for chunk in read(tmp_path)] == [title]


def test_a_section_of_rules_and_a_row_of_marks_among_others_stay(tmp_path):
    (tmp_path / "a.md").write_text("# Title\n\n---\n\n## Part\n\nText.\n")
    (tmp_path / "b.jsonl").write_text('{"id": "x", "text": "?"}\n{"id": "y", "text": "word"}\n')
    assert [chunk.id for chunk in read(tmp_path)] == ["a.md#title", "a.md#part", "x", "y"]


def test_an_overlap_as_large_as_a_chunk_is_refused(page):
    with pytest.raises(ConfigError, match="leaves nothing new"):
        read(page, size=5, overlap=5)


def test_every_gold_passage_of_the_support_suite_is_a_unit_of_the_handbook():
    cases = HANDBOOK.parent.parent / "evals/support.jsonl"
    if not cases.exists():
        pytest.skip("the demo suites are not there")
    units = {chunk.unit for chunk in read(HANDBOOK)}
    rows = [json.loads(line) for line in cases.read_text().splitlines()]
    assert {id for row in rows for id in row["context"]} <= units
