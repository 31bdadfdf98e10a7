"""What the base model's handbooks, queues and formats are made of: answers that can be found, sides kept apart."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))

from training import evaluate, formats, handbooks, likes, queues, reading, retrieved, values

FACTS = [*handbooks.facts(False), *handbooks.facts(True)]
ORGANISATIONS = [org for test in (False, True) for org in queues.organisations(test)]


def turns(dialogue: list[dict]) -> list[tuple[str, str]]:
    """Every message of the user with its answer."""
    said = [m["content"] for m in dialogue if m["role"] != "system"]
    return list(zip(said[::2], said[1::2], strict=True))


def well_formed(fact: handbooks.Fact) -> bool:
    stated = len(fact.said) >= 3 and all(said.count("{v}") == 1 for said in fact.said)
    asked = len(fact.asked) >= 7 and not any(re.search("{[vx]}", q) for q in fact.asked)
    return stated and asked and fact.kind.split(" ")[0].rstrip(":") in {*values.KINDS, "n", "of"}


def test_a_fact_is_stated_with_its_answer_once_and_asked_for_without_it() -> None:
    assert len(FACTS) > 500
    assert [fact for fact in FACTS if not well_formed(fact)] == []


@pytest.mark.parametrize("test", [False, True])
def test_what_a_letter_asks_for_stands_in_the_pages_word_for_word(test: bool) -> None:
    rng, known = Random(1), 0
    for _ in range(60):
        dialogue = turns(handbooks.draw(rng, test, chunks=3))
        pages = dialogue[0][0].lower()
        for _, answer in dialogue:
            known += answer != reading.UNKNOWN
            assert answer == reading.UNKNOWN or answer.lower() in pages
    assert known > 200


@pytest.mark.parametrize("test", [False, True])
def test_no_section_stands_twice_on_the_pages_where_its_facts_would_have_two_values(
    test: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handbooks, "LIKE", 0.0)  # its own questions name a fact
    rng = Random(6)
    for _ in range(300):
        subjects = [
            [claim.asked[0][0] for claim in p.claims] for p in handbooks.pages(rng, test, 3)
        ]
        told = [question for section in subjects for question in section]
        assert len(told) == len({*told})


def test_a_like_question_is_one_of_another_handbook_of_training_that_wants_the_same_kind() -> None:
    named = {fact.name: fact for fact in handbooks.facts(False)}
    asks: dict[str, set[tuple[str, str]]] = {}
    for fact in named.values():
        for question in fact.asked:
            asks.setdefault(question, set()).add((fact.book, fact.kind.partition(":")[0]))
    for name, like in handbooks.likes().items():
        fact = named[name]
        assert like
        for question in like:
            kind = fact.kind.partition(":")[0]
            assert any(book != fact.book and of == kind for book, of in asks[question])


def test_no_question_is_twice_among_the_like_ones_of_a_fact() -> None:
    for line in handbooks.LIKES.read_text(encoding="utf-8").splitlines()[1:]:
        numbers = line.partition(": ")[2].split()
        assert len({*numbers}) == len(numbers) <= likes.MOST


def test_half_of_the_facts_of_training_are_asked_for_as_like_ones_are_and_none_of_those_kept_out() -> (
    None
):
    rng, as_others = Random(9), 0
    alike = [fact for fact in handbooks.facts(False) if handbooks.likes().get(fact.name)]
    assert len(alike) > len(handbooks.facts(False)) / 2
    for fact in rng.sample(alike, 400):
        asked = handbooks.ways_to_ask(rng, False, fact)
        as_others += asked != fact.asked
        assert asked == fact.asked or {*asked} <= {*handbooks.likes()[fact.name]}
    assert 150 < as_others < 250
    assert all(handbooks.ways_to_ask(rng, True, f) == f.asked for f in handbooks.facts(True))


def test_likes_of_other_handbooks_than_there_are_now_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handbooks, "LIKES", tmp_path / "likes.txt")
    handbooks.LIKES.write_text("of 3 questions\nbakery 1: 2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"of 3 questions.*write it again"):
        handbooks.likes.__wrapped__()


def test_a_question_is_like_those_of_the_nearest_fact_of_its_kind_elsewhere_that_has_no_rival() -> (
    None
):
    def fact(book: str, kind: str, asked: int = 1) -> handbooks.Fact:
        return handbooks.Fact(book=book, number=1, kind=kind, said=(), asked=("?",) * asked)

    of = [fact("bakery", "clock", 2), fact("bakery", "money"), fact("pool", "clock", 3), fact("pool", "clock")]  # fmt: skip
    points = np.array([[1, 0, 0], [0, 1, 0], [0.8, 0.6, 0], [0, 0.6, 0.8]])
    asked = np.array([
        [0.8, 0.6, 0],  # of the bakery: the pool's first fact
        [0, 0.8, 0.6],  # the pool's second
        [1, 0, 0],  # its money is no time: nobody's
        [0.8, 0, 0.6],  # of the pool: the bakery's first
        [0.6, 0.8, 0],  # its money is nearest
        [0.3, 0, 0.95],  # far from both
        [0.66, 0.63, 0.4],  # about as near to its clock as to its money
    ])  # fmt: skip
    assert likes.likes(of, asked, points) == [[3], [], [0], [1]]


def test_a_letter_through_retrieval_stands_below_three_sections_of_handbooks_kept_out() -> None:
    rng = Random(8)
    texts = {chunk.text for chunk, _ in retrieved.corpus(Random(8))}
    assert len(texts) >= 30
    found = 0
    for dialogue in retrieved.letters(rng, 40):
        ((prompt, answer),) = turns(dialogue)
        assert sum(text in prompt for text in texts) == retrieved.SHOWN
        found += answer in prompt
    assert 10 < found < 40


def test_a_question_through_retrieval_stands_below_three_sections_of_one_page_and_is_plain() -> (
    None
):
    page_of = {chunk.text: chunk.document for chunk, _ in retrieved.corpus(Random(8))}
    plain = {question for fact in handbooks.facts(True) for question in fact.asked[:4]}
    found = 0
    for dialogue in retrieved.questions(Random(8), 40):
        ((prompt, answer),) = turns(dialogue)
        shown = [page for text, page in page_of.items() if text in prompt]
        assert len(shown) == retrieved.SHOWN
        assert len({*shown}) == 1
        assert any(question in prompt for question in plain)
        found += answer in prompt
    assert 35 < found <= 40


def test_every_question_about_a_page_is_asked_once_but_for_those_that_training_asks_too() -> None:
    trained = {question.lower() for fact in handbooks.facts(False) for question in fact.asked}
    facts = handbooks.facts(True)
    unseen = [q for fact in facts for q in fact.asked[:4] if q.lower() not in trained]
    asked = retrieved.drawn(Random(8), retrieved.corpus(Random(8)), 10_000, plain=True)
    assert 350 < len(unseen) < 4 * len(facts)
    assert len({(each.page, each.question) for each in asked}) == len(asked) == len(unseen)
    assert not {each.question.lower() for each in asked} & trained


def test_a_figure_over_ten_handbooks_is_less_sure_than_one_over_as_many_questions() -> None:
    marks = [page < 8 for page in range(10) for _ in range(40)]  # whole pages are missed
    alone = evaluate.Figure(name="x", marks=marks).row
    over = evaluate.Figure(name="x", marks=marks, groups=[f"{n // 40}.md" for n in range(400)]).row
    assert alone["share"] == over["share"] == 0.8
    assert (alone["low"], alone["high"]) == (0.758, 0.8363)  # scipy.stats.binomtest, Wilson
    assert over["low"] < 0.5
    assert over["method"] != alone["method"]


@pytest.mark.parametrize("test", [False, True])
def test_the_desk_of_a_message_is_one_of_the_list_and_no_other_has_its_name(test: bool) -> None:
    rng = Random(2)
    for _ in range(60):
        dialogue = turns(queues.draw(rng, test))
        assert all(desk in dialogue[0][0] for _, desk in dialogue)
    for desks in ORGANISATIONS:
        names = [name for desk in desks for name in desk.names]
        assert len(names) == len({*names}) == 3 * len(desks)
        assert all(len(desk.messages) >= 8 for desk in desks)


def test_letters_are_sorted_by_the_section_they_are_about_and_by_what_they_are_after() -> None:
    for desks in queues.sections():
        names = [name for desk in desks for name in desk.names]
        assert len(names) == len({*names}) >= 4
        assert all(desk.messages for desk in desks)
    (kinds,) = queues.kinds()
    assert all(len(desk.names) == 3 and len(desk.messages) > 100 for desk in kinds)
    assert queues.sought("n working days") == "time"
    assert queues.sought("n guests") == "count"
    assert queues.sought("of: a | b") == "of"


def test_no_training_text_holds_a_question_or_a_message_of_the_test_side() -> None:
    asked = {q for fact in handbooks.facts(True) for q in fact.asked}
    sent = {message for org in queues.organisations(True) for d in org for message in d.messages}
    assert len(asked) > 300
    assert len(sent) > 150
    of_training = {q for fact in handbooks.facts(False) for q in fact.asked}
    assert [question for question in asked & of_training if len(question) > 30] == []
    rng = Random(3)
    drawn = [handbooks.draw(rng, False) for _ in range(150)]
    drawn += [queues.draw(rng, False) for _ in range(150)]
    text = "\n".join(message["content"] for dialogue in drawn for message in dialogue)
    assert [line for line in asked | sent if len(line) > 30 and line in text] == []


def test_json_that_leaves_keys_out_never_asks_for_one_that_no_example_shows() -> None:
    rng, sparse, listed = Random(4), 0, 0
    for _ in range(300):
        prompt, answer = turns(formats.draw(rng, False, style="json", shots=3, turns=1))[0]
        shown = [json.loads(found) for found in re.findall(r"\{.*\}", prompt)]
        made = json.loads(answer)
        assert set(made) <= {key for example in shown for key in example}
        sparse += len({frozenset(example) for example in shown}) > 1
        listed += any(isinstance(value, list) for value in made.values())
    assert sparse > 20
    assert listed > 40


def test_test_prompts_of_formats_have_every_field_and_no_lists() -> None:
    rng = Random(5)
    for _ in range(100):
        prompt, answer = turns(formats.draw(rng, True, style="json", shots=3, turns=1))[0]
        keys = [*json.loads(answer)]
        assert not any(isinstance(value, list) for value in json.loads(answer).values())
        assert all([*json.loads(found)] == keys for found in re.findall(r"\{.*\}", prompt))
