"""The model card: YAML for hubs, a page for people, silent about what it cannot know."""

import inspect
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard, upload_folder

from cllm4rec import progress
from cllm4rec.assembly import Assembly
from cllm4rec.config import Config
from cllm4rec.recommender.card import model_card
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_config

RESULTS = {
    "part": "test",
    "rows": [
        {"model": "CLLM4Rec", "metrics": {"recall@20": {"mean": 0.25, "low": 0.2, "high": 0.3}}},
        {"model": "ease", "metrics": {"recall@20": {"mean": 0.5, "low": 0.4, "high": 0.6}}},
    ],
}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory, planted_dataset) -> Assembly:
    backbone = write_tiny_llama(tmp_path_factory.mktemp("backbone"))
    with progress.quiet():
        return Assembly.load(toy_config(backbone), planted_dataset)


@pytest.fixture(scope="module")
def planted_dataset(tmp_path_factory):
    from cllm4rec.data.dataset import Dataset
    from cllm4rec.data.sources.synthetic import write_planted_world

    folder = tmp_path_factory.mktemp("card")
    write_planted_world(folder / "source", users=60, items=40, genres=4)
    split = folder / "source" / "split.parquet"
    return Dataset.load(folder / "source", split=split, folder=folder / "data")


def with_backbone(assembly: Assembly, **changes) -> Assembly:
    values = assembly.config.model_dump()
    values["backbone"] |= changes
    return replace(assembly, config=Config.model_validate(values))


def test_a_hub_can_read_it(assembly):
    known = with_backbone(assembly, name="smollm2-135m")
    data = ModelCard(model_card(known, blend=0.4, results=RESULTS)).data
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data.license == "apache-2.0"
    assert data.library_name == "cllm4rec"
    assert "recommendation" in data.tags


def test_a_backbone_that_is_not_known_has_no_licence_and_no_path(assembly):
    card = model_card(assembly, blend=None, results=None)
    data = ModelCard(card).data
    assert data.license is None
    assert data.base_model is None
    assert "licence is not known here" in card
    assert assembly.config.backbone.name not in card


def test_the_results_are_those_that_were_measured(assembly):
    card = model_card(assembly, blend=0.4, results=RESULTS)
    assert "| model | recall@20 |\n|---|---|\n" in card
    assert "| CLLM4Rec | 0.2500 (0.2000, 0.3000) |" in card
    assert "| ease | 0.5000 (0.4000, 0.6000) |" in card
    assert "whose share, 0.4, was chosen" in card
    assert "Not measured" in model_card(assembly, blend=None, results=None)


@pytest.mark.parametrize(
    ("mode", "said"),
    [("frozen", "They are not in this folder"), ("lora", "adapters"), ("full", "trained versions")],
)
def test_it_says_what_of_the_backbone_is_in_the_folder(assembly, mode, said):
    card = model_card(with_backbone(assembly, mode=mode), blend=None, results=None)
    assert said in card


def test_the_data_are_counted_and_no_id_is_shown(assembly):
    card = model_card(assembly, blend=None, results=None)
    counts = assembly.dataset.summary()
    assert f"{counts['users']:,} users, {counts['items']:,} items" in card
    assert "Publish this folder only where you may" in card
    assert assembly.dataset.users.id(3) not in card
    assert assembly.dataset.items.id(3) not in card


def test_the_one_call_that_the_docs_show_exists():
    inspect.signature(upload_folder).bind(
        repo_id="you/recommender", folder_path="saved", repo_type="model"
    )
