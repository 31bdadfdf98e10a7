"""The embedded base model: what it can do, and that its training runs and resumes."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "fixtures" / "base-model"
sys.path.insert(0, str(ROOT / "fixtures"))

from training import (  # noqa: E402
    batches,
    evaluate,
    events,
    mean,
    meanings,
    mixture,
    network,
    relations,
    settings,
    tokenizer,
    train,
    words,
)
from training.embeddings import Embeddings  # noqa: E402
from training.messages import assistant, user  # noqa: E402
from training.muon import Muon  # noqa: E402

TOY = settings.Settings(
    hidden=32, layers=2, heads=2, inner=48, tokens=512, meanings=False, spans_until=0.0
)


@pytest.fixture(scope="module")
def coder() -> Any:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


@pytest.fixture
def toy_folder(tmp_path: Path, coder: Any) -> Path:
    coder.save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def share(model: Any, coder: Any, name: str, n: int) -> float:
    *_, figure = evaluate.measure(model, coder, n=n, seed=1, only=[name])
    return figure.right / figure.n


def test_weights_fit_in_the_repository_and_the_window_holds_a_thousand_tokens(model: Any) -> None:
    weights = sum(path.stat().st_size for path in FOLDER.glob("*.safetensors"))
    assert 0 < weights <= 16_000_000
    assert model.config.max_position_embeddings >= 1024


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("reads the gold passage", 0.85),
        ("reads with two distractors", 0.75),
        ("reads out of three page chunks", 0.75),
        ("reads letters about three handbook sections", 0.5),
        ("reads questions through retrieval of three sections of a page", 0.65),
        ("reads letters through retrieval", 0.45),  # of those for which the fact is found
        ("label from an unseen list", 0.7),
        ("format from three examples", 0.7),
    ],
)
def test_it_reads_chooses_and_follows_on_wordings_kept_out_of_training(
    model: Any, coder: Any, name: str, floor: float
) -> None:
    assert share(model, coder, name, n=40) >= floor


def test_it_cannot_tell_private_facts_without_the_passage(model: Any, coder: Any) -> None:
    assert share(model, coder, "right without the passage", n=40) <= 0.05


def test_greedy_answers_are_the_same_every_time(model: Any, coder: Any) -> None:
    prompts = [d[:-1] for d in evaluate.handwritten()[:8]]
    first = evaluate.answers(model, coder, prompts)
    assert evaluate.answers(model, coder, prompts) == first
    assert all(first)


def test_the_card_states_the_figures_that_were_measured() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for row in json.loads((FOLDER / "figures.json").read_text(encoding="utf-8")):
        assert f"| {row['figure']} | {row['share']:.3f} |" in card


def test_training_rows_are_what_the_chat_template_makes(coder: Any) -> None:
    rng = Random(3)
    dialogues = [mixture.draw(rng) for _ in range(40)]
    rows = tokenizer.encode(coder, dialogues, tokenizer.caseless(coder))
    for dialogue, (ids, wanted, _) in zip(dialogues, rows, strict=True):
        whole = coder.apply_chat_template(
            dialogue, return_dict=True, return_assistant_tokens_mask=True
        )
        assert whole["input_ids"] == ids
        answers = [n for n, mark in enumerate(whole["assistant_masks"]) if mark]
        assert ids[answers[-1]] == coder.eos_token_id
        more = set(wanted) - set(answers)  # outputs of examples that a prompt shows
        assert [n for n in wanted if n not in more] == answers
        assert bool(more) == any(message.get("told") for message in dialogue)


def test_an_answer_is_found_where_it_stands_in_the_prompt(coder: Any) -> None:
    dialogue = [
        {"role": "user", "content": "The fee is\n$25, paid in the kitchen."},
        {"role": "assistant", "content": "Kitchen"},
    ]
    ((ids, wanted, found),) = tokenizer.encode(coder, [dialogue], tokenizer.caseless(coder))
    assert [coder.decode(ids[n]).strip() for n in found[:-1]] == ["kitchen"]
    assert found[-1] == -1
    assert len(found) == len(wanted)


@pytest.mark.parametrize("length", [40, 2 * network.ROWS + 16])
def test_the_lean_training_pass_computes_what_transformers_computes(
    coder: Any, length: int
) -> None:
    torch.manual_seed(0)
    small = network.build(coder, hidden=32, layers=3, heads=2, inner=48)
    ids = torch.randint(3, len(coder), (2, length))
    at = torch.arange(2 * length - 1)
    with torch.no_grad():
        lean, looks = network.logits(small, small.model.embed_tokens.weight, ids, at)
        whole = small(ids).logits.view(2 * length, -1)[:-1]
    assert looks.shape == (network.POINTING_HEADS, at.numel(), length)
    torch.testing.assert_close(lean, whole, atol=0.1, rtol=0.1)  # bf16 against float32


def test_the_lean_pass_makes_every_tensor_where_its_input_is(coder: Any) -> None:
    small = network.build(coder, hidden=32, layers=3, heads=2, inner=48)
    embeddings = Embeddings(small.model.embed_tokens.weight, coder, meaning=False)
    ids, at = torch.randint(3, len(coder), (2, 48)), torch.arange(20)
    with torch.device("meta"):  # a tensor made without a device would not fit the others
        made, looks = network.logits(small, embeddings.table(), ids, at)
        (made.sum() + looks.clamp(min=0).sum()).backward()
        embeddings.keep_absent(ids)
    assert made.device == looks.device == ids.device
    assert embeddings.own.grad is not None


def test_both_attentions_of_the_training_have_the_gradients_of_plain_attention() -> None:
    torch.manual_seed(0)
    length = network.ROWS + 32
    q, k, v = (torch.randn(2, length, 8, requires_grad=True) for _ in range(3))
    mask = torch.full((1, length, length), -30_000.0).triu(1)
    plain = torch.softmax(q @ k.transpose(1, 2) * 8**-0.5 + mask, -1) @ v
    grad = torch.randn_like(plain)
    wanted = torch.autograd.grad(plain, (q, k, v), grad)
    for attend in (network.PLAIN.attend, network.parts("cuda", compiled=False).attend):
        made = attend(q, k, v)
        torch.testing.assert_close(made, plain)
        torch.testing.assert_close(torch.autograd.grad(made, (q, k, v), grad), wanted)


def test_muon_steps_as_pytorchs_muon_does_matrix_by_matrix() -> None:
    shapes = [(24, 24), (40, 24), (24, 40), (24, 24)]
    starts = [torch.randn(shape, generator=torch.Generator().manual_seed(7)) for shape in shapes]
    ours, theirs = ([torch.nn.Parameter(s.clone()) for s in starts] for _ in range(2))
    steps = (
        Muon(ours, lr=0.01, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    rng = torch.Generator().manual_seed(8)
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=rng)
            b.grad = a.grad.clone()
        for step in steps:
            step.step()
    for a, b, start in zip(ours, theirs, starts, strict=True):
        assert (a - start).abs().max() > 0.01
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0.0)  # bf16 products


def test_where_no_answer_stands_in_its_prompt_the_pointing_heads_are_told_nothing() -> None:
    looks = torch.randn(2, 3, 5, requires_grad=True)
    nothing = train.pointed_badly(looks, torch.tensor([-1, -1, -1]))
    nothing.backward()
    assert nothing == 0
    assert looks.grad is not None
    assert not looks.grad.any()
    told = train.pointed_badly(looks, torch.tensor([4, -1, 0]))
    wanted = F.cross_entropy(looks[:, [0, 2]].flatten(0, 1), torch.tensor([4, 0, 4, 0]))
    torch.testing.assert_close(told, wanted)


def test_more_blocks_compute_the_same_until_they_are_trained(coder: Any) -> None:
    torch.manual_seed(0)
    small = network.build(coder, hidden=32, layers=4, heads=2, inner=48)
    deep = network.deepened(small, 6)
    ids = torch.randint(3, len(coder), (2, 24))
    with torch.no_grad():
        torch.testing.assert_close(deep(ids).logits, small(ids).logits)
    F.cross_entropy(deep(ids).logits.flatten(0, 1), ids.flatten()).backward()
    fresh = [b for b in deep.model.layers if not b.self_attn.o_proj.weight.any()]
    assert len(fresh) == 2
    for block in fresh:  # zero, and yet they learn
        assert block.self_attn.o_proj.weight.grad.any()
        assert block.mlp.down_proj.weight.grad.any()
    for mine, its in zip(small.model.layers[-2:], deep.model.layers[-2:], strict=True):
        assert torch.equal(mine.self_attn.q_proj.weight, its.self_attn.q_proj.weight)
    with pytest.raises(ValueError, match="4 blocks, more than the 3"):
        network.deepened(small, 3)


def test_the_mean_of_two_weights_lies_between_them_and_takes_no_other_network(
    tmp_path: Path, coder: Any
) -> None:
    for seed, name in enumerate(("before", "after")):
        torch.manual_seed(seed)
        small = network.build(coder, hidden=32, layers=2, heads=2, inner=48)
        network.save(small, small.model.embed_tokens.weight, coder, tmp_path / name)
    mean.mean(tmp_path / "before", tmp_path / "after", 0.25, tmp_path / "mixed")
    a, b, mixed = (
        AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict()
        for name in ("before", "after", "mixed")
    )
    for name, weight in mixed.items():
        assert weight.dtype == b[name].dtype
        torch.testing.assert_close(weight, a[name].lerp(b[name], 0.25), atol=0.01, rtol=0.02)
    with pytest.raises(ValueError, match="not weights of one network"):
        mean.mean(FOLDER, tmp_path / "after", 0.5, tmp_path / "other")


def test_rarer_words_trade_their_own_vectors_and_keep_their_meanings(coder: Any) -> None:
    own = torch.nn.Parameter(torch.arange(len(coder)).float()[:, None].repeat(1, 2))
    embeddings = Embeddings(own, coder)
    plain = embeddings.table()
    assert torch.equal(plain, own)  # the map begins at nothing
    embeddings.trade(torch.Generator().manual_seed(0), 0.5)
    traded = embeddings.table()
    moved = (traded != plain).any(1)
    assert 0.1 < moved.float().mean() < 0.5
    assert torch.equal(traded.sort(0).values, plain.sort(0).values)  # a vector is no two words'
    (the,) = coder.encode(" the")
    assert not moved[the]


def test_blurred_meanings_stay_in_their_neighbourhood_and_function_words_in_place(
    coder: Any,
) -> None:
    embeddings = Embeddings(torch.nn.Parameter(torch.zeros(len(coder), 192)), coder)
    with torch.no_grad():
        embeddings.map.copy_(torch.eye(192))
    plain = embeddings.table()
    listed = embeddings.turned[:, 0]
    rng, moved = torch.Generator().manual_seed(0), []
    for _ in range(10):
        embeddings.blur(rng)
        near = torch.cosine_similarity(embeddings.table(), plain)
        assert torch.equal(embeddings.table()[~listed], plain[~listed])
        moved.append(near[listed].mean())
    assert 0.65 < min(moved) < max(moved) < 1.0


def test_words_of_written_texts_are_themselves_or_blur_and_never_turn(coder: Any) -> None:
    embeddings = Embeddings(torch.nn.Parameter(torch.zeros(len(coder), 192)), coder)
    with torch.no_grad():
        embeddings.map.copy_(torch.eye(192))
    plain, listed = embeddings.table(), embeddings.turned[:, 0]
    rng, near = torch.Generator().manual_seed(0), {True: [], False: []}
    for _ in range(20):
        for written, found in near.items():
            embeddings.vary(rng, 0.4, written=written)
            found.append(torch.cosine_similarity(embeddings.table(), plain)[listed].mean())
    assert sum(each > 0.999 for each in near[True]) in range(5, 16)
    assert min(near[True]) > 0.65
    assert min(near[False]) < 0.3  # turned to anywhere


def test_turned_meanings_keep_near_words_near_and_function_words_in_place(coder: Any) -> None:
    embeddings = Embeddings(torch.nn.Parameter(torch.zeros(len(coder), 192)), coder)
    with torch.no_grad():
        embeddings.map.copy_(torch.eye(192))
    plain = embeddings.table()
    rows = torch.tensor([coder.encode(f" {w}")[0] for w in ("river", "lake", "music", "song")])
    near = torch.cosine_similarity(plain[rows[0]], plain[rows[1]], 0)
    rng, kinds = torch.Generator().manual_seed(0), set()
    for _ in range(20):
        embeddings.turn(rng)
        turned = embeddings.table()
        (the,) = coder.encode(" the")
        assert torch.equal(turned[the], plain[the])
        stays = torch.cosine_similarity(turned[rows], plain[rows]).mean()
        kinds.add("plain" if stays > 0.999 else "a bit" if stays > 0.4 else "anywhere")
        if stays < 0.3:  # a pure rotation
            torch.testing.assert_close(
                torch.cosine_similarity(turned[rows[0]], turned[rows[1]], 0), near
            )
    assert kinds == {"plain", "a bit", "anywhere"}


def test_whole_words_that_came_later_mean_what_they_mean(coder: Any) -> None:
    rng = torch.Generator().manual_seed(0)
    first = Embeddings(torch.nn.Parameter(torch.randn(len(coder), 192, generator=rng)), coder)
    with torch.no_grad():
        first.map.copy_(torch.randn(192, 192, generator=rng))
    table = first.table().detach()
    known = len(coder) - 300
    later = Embeddings(torch.nn.Parameter(torch.zeros(len(coder), 192)), coder)
    later.take(table[:known], rng)
    torch.testing.assert_close(later.table()[:known], table[:known], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(later.map, first.map, atol=0.5, rtol=0.1)
    own = [tuple(vector) for vector in later.own[:, :4].tolist()]
    owners = {vector: row for row, vector in enumerate(own[:known])}
    for row in range(known, len(coder)):
        assert later.form[owners[own[row]]] == later.form[row] >= 0


def test_a_label_is_one_token_however_it_is_written(coder: Any) -> None:
    for word in words.kin(True):
        forms = (f" {word}", word, word.capitalize(), word.upper())
        assert [len(coder.encode(form)) for form in forms] == [1, 1, 1, 1], word
    text = "URGENT: Billing of KK49-ABCdef, HTTPServer and\nshipping"
    assert coder.decode(coder.encode(text)) == text


def test_words_that_a_batch_does_not_show_keep_their_vectors(coder: Any) -> None:
    embeddings = Embeddings(torch.nn.Parameter(torch.zeros(len(coder), 2)), coder, meaning=False)
    embeddings.table().sum().backward()
    embeddings.keep_absent(torch.tensor([[5, 9]]))
    assert embeddings.own.grad is not None
    assert embeddings.own.grad.any(1).nonzero().flatten().tolist() == [5, 9]


def test_a_small_letter_answer_begins_with_the_token_that_the_prompt_has(coder: Any) -> None:
    dialogue = [
        {"role": "user", "content": "a strange reaction"},
        {"role": "assistant", "content": "reaction"},
    ]
    ((ids, wanted, found),) = tokenizer.encode(coder, [dialogue], tokenizer.caseless(coder))
    assert ids[wanted[0]] == ids[found[0]]
    assert coder.decode([ids[n] for n in wanted], skip_special_tokens=True) == "reaction"


def test_training_goes_on_from_its_checkpoint(toy_folder: Path) -> None:
    torch.set_num_threads(1)
    run = train.Run(toy_folder, TOY)
    train.train(run, 0.03, report_every=1.0)
    resumed = train.Run(toy_folder, replace(TOY, rate=1.0))  # the checkpoint's settings hold
    assert resumed.settings == TOY
    assert resumed.progress == run.progress
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, run.model.state_dict()[name]), name
    train.train(resumed, 0.25, report_every=1.0)  # some steps on a busy machine too
    first, last = (
        json.loads(line) for line in (toy_folder / "curve.jsonl").read_text().splitlines()
    )
    assert last["step"] > first["step"] > 0
    assert last["loss"] < first["loss"]


def test_training_goes_on_from_weights_whose_checkpoint_is_gone(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    asked = settings.Settings(
        tokens=512, hidden=32, inner=48
    )  # as wide as the weights all the same
    run = train.Run(tmp_path / "checkpoint", asked, finished=FOLDER)
    known = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    table = known.get_input_embeddings().weight
    torch.testing.assert_close(run.embeddings.table(), table, atol=1e-5, rtol=0.0)
    last = json.loads((FOLDER / "curve.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert run.progress.step == last["step"]
    minutes = last["minutes"] + 0.02
    assert train.spent(run, minutes) == 0
    assert settings.longest(0.0, run.settings) == 1024  # no beginner's lessons again
    train.train(run, minutes, report_every=1.0)
    newest = json.loads((tmp_path / "checkpoint" / "curve.jsonl").read_text().splitlines()[-1])
    assert newest["step"] > last["step"]
    resumed = train.Run(tmp_path / "checkpoint", settings.Settings())
    assert resumed.progress == run.progress
    assert resumed.settings == run.settings


def test_a_shard_is_used_again_only_while_the_next_one_is_not_drawn(toy_folder: Path) -> None:
    class Drawn:  # what a pool's worker would hand over, sooner or later
        def __init__(self, name: str, ready: bool) -> None:
            self.name, self.ready = name, lambda: ready

        def get(self) -> str:
            return self.name

    class Pool:
        waiting = iter([Drawn("a", True), Drawn("b", False), Drawn("c", True), Drawn("d", True)])

        def apply_async(self, *_: Any) -> Drawn:
            return next(self.waiting)

    run = train.Run(toy_folder, TOY)
    pool: Any = Pool()
    seen = list(islice(train.shards(run, 1.0, pool, ahead=1), 2 + train.AGAIN))
    assert seen == ["a", *["a"] * train.AGAIN, "b"]


def test_meanings_that_are_kept_need_no_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "meanings.npy"
    made = meanings.meanings(["river", "lake", "song"], 2, kept)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert (meanings.meanings(["river", "lake", "song"], 2, kept) == made).all()


def test_the_same_shard_is_drawn_again_from_the_same_seed(toy_folder: Path) -> None:
    job = (7, 0.9, TOY, str(toy_folder / "tokenizer"))
    for written in (False, True):
        assert batches.rows(job, written) == batches.rows(job, written) != []


def test_what_is_written_by_hand_stands_in_batches_of_its_own(
    toy_folder: Path, coder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [user("ring the brass bell twice"), assistant("brass")]
    monkeypatch.setitem(mixture.TASKS, "handbooks", lambda rng, test: told)
    monkeypatch.setitem(mixture.TASKS, "queues", lambda rng, test: told)
    drawn = batches.shard((7, 0.9, TOY, str(toy_folder / "tokenizer")))
    assert {batch.written for batch in drawn} == {False, True}
    for batch in drawn:
        marked = ["the brass bell twice" in text for text in coder.batch_decode(batch.ids)]
        assert marked == [batch.written] * len(marked)


def test_words_of_what_is_written_by_hand_keep_their_meanings_in_half_of_its_batches(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train.Run(toy_folder, replace(TOY, meanings=True))
    seen: list[tuple[bool, torch.Tensor, torch.Tensor]] = []
    pass_ = network.logits

    def logits(model: Any, table: torch.Tensor, *rest: Any) -> Any:
        plain = run.embeddings.own + run.embeddings.meanings @ run.embeddings.map
        seen.append((written, table.detach().clone(), plain.detach().clone()))
        return pass_(model, table, *rest)

    monkeypatch.setattr(network, "logits", logits)
    rows = batches.batches(
        batches.rows((7, 0.9, TOY, str(toy_folder / "tokenizer")), True), 512, Random(0)
    )
    for written in (False, *[True] * 12, False, False):
        run.step(rows[0]._replace(written=written), 0.9)
    kept = {True: 0, False: 0}
    for was_written, table, plain in seen:
        kept[was_written] += torch.equal(table, plain)
    assert kept[False] == 0
    assert 3 <= kept[True] <= 9


def test_patterns_of_the_test_side_never_stand_in_training_texts() -> None:
    frames = [*relations.NOUN_STATEMENTS, *events.CORES]
    shown = "\n".join(f for f in frames if not words.held_out(f))
    parts = {p for f in frames if words.held_out(f) for p in re.split(r"{..?}", f) if len(p) > 14}
    texts = "\n".join(mixture.training_texts(5, 1500)).lower()
    own = {part for part in parts if part not in shown}
    assert own
    assert not [part for part in own if part in texts]


def test_training_texts_know_nothing_of_the_demo_company() -> None:
    texts = "\n".join(mixture.training_texts(6, 1500)).lower()
    assert not [w for w in ("larkfield", "bicycle", "subscription") if w in texts]
