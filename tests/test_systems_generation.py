"""Batches over a shared prefix give, token for token, what Transformers gives one row at a time."""

from functools import lru_cache

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from harness.errors import SystemFailure  # noqa: E402
from systems.backend import Decoding  # noqa: E402
from systems.generation import Generator  # noqa: E402
from systems.sampling import Row, Sampler  # noqa: E402

END = 1
SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "eos_token_id": END,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
MODELS = {
    "one key head a query head": lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=4),
    "grouped queries": lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=2),
    "one key head": lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=1),
    "sliding window": lambda: transformers.MistralConfig(
        **SMALL, num_key_value_heads=2, sliding_window=16
    ),
    "learnt positions": lambda: transformers.GPT2Config(
        vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=256, eos_token_id=END
    ),
    "latent keys": lambda: transformers.DeepseekV3Config(
        **SMALL, **LATENT, n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1
    ),
    "values in halves": lambda: transformers.DiffLlamaConfig(**SMALL, num_key_value_heads=2),
    "repeated keys": lambda: transformers.JetMoeConfig(
        **SMALL, num_key_value_heads=2, kv_channels=8, num_local_experts=2
    ),
    "a mask made of values": lambda: transformers.DogeConfig(**SMALL, num_key_value_heads=2),
    "recurrent layers between": lambda: transformers.Lfm2Config(
        **SMALL, num_key_value_heads=2, layer_types=["conv", "full_attention", "conv"]
    ),
}
# Where a shared prefix stands with models of each kind.
PLACES = {
    "sliding window": "nowhere",
    "latent keys": "before",
    "values in halves": "before",
    "repeated keys": "before",
    "a mask made of values": "before",
    "recurrent layers between": "nowhere",
}


def built(config):
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return built(MODELS[request.param]())


def prompts(prefix=40, rows=7):
    generator = torch.Generator().manual_seed(1)
    shared = torch.randint(2, 97, (prefix,), generator=generator).tolist()
    own = [torch.randint(2, 97, (n % 5 + 1,), generator=generator).tolist() for n in range(rows)]
    return [shared + ids for ids in own]


def rows_of(prompts, room=20):
    return [
        Row(index=i, prompt=ids, generator=None, room=room, tokens=[])
        for i, ids in enumerate(prompts)
    ]


def alone(model, ids, room=20):
    return list(_alone(model, tuple(ids), room))


@lru_cache(maxsize=128)
def _alone(model, ids, room):
    made = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=room,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=END,
    )
    return made[0, len(ids) :].tolist()


def batched(model, prompts, **options):
    generator = Generator(model, end_ids=frozenset({END}), **options)
    rows = generator.run(rows_of(prompts), Sampler(Decoding()), stopped=lambda tokens: False)
    return {row.index: row for row in rows}


def in_one_batch(model, prompts, rooms):
    """The tokens of rows that may have different numbers of them."""
    rows = [
        Row(index=i, prompt=ids, generator=None, room=room, tokens=[])
        for i, (ids, room) in enumerate(zip(prompts, rooms, strict=True))
    ]
    generator = Generator(model, end_ids=frozenset({END}))
    made = generator.run(rows, Sampler(Decoding()), stopped=lambda tokens: False)
    answers = {row.index: row.tokens for row in made}
    return [answers[i] for i in range(len(prompts))]


def one_by_one(model, prompts, rooms):
    return [alone(model, ids, room) for ids, room in zip(prompts, rooms, strict=True)]


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"share_prefix": False}], ids=str)
def test_every_row_is_answered_as_if_it_were_alone(model, options):
    expected = [alone(model, ids) for ids in prompts()]
    made = batched(model, prompts(), **options)
    assert [made[i].tokens for i in range(len(expected))] == expected


def test_rows_end_when_they_end(model):
    made = batched(model, prompts(rows=16))
    for row in made.values():
        ended = row.tokens[-1] == END
        assert row.finish_reason == ("stop" if ended else "length")
        assert END not in row.tokens[:-1]
        assert ended or len(row.tokens) == 20


def test_rows_leave_one_after_the_other(model):
    rooms = [3 + 4 * i for i in range(7)]
    assert in_one_batch(model, prompts(), rooms) == one_by_one(model, prompts(), rooms)


def test_a_row_that_filled_its_window_waits_for_the_others():
    model = built(MODELS["learnt positions"]())
    asked = [prompts(prefix=250, rows=1)[0], *prompts(prefix=5)]
    rooms = [256 - len(asked[0]), *[20] * 7]
    assert in_one_batch(model, asked, rooms) == one_by_one(model, asked, rooms)


@pytest.mark.parametrize("name", MODELS)
def test_a_prefix_stands_once_where_attention_looks_at_it(name):
    generator = Generator(built(MODELS[name]()), end_ids=frozenset({END}))
    generator.read_shared(rows_of(prompts()))
    assert generator.place == PLACES.get(name, "beside")


def test_models_are_not_told_of_another_attention(model):
    batched(model, prompts())
    assert model.config._attn_implementation == "sdpa"


RECURRENT = {
    "MambaForCausalLM": lambda: transformers.MambaConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, state_size=4
    ),
    "RwkvForCausalLM": lambda: transformers.RwkvConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, context_length=64
    ),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_a_model_that_keeps_no_keys_of_what_it_read_is_refused(name):
    with pytest.raises(SystemFailure, match=f"{name} .* keeps no keys and values") as caught:
        batched(built(RECURRENT[name]()), prompts())
    assert "OpenAI-compatible server" in caught.value.hint


def test_rows_wait_for_each_other_where_a_model_keeps_its_state_in_itself():
    config = transformers.RecurrentGemmaConfig(
        **{**SMALL, "num_attention_heads": 2, "num_hidden_layers": 3},
        lru_width=32,
        block_types=["recurrent", "recurrent", "attention"],
        attention_window_size=64,
        w_init_variance_scale=1.0,
    )
    model, rooms = built(config), [3 + 4 * i for i in range(7)]
    assert in_one_batch(model, prompts(), rooms) == one_by_one(model, prompts(), rooms)


def test_a_model_with_a_cache_of_its_own_is_refused():
    config = transformers.MiniMaxConfig(
        **SMALL, num_key_value_heads=2, head_dim=8, num_local_experts=2, block_size=8
    )
    with pytest.raises(SystemFailure, match=r"MiniMaxForCausalLM .* cache of its own"):
        batched(built(config), prompts())


def test_prompts_without_anything_in_common_are_answered_too(model):
    different = [ids[-1:] * 30 + ids[:n] for n, ids in enumerate(prompts())]
    made = batched(model, different)
    assert [made[i].tokens for i in range(len(different))] == [alone(model, x) for x in different]


def test_a_prompt_that_is_the_prefix_of_the_others_is_answered(model):
    nested = [prompts()[0][:30], prompts()[0][:30], prompts()[0]]
    made = batched(model, nested)
    assert [made[i].tokens for i in range(3)] == [alone(model, ids) for ids in nested]
