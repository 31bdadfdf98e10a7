"""The quick look at a row never lets through what the schema refuses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.cases import _plainly_valid, _validator

TEXT = st.text(max_size=4)
ANY = st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2)
PASSAGE = TEXT | st.dictionaries(st.sampled_from(["id", "text", "more"]), ANY, max_size=3)
ROWS = st.fixed_dictionaries(
    {"id": TEXT | ANY, "input": TEXT | ANY},
    optional={
        "expected_output": ANY,
        "tags": st.lists(TEXT | ANY, max_size=2) | ANY,
        "context": st.lists(PASSAGE | ANY, max_size=2) | ANY,
        "metadata": st.dictionaries(
            st.sampled_from(["split", "group"]),
            ANY | st.sampled_from(["dev", "locked"]),
            max_size=2,
        )
        | ANY,
        "more": ANY,
    },
)


@given(row=ROWS | ANY)
def test_what_looks_valid_is_valid(row: object) -> None:
    if _plainly_valid(row):
        assert list(_validator().iter_errors(row)) == []


def test_the_rows_of_a_real_suite_are_recognised() -> None:
    assert _plainly_valid(
        {
            "id": "a",
            "input": "?",
            "expected_output": {"any": "JSON"},
            "tags": ["x"],
            "context": ["refunds", {"id": "b", "text": "c"}],
            "metadata": {"group": "g", "split": "locked"},
        }
    )
