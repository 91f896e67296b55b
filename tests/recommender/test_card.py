"""The model card: YAML for hubs, a page for people, silent about what it cannot know."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import ModelCard, upload_folder

from cllm4rec.config import PAPER, PAPER_SMALL, SETS, Config
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.recommender.card import model_card
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_config

RESULTS = {
    "part": "test",
    "rows": [
        {
            "model": "hybrid",
            "note": "untrained start",
            "metrics": {"recall@20": {"mean": 0.25, "low": 0.2, "high": 0.3}},
        },
        {"model": "ease", "metrics": {"recall@20": {"mean": 0.5, "low": 0.4, "high": 0.6}}},
    ],
}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    return toy_config(write_tiny_llama(tmp_path_factory.mktemp("backbone")))


@pytest.fixture(scope="module")
def planted_dataset(tmp_path_factory):
    from cllm4rec.data.dataset import Dataset
    from cllm4rec.data.sources.synthetic import write_planted_world

    folder = tmp_path_factory.mktemp("card")
    write_planted_world(folder / "source", users=60, items=40, genres=4)
    split = folder / "source" / "split.parquet"
    return Dataset.load(folder / "source", split=split, folder=folder / "data")


@pytest.fixture(scope="module")
def card(config, planted_dataset):
    """The card, with some of the backbone's settings changed."""

    def written(blend=None, results=None, by_length=None, **changes) -> str:
        given = config.changed(backbone=changes)
        return model_card(given, planted_dataset, blend=blend, by_length=by_length, results=results)

    return written


def test_a_hub_can_read_it(card):
    data = ModelCard(card(blend=0.4, results=RESULTS, name="smollm2-135m")).data
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data.license == "apache-2.0"
    assert data.library_name == "cllm4rec"
    assert "recommendation" in data.tags


def test_a_backbone_that_is_not_known_has_no_licence_and_no_path(card, config):
    page = card()
    data = ModelCard(page).data
    assert data.license is None
    assert data.base_model is None
    assert "licence is not known here" in page
    assert config.backbone.name not in page


def test_the_blend_weights_of_short_histories_are_said(card):
    page = card(blend=0.4, by_length=ByLength(((1, 0.1), (3, 0.4))))
    assert "blend weight, 0.4 (in short histories 0.1 after 1 item), was chosen" in page


def test_the_results_are_those_that_were_measured(card):
    page = card(blend=0.4, results=RESULTS)
    assert "| model | recall@20 |\n|---|---|\n" in page
    assert "| hybrid (untrained start) | 0.2500 (0.2000, 0.3000) |" in page
    assert "| ease | 0.5000 (0.4000, 0.6000) |" in page
    assert "its blend weight, 0.4, was chosen" in page
    assert "Not measured: `evaluate` was not run" in card()


def test_a_model_that_was_trained_on_everything_points_to_the_run_before(config, planted_dataset):
    codes = np.zeros_like(planted_dataset.part_codes)
    everything = replace(planted_dataset, part_codes=codes)
    page = model_card(config, everything, blend=None, results=None)
    assert "Not measured: no test part is held out of its data. If it was made by `refit`" in page


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("frozen", "weights are not in this folder"),
        ("lora", "adapters"),
        ("full", "Trained weights"),
    ],
)
def test_it_says_what_of_the_backbone_is_in_the_folder(card, mode, said):
    assert said in card(mode=mode)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (PAPER, "preset paper; backbone openai-community/gpt2, all layers, all weights pretrained"),
        (PAPER_SMALL.changed(seed=3), "preset paper-small; backbone SmolLM2-135M-Instruct"),
        (PAPER.changed(backbone={"depth": 2}), "preset paper with another backbone.depth; back"),
        (SETS.changed(finetune={"epochs": 3}), "preset sets with another finetune.epochs; back"),
    ],
)
def test_the_preset_is_named_and_what_is_not_its_own(planted_dataset, config, said):
    page = model_card(config, planted_dataset, blend=None, results=None)
    assert said in page


def test_gpt2_has_its_licence(planted_dataset):
    data = ModelCard(model_card(PAPER, planted_dataset, blend=None, results=None)).data
    assert (data.base_model, data.license) == ("openai-community/gpt2", "mit")


def test_the_data_are_counted_and_no_id_is_shown(card, planted_dataset):
    page, counts = card(), planted_dataset.summary()
    assert f"{counts['users']:,} users, {counts['items']:,} items" in page
    assert "Publish this folder only where you may" in page
    assert planted_dataset.users.id(3) not in page
    assert planted_dataset.items.id(3) not in page


def test_the_one_call_that_the_docs_show_exists():
    inspect.signature(upload_folder).bind(
        repo_id="you/recommender", folder_path="saved", repo_type="model"
    )
