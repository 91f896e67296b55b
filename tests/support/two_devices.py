"""The same runs on the processor and on another device: python two_devices.py FOLDER DEVICE.

Prints one JSON object: variant → place → what came out. A process of its own, since a pretended
device cannot be taken out of torch again.
"""

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support import doors, pretend_device
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama
from support.toy_run import toy_config

SMALL = ["pretrain.batch_tokens=1024", "finetune.batch_tokens=1024"]
"""A small world has as many steps with small batches."""

VARIANTS = {
    "sets": ["finetune.average=2.0"],
    "paper": [
        "model.linear=false",
        "model.projection=false",
        "model.history_skip=false",
        "model.bias=false",
        "model.candidates=all",
        "model.regulariser=sum",
        "pretrain.batch_documents=16",
        "finetune.content_steps=true",
        "finetune.holdout_draw=exact",
    ],
    "sequences": [
        "backbone.depth=1",  # an export takes as long as there are layers
        "corpus.order=time",
        "finetune.target=next",
        "backbone.mode=full",
        "finetune.user_token_dropout=1.0",
    ],
}


class Stopping(RunDir):
    """A run that is interrupted in the second epoch of finetuning, once."""

    stopped = False

    def log_metrics(self, **row: Any) -> None:
        if not self.stopped and row["stage"] == "finetune" and row.get("pass") == 1:
            self.stopped = True
            raise KeyboardInterrupt
        super().log_metrics(**row)


def outcome(source: Path, run: RunDir, config: Config, device: str) -> dict[str, Any]:
    """Losses of every step, validation, test measures, and where those were computed."""
    config = config.model_copy(update={"device": device})
    prepare(source, run, split=source / "split.parquet", protocol="paper", config=config)
    try:
        train(run, config)
    except KeyboardInterrupt:
        train(run, config)
    loaded: list[Recommender] = []
    load = Recommender.load
    with patch.object(
        Recommender,
        "load",
        lambda *given, **options: loaded.append(load(*given, **options)) or loaded[-1],
    ):
        results = evaluate(run)
    return {
        "losses": [row["loss"] for row in run.metrics() if "loss" in row],
        "valid": run.info("finetune")["valid"],
        "test": {name: value["mean"] for name, value in results["rows"][0]["metrics"].items()},
        "evaluated on": [one.scorer.model.device.type for one in loaded],
    }


def main(folder: Path, device: str) -> None:
    """Every variant on both; the first is also interrupted on the device.

    ``doors``: what each door answers for the run that was trained on the device, on either.
    """
    if device == pretend_device.NAME:
        pretend_device.install()
    source = folder / "source"
    write_planted_world(source, users=50, items=40, genres=4)
    gpt2 = write_tiny_gpt2(folder / "gpt2", layers=2)
    llama = write_tiny_llama(folder / "llama", layers=2)
    found: dict[str, dict[str, Any]] = {}
    with progress.quiet():
        for name, given in VARIANTS.items():
            backbone = gpt2 if name == "paper" else llama
            config = toy_config(backbone, "evaluate.baselines=['popularity']", *SMALL, *given)
            runs = {"cpu": RunDir(folder / f"{name}-cpu"), device: RunDir(folder / name)}
            found[name] = {
                place: outcome(source, run, config, place) for place, run in runs.items()
            }
            on_device, onnx = runs[device], folder if name == "sequences" else None
            found[name]["doors"] = {
                "cpu": doors.answers(on_device, "cpu"),
                device: doors.answers(on_device, None, onnx=onnx),
            }
            if name == "sets":
                found[name]["served"] = doors.served(on_device, folder / "feedback")
                stopping = Stopping(folder / "stopping")
                found[name]["interrupted"] = outcome(source, stopping, config, device)
                assert stopping.stopped
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
