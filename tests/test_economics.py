"""Money, memory and hours: figures checked by hand and against published training runs."""

import numpy as np
import pytest

from harness.economics import GPUS, Model, Plan, assess, estimate, read_prices
from harness.economics.gpu import BYTES_A_GIB, EFFICIENCY, memory
from harness.errors import ConfigError

KNOWN = {
    "volume_per_month": 10_000,
    "horizon_months": 10,
    "cost_per_call_now": 0.02,
    "cost_per_call_tuned": 0.01,
    "value_per_pass": 0.1,
    "data_cost": 500,
    "training_cost": 100,
    "hosting_per_month": 50,
    "evaluation_cost": 20,
    "retrain_every_months": 4,
}
LLAMA_7B = Model(parameters=6.738e9, layers=32, hidden=4096, vocabulary=32_000)
LLAMA_65B = Model(parameters=65.2e9, layers=80, hidden=8192, vocabulary=32_000)


class TestNetValue:
    """Net = V H [(c_now - c_tuned) + v D] - (C_data + T C_train + H C_host + C_eval)."""

    def test_the_formula_by_hand(self):
        found = assess(KNOWN, np.full(100, 0.2))
        # 10 months x 10,000 calls x (.01 + .1 x .2) = 3,000; 500 + 3 x 100 + 10 x 50 + 20 = 1,320
        assert found.net_median == pytest.approx(3_000 - 1_320)
        assert found.probability_positive == 1
        assert found.break_even_volume == pytest.approx(1_320 / (10 * 0.03))

    def test_the_gains_doubt_is_the_moneys_doubt(self):
        found = assess(KNOWN, np.random.default_rng(1).normal(0.03, 0.05, 20_000))
        assert found.net_low < found.net_median < found.net_high
        # Positive where .01 + .1 D > 1,320 / 100,000, that is D > .032: just under half of the draws.
        assert found.probability_positive == pytest.approx(0.484, abs=0.02)

    def test_every_input_has_a_source(self):
        measured = KNOWN | {"cost_per_call_now": {"value": 0.02, "source": "measured"}}
        measured.pop("horizon_months")
        sources = {item.name: item.source for item in assess(measured, np.ones(3)).inputs}
        assert sources["cost_per_call_now"] == "measured"
        assert sources["data_cost"] == "given"
        assert sources["horizon_months"] == "default"

    def test_a_missing_price_is_missing_and_stands_in_the_formula(self):
        less = {k: v for k, v in KNOWN.items() if k not in ("training_cost", "value_per_pass")}
        found = assess(less, np.full(10, 0.2))
        assert not found.assessed
        assert found.missing == ("value_per_pass", "training_cost")
        assert found.net_median is None
        assert found.formula == (
            "calls a month = (500 + 3 x C_train + 10 x 50 + 20) / (10 x (0.02 - 0.01 + v x 0.200))"
        )

    def test_a_step_that_costs_more_each_call_never_breaks_even(self):
        dearer = KNOWN | {"cost_per_call_tuned": 0.2}
        found = assess(dearer, np.full(10, 0.1))
        assert found.break_even_volume is None
        assert found.probability_positive == 0

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("volume_per_month", -1),
            ("data_cost", "cheap"),
            ("horizon_months", 0),
            ("volme_per_month", 3),
            ("training_cost", float("nan")),
        ],
    )
    def test_what_cannot_be_is_refused(self, key, value):
        with pytest.raises(ConfigError) as caught:
            assess(KNOWN | {key: value})
        assert caught.value.key == f"economics.{key}"


