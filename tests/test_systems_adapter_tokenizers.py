"""An adapter is asked with the tokenizer and the chat template that stand beside it."""

import shutil
import warnings

import pytest
from systems_models import chat_model

from harness.types import ModelSpec, SystemSpec
from systems.backend import BackendSpec, Decoding, Request
from systems.local import LocalBackend

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

TEMPLATE = "{% for m in messages %}Trained so: {{ m.content }}{% endfor %}"
HELLO = [Request(messages=[{"role": "user", "content": "Hello"}])]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """Adapters as TRL saves them: alone, with a tokenizer, with one that has tokens more."""
    folder = tmp_path_factory.mktemp("adapters")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    for name, added in (("same", []), ("longer", ["<|tool|>"])):
        model = transformers.AutoModelForCausalLM.from_pretrained(chat_model())
        tokenizer = transformers.AutoTokenizer.from_pretrained(chat_model())
        tokenizer.chat_template = TEMPLATE
        tokenizer.add_tokens(added, special_tokens=True)
        if added:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with warnings.catch_warnings():
            # PEFT uses names that Transformers has renamed, and tells that it saves embeddings.
            warnings.simplefilter("ignore")
            peft.get_peft_model(model, config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture
def backend(adapters, tmp_path):
    shutil.copytree(adapters, tmp_path / "adapters")

    def build(adapter, **options):
        spec = SystemSpec(
            name="s",
            kind="fine_tuned",
            rung="fine_tuned",
            folder=tmp_path,
            model=ModelSpec(name="base", kind="transformers", source=chat_model(), options=options),
            options={"adapter": f"adapters/{adapter}"},
        )
        return LocalBackend(BackendSpec.of(spec))

    return build


@pytest.mark.parametrize("options", [{}, {"tokenizer": chat_model()}], ids=["", "named"])
def test_its_chat_template_makes_the_prompt(backend, options):
    ((_, answered),) = backend("same", **options).complete(HELLO, Decoding(max_tokens=2))
    assert answered.error is None
    assert answered.prompt == "Trained so: Hello"


def test_a_chat_template_without_a_tokenizer_is_read_with_the_base_models(backend, tmp_path):
    for file in (tmp_path / "adapters/same").glob("tokenizer*"):
        file.unlink()
    assert (tmp_path / "adapters/same/chat_template.jinja").is_file()
    assert backend("same").encode(HELLO[0])[0] == "Trained so: Hello"


def test_without_either_the_base_models_are_used(backend, tmp_path):
    for name in ("tokenizer*", "chat_template*"):
        for file in (tmp_path / "adapters/same").glob(name):
            file.unlink()
    base = transformers.AutoTokenizer.from_pretrained(chat_model())
    prompt = base.apply_chat_template(
        list(HELLO[0].messages), tokenize=False, add_generation_prompt=True
    )
    assert backend("same").encode(HELLO[0])[0] == prompt


def test_tokens_that_were_added_for_it_have_their_rows(backend):
    longer = backend("longer")
    rows = len(longer.model.get_input_embeddings().weight)
    assert rows == len(longer.tokenizer) == len(backend("same").tokenizer) + 1
