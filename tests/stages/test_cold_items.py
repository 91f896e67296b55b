"""New items: no training interaction, so their tokens start where their texts put them."""

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.toy_run import toy_config


@pytest.mark.parametrize("words", ["none", "both-ways"])
def test_cold_items_take_their_content_embedding_and_can_be_recommended(
    trained, backbone, tmp_path, words
):
    given = "finetune.epochs=1", "evaluate.baselines=[]", f"corpus.words={words}"
    config = toy_config(backbone, *given)
    run = RunDir(tmp_path / "run")
    with progress.quiet():
        prepare(trained.source, run, split=None, protocol="new-items", config=config)
        train(run, config)
        rows = evaluate(run)["rows"]
    dataset = Dataset.open(run.file("data"))
    cold = torch.from_numpy(dataset.part("train").item_counts() == 0)
    assert cold.any()
    model = load_file(run.file("model", "model.safetensors"))["embedding.items.weight"]
    content = load_file(run.file("pretrained", "content.safetensors"))["items"]
    assert torch.equal(model[cold], content[cold])
    assert not torch.equal(model[~cold], content[~cold])
    assert rows[0]["metrics"]["recall@20"]["mean"] > 0