class TestPrices:
    """A dated file, checked."""

    TEXT = (
        "date: 2026-11-20\ncurrency: EUR\n"
        "models: {hosted: {input_per_million: 2, output_per_million: 10}}\n"
        "gpus: {h100-80gb: 2.4}\nstep: {training_cost: 60}\n"
    )

    def test_a_call_costs_its_tokens(self, tmp_path):
        file = tmp_path / "prices.yaml"
        file.write_text(self.TEXT)
        prices = read_prices(file)
        assert prices.date == "2026-11-20"
        assert prices.cost_per_call("hosted", 1000, 100) == pytest.approx(0.003)
        assert prices.cost_per_call("another", 1000, 100) is None

    @pytest.mark.parametrize(
        ("old", "new", "key"),
        [
            ("date: 2026-11-20", "date: yesterday", "date"),
            ("currency: EUR", "currency:", "currency"),
            (
                "output_per_million: 10",
                "output_per_million: -1",
                "models.hosted.output_per_million",
            ),
            ("output_per_million", "output_per_milion", "models.hosted.output_per_milion"),
            ("training_cost: 60", "trainning_cost: 60", "step.trainning_cost"),
            ("h100-80gb: 2.4", "h100-80gb: a lot", "gpus.h100-80gb"),
            ("h100-80gb: 2.4", "h100-80gb: .inf", "gpus.h100-80gb"),
            ("h100-80gb: 2.4", "h100-80gb: .nan", "gpus.h100-80gb"),
            ("training_cost: 60", "value_per_pass: abc", "step.value_per_pass"),
            ("training_cost: 60", "value_per_pass: .inf", "step.value_per_pass"),
            ("training_cost: 60", "horizon_months: 0", "step.horizon_months"),
            ("training_cost: 60", "weeks: x", "step.weeks"),
            ("training_cost: 60", "skills: 3", "step.skills"),
        ],
    )
    def test_a_wrong_price_is_named(self, tmp_path, old, new, key):
        file = tmp_path / "prices.yaml"
        file.write_text(self.TEXT.replace(old, new))
        with pytest.raises(ConfigError) as caught:
            read_prices(file)
        assert (caught.value.file, caught.value.key) == (file, key)
        written = old.partition(":")[0]
        (line,) = (n for n, text in enumerate(self.TEXT.splitlines(), 1) if written in text)
        assert caught.value.line == line

    def test_a_price_given_twice_is_refused(self, tmp_path):
        file = tmp_path / "prices.yaml"
        file.write_text(self.TEXT + "currency: USD\n")
        with pytest.raises(ConfigError, match="already given on line 2"):
            read_prices(file)

    def test_a_folder_is_no_file_of_prices(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_prices(tmp_path)


class TestGpu:
    """Formulas against what was published."""

    # Parameters, tokens, hours and GPU as reported: Touvron et al. 2023 (Llama 2, table 2), BLOOM 2022.
    RUNS = (
        ("llama 2 7b", 6.74e9, 2.0e12, 184_320),
        ("llama 2 13b", 13.0e9, 2.0e12, 368_640),
        ("llama 2 34b", 34.0e9, 2.0e12, 1_038_336),
        ("llama 2 70b", 69.0e9, 2.0e12, 1_720_320),
        ("bloom 176b", 176.2e9, 366e9, 1_082_990),
    )

    @pytest.mark.parametrize(
        ("name", "parameters", "tokens", "hours"), RUNS, ids=[r[0] for r in RUNS]
    )
    def test_hours_are_within_half_of_published_runs(self, name, parameters, tokens, hours):
        model = Model.of_size(parameters)
        plan = Plan(
            tuning="full", context=1024, rows=round(tokens / 1024), epochs=1, checkpointing=False
        )
        found = estimate(model, plan, "a100-80gb", efficiency=EFFICIENCY)
        assert found.gpu_hours == pytest.approx(hours, rel=0.5), name
        assert found.hours * found.gpus == pytest.approx(found.gpu_hours)

    def test_states_of_full_tuning_are_sixteen_bytes_a_parameter(self):
        # Rajbhandari et al. 2020: a 1.5 billion parameter model needs at least 24 GB.
        need = memory(Model.of_size(1.5e9), Plan(tuning="full", context=512, rows=1))
        states = need.weights + need.gradients + need.optimizer
        assert states * BYTES_A_GIB == pytest.approx(24e9)

    def test_a_checkpoint_with_optimizer_has_the_published_size(self):
        # BLOOM: 2.3 TB with optimizer states.
        need = memory(Model.of_size(176.2e9), Plan(tuning="full", context=2048, rows=1))
        assert (need.weights + need.optimizer) / 1024 == pytest.approx(2.3, rel=0.05)

    def test_full_tuning_of_65_billion_needs_more_than_780_gb_and_4_bit_adapters_fit_into_48(self):
        # Dettmers et al. 2023, abstract.
        full = memory(LLAMA_65B, Plan(tuning="full", context=512, rows=1))
        adapters = memory(LLAMA_65B, Plan(tuning="qlora", context=512, rows=1, rank=16))
        assert full.total * BYTES_A_GIB > 780e9
        assert adapters.total * BYTES_A_GIB < 48e9

    def test_adapters_have_the_size_that_peft_counts(self):
        # Llama 2 7B, rank 16, all seven linear layers: 32 x 16 x (8 x 4096 + 3 x (4096 + 11008)).
        exact = 32 * 16 * (8 * 4096 + 3 * (4096 + 11_008))
        assert LLAMA_7B.adapter_parameters(16) == pytest.approx(exact, rel=0.01)

    def test_memory_grows_with_context_and_falls_with_checkpointing(self):
        def activations(**plan):
            return memory(LLAMA_7B, Plan(tuning="lora", rows=1, **plan)).activations

        assert activations(context=4096) > 1.9 * activations(context=2048)
        assert activations(context=2048, checkpointing=False) > 4 * activations(context=2048)

    def test_a_shape_guessed_from_the_size_is_near_the_real_one(self):
        guess = Model.of_size(6.738e9)
        assert guess.layers == pytest.approx(32, abs=3)
        assert guess.hidden == pytest.approx(4096, rel=0.1)

    def test_what_does_not_fit_on_one_gpu_is_split(self):
        plan = Plan(tuning="full", context=2048, rows=1000)
        assert estimate(LLAMA_7B, plan, "h200").gpus == 1
        assert estimate(LLAMA_7B, plan, "a100-80gb").gpus == 2
        assert estimate(LLAMA_7B, Plan(tuning="qlora", context=1024, rows=1), "t4").gpus == 1

    def test_money_is_hours_times_price(self):
        plan = Plan(tuning="lora", context=1024, rows=2000)
        found = estimate(LLAMA_7B, plan, "h100-80gb", price_an_hour=2.0)
        assert found.money == pytest.approx(2 * found.gpu_hours)
        assert estimate(LLAMA_7B, plan, "h100-80gb").money is None

    def test_an_unknown_gpu_is_named_with_the_nearest(self):
        with pytest.raises(ConfigError, match=r"Did you mean 'h100-80gb'\?"):
            estimate(LLAMA_7B, Plan(tuning="lora", context=512, rows=1), "h100-80")
        assert all(gpu.memory_gib > 0 for gpu in GPUS.values())

    def test_rows_too_long_for_any_number_of_gpus_are_refused(self):
        with pytest.raises(ConfigError, match="do not fit"):
            estimate(LLAMA_7B, Plan(tuning="lora", context=1_000_000, rows=1), "t4")
