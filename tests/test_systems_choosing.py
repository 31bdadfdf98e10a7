"""Multiple choice by likelihood: what a batch says equals one forward pass for each option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from sample_project import SampleProject  # noqa: E402

from harness.errors import SystemFailure  # noqa: E402
from harness.layouts import (  # noqa: E402
    read_arc,
    read_hellaswag,
    read_mmlu,
    read_truthfulqa,
    write_cases,
)
from harness.metrics import option_loglikelihoods, true_option_mass  # noqa: E402
from harness.types import Case, ModelSpec, Output, Step, SystemSpec  # noqa: E402
from systems import load  # noqa: E402
from systems.generation import Generator  # noqa: E402
from systems.option_scores import loglikelihoods  # noqa: E402
from systems.sampling import Row  # noqa: E402

BASE = Path(__file__).parent.parent / "fixtures" / "base-model"
SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "max_position_embeddings": 256, "initializer_range": 0.3,
}  # fmt: skip
MODELS = {
    "grouped queries": lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=2),
    "sliding window": lambda: transformers.MistralConfig(
        **SMALL, num_key_value_heads=2, sliding_window=16
    ),
    "learnt positions": lambda: transformers.GPT2Config(
        vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=256
    ),
    "repeated keys": lambda: transformers.JetMoeConfig(
        **SMALL, num_key_value_heads=2, kv_channels=8, num_local_experts=2
    ),
    "recurrent layers between": lambda: transformers.JambaConfig(
        **SMALL, num_key_value_heads=2, num_experts=2, attn_layer_period=2, attn_layer_offset=1,
        expert_layer_period=2, mamba_d_state=4, mamba_dt_rank=4, use_mamba_kernels=False,
        pad_token_id=0,
    ),
}  # fmt: skip


def alone(model, prompt, option):
    """One option after its prompt, by one plain forward pass."""
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + option])).logits[0].float()
    said = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return float(said.gather(-1, torch.tensor(option)[:, None]).sum())


def ids(generator, count):
    return torch.randint(2, 97, (count,), generator=generator).tolist()


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"share_prefix": False}], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_equals_one_forward_pass_an_option(name, options):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(MODELS[name]()).float().eval()
    drawn = torch.Generator().manual_seed(1)
    shared = ids(drawn, 40)
    prompts = [shared + ids(drawn, n % 4 + 1) for n in range(5)]
    choices = [[ids(drawn, (n + k) % 4 + 1) for k in range(3 + n % 2)] for n in range(5)]
    expected = [
        [alone(model, prompt, option) for option in own]
        for prompt, own in zip(prompts, choices, strict=True)
    ]
    generator = Generator(model, end_ids=frozenset(), **options)
    rows = [
        Row(index=i, prompt=prompt, generator=None, room=4, tokens=[])
        for i, prompt in enumerate(prompts)
    ]
    found = {row.index: values for row, values in loglikelihoods(generator, rows, choices)}
    for i, values in enumerate(expected):
        assert found[i] == pytest.approx(values, abs=2e-4)


def test_a_model_that_keeps_its_state_in_itself_is_refused():
    config = transformers.RecurrentGemmaConfig(
        **{**SMALL, "num_attention_heads": 2}, lru_width=32, attention_window_size=64,
        block_types=["recurrent", "recurrent", "attention"],
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    generator = Generator(model, end_ids=frozenset())
    row = Row(index=0, prompt=[5, 6, 7], generator=None, room=4, tokens=[])
    with pytest.raises(SystemFailure, match=r"RecurrentGemmaForCausalLM .* outside of its cache"):
        list(loglikelihoods(generator, [row], [[[8, 9], [10, 11]]]))


@pytest.mark.skipif(not (BASE / "model.safetensors").is_file(), reason="no embedded model here")
class TestOnTheEmbeddedModel:
    def spec(self, **choice) -> SystemSpec:
        return SystemSpec(
            name="choosing", kind="prompt", rung="prompt", folder=BASE.parent,
            model=ModelSpec(name="base", kind="transformers", source="./base-model"),
            options={"choice": choice},
        )  # fmt: skip

    def cases(self, count: int = 6) -> list[Case]:
        towns = ["Linz", "Oslo", "a much longer name of a town", "Rome"]
        return [
            Case(
                id=f"c{n}",
                input=f"Which town is number {n}?\n" + "\n".join(towns[: n % 3 + 2]),
                metadata={"options": dict(zip("ABCD", towns[: n % 3 + 2], strict=False))},
            )
            for n in range(count)
        ]

    @pytest.mark.parametrize("choice", [{"continue_with": "text", "before": " "}, {}], ids=str)
    def test_likelihoods_equal_plain_transformers(self, choice):
        system = load(self.spec(**choice))
        outputs = {o.case_id: o for o in system.generate(self.cases(), epoch=0)}
        tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
        model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype="float32").eval()
        for case in self.cases():
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": case.input}],
                tokenize=True, add_generation_prompt=True, return_dict=False,
            )  # fmt: skip
            expected = {}
            for label, text in case.metadata["options"].items():
                said = " " + text if choice else label
                option = tokenizer(said, add_special_tokens=False)["input_ids"]
                expected[label] = alone(model, list(prompt), option)
            output = outputs[case.id]
            assert output.error is None
            assert option_loglikelihoods(output) == pytest.approx(expected, abs=1e-3)
            assert output.text == max(expected, key=lambda label: expected[label])

    def test_length_is_taken_out_where_asked(self):
        (output,) = load(self.spec(continue_with="text", per_character=True)).generate(
            self.cases(3)[2:], epoch=0
        )
        texts = self.cases(3)[2].metadata["options"]
        shares = {k: v / len(texts[k]) for k, v in option_loglikelihoods(output).items()}
        assert output.text == max(shares, key=lambda label: shares[label])

    def test_a_case_without_options_or_too_long_is_an_error_and_the_others_count(self):
        odd = [
            Case(id="none", input="?"),
            Case(id="empty", input="?", metadata={"options": {"A": ""}}),
            Case(id="long", input="word " * 5000, metadata={"options": {"A": "a", "B": "b"}}),
        ]
        system = load(self.spec(continue_with="text"))
        found = {o.case_id: o for o in system.generate([*odd, *self.cases(1)], epoch=0)}
        assert "metadata.options" in found["none"].error
        assert "empty" in found["empty"].error
        assert "window" in found["long"].error
        assert found["c0"].error is None

    def test_public_layouts_are_chosen_and_written_in_one_suite(self, project: SampleProject):
        layouts = {
            "arc.jsonl": '{"id": "a1", "question": "Ice is", "choices": '
            '{"label": ["A", "B"], "text": ["cold", "hot"]}, "answerKey": "A"}\n',
            "hellaswag.jsonl": '{"ind": 1, "ctx": "He opens the door and", "label": 0, '
            '"endings": ["walks in.", "eats it.", "sings.", "sleeps."]}\n',
            "mmlu.csv": "1 + 1 =,1,2,3,4,B\n",
            "truthful.jsonl": json.dumps(
                {"question": "Do birds fly?",
                 "mc2_targets": {"choices": ["Some", "Yes", "Never"], "labels": [1, 1, 0]}}
            ) + "\n",
        }  # fmt: skip
        for name, text in layouts.items():
            project.write(f"data/{name}", text)
        data = project.folder / "data"
        cases = [
            *read_arc(data / "arc.jsonl"), *read_hellaswag(data / "hellaswag.jsonl"),
            *read_mmlu(data / "mmlu.csv"), *read_truthfulqa(data / "truthful.jsonl", task="mc2"),
        ]  # fmt: skip
        (project.evals).mkdir(exist_ok=True)
        write_cases(project.evals / "exam.jsonl", cases)
        project.write(
            "evals/rung.yaml",
            f"models: {{base: {{transformers: {BASE}}}}}\n"
            "systems:\n"
            "  by-letter: {kind: prompt, model: base, choice: {}}\n"
            "  by-text: {kind: prompt, model: base, prompt: ask.j2, choice: {continue_with: text,"
            " before: ' ', per_character: true}}\n"
            "  written: {kind: prompt, model: base, decoding: {max_tokens: 4}}\n",
        )
        project.write("evals/ask.j2", "{{ case.metadata.question }}")
        project.write(
            "evals/test_exam.py",
            "import pytest\nfrom harness.assertions import chooses\n"
            "pytestmark = pytest.mark.suite(cases='exam.jsonl',"
            " systems=['by-letter', 'by-text', 'written'])\n\n"
            "def test_is_right(case, output):\n"
            "    chooses(output.text, case.expected_output, case.metadata['options'])\n",
        )
        result = project.run()
        assert result.ret == 0
        states = {r["system"]: [] for r in project.table("scores")}
        for row in project.table("scores"):
            states[row["system"]].append(row["state"])
        assert set(states) == {"by-letter", "by-text", "written"}
        assert all(state in ("passed", "missed") for said in states.values() for state in said)
        rows = {(r["system"], r["case"]): r for r in project.table("outputs")}
        steps = json.loads(rows["by-text", "hellaswag-1"]["steps"])
        assert [step["name"] for step in steps] == [f"option {letter}" for letter in "ABCD"]
        assert rows["written", "hellaswag-1"]["steps"] is None


class TestWhatCannotBeChosen:
    def test_a_server_tells_no_likelihoods(self, project: SampleProject):
        project.suite("def test_x(output): pass\n", systems={"a": {"c0": "x"}})
        project.write(
            "evals/rung.yaml",
            "models: {far: {openai: some-model, base_url: 'http://127.0.0.1:9/v1'}}\n"
            "systems:\n  a: {kind: prompt, model: far, choice: {}}\n",
        )
        result = project.run()
        assert result.ret == 4
        result.stderr.fnmatch_lines(["*choice*'far' is on a server*", "*Leave `choice` out*"])

    @pytest.mark.parametrize("other", ["answer: {after: x}", "json_schema: {type: object}"])
    def test_nothing_that_is_written_goes_with_it(self, project: SampleProject, other):
        project.suite("def test_x(output): pass\n", systems={"a": {"c0": "x"}})
        project.write(
            "evals/rung.yaml",
            f"models: {{base: {{transformers: {BASE}}}}}\n"
            f"systems:\n  a: {{kind: prompt, model: base, choice: {{}}, {other}}}\n",
        )
        result = project.run()
        assert result.ret == 4
        result.stderr.fnmatch_lines(["*options are scored, not written*"])


@given(st.dictionaries(st.text(max_size=4), st.floats(-50, 0), min_size=1, max_size=6))
@settings(max_examples=40)
def test_what_an_output_keeps_is_read_back(values):
    steps = tuple(Step(name=f"option {k}", text=repr(v)) for k, v in values.items())
    output = Output(case_id="c", epoch=0, text="A", steps=steps)
    assert option_loglikelihoods(output) == values
    mass = true_option_mass(list(option_loglikelihoods(output).values()), range(len(values)))
    assert mass == pytest.approx(1.0)
