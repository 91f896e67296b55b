"""The authors' training path beside ours: the same documents, backbone and losses, in turns.

    python benchmarks/authors.py [--data NAME | DIR] [--batches 3] [--set KEY=VALUE] [--json]

Both take a GPT-2 of 12 layers and 768 numbers with random weights, frozen, and no skip, projection
or prior: the paper's model. Theirs is `tests/reference/authors_training.py`, ours what
``--config paper`` trains. First the losses of both must agree on the same weights, ours in float32;
then each stage's documents are trained on by either in turns, so that noise hits both alike.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Model

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from cllm4rec import progress  # noqa: E402
from cllm4rec.assembly import Assembly  # noqa: E402
from cllm4rec.bench.speed.machine import describe  # noqa: E402
from cllm4rec.cli import tables  # noqa: E402
from cllm4rec.config import load_config  # noqa: E402
from cllm4rec.corpora.collaborative import CollaborativeCorpus  # noqa: E402
from cllm4rec.corpora.content import build_content_corpus  # noqa: E402
from cllm4rec.corpora.recommendation import RecommendationCorpus  # noqa: E402
from cllm4rec.data.dataset import Dataset  # noqa: E402
from cllm4rec.data.sources import SOURCES  # noqa: E402
from cllm4rec.models.backbone import quiet_transformers  # noqa: E402
from cllm4rec.models.pretrained import find_backbone  # noqa: E402
from cllm4rec.tokens.tokenizer import WordTokenizer  # noqa: E402
from cllm4rec.training.language import LanguageObjective  # noqa: E402
from cllm4rec.training.loop import Pass, optimiser_step  # noqa: E402
from cllm4rec.training.optim import adam  # noqa: E402
from cllm4rec.training.randomness import seeded  # noqa: E402
from cllm4rec.training.recommendation import FinetuneObjective  # noqa: E402
from cllm4rec.training.stream import stream  # noqa: E402
from reference import authors_training as theirs  # noqa: E402

STAGES = ("content", "collaborative", "finetune")
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}
"""Largest relative distance of our loss from theirs, by our arithmetic."""
NAMES = ("ours", "authors", "joint")
"""``joint``: the authors' path with logits over words, users and items at every position."""


WORDS = 49152
"""Of the default backbone's tokenizer."""


def write_gpt2(folder: Path, layers: int, width: int) -> Path:
    """A GPT-2 of random weights with the default backbone's words."""
    folder.mkdir()
    tokenizer = find_backbone("smollm2-135m") / "tokenizer.json"
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    WordTokenizer.from_folder(folder, WORDS)
    theirs.random_gpt2(WORDS, layers, width).save_pretrained(folder)
    return folder


class Ours:
    """The paper's stages as the package trains them."""

    def __init__(
        self, dataset: Dataset, backbone: Path, scratch: Path, given: Sequence[str]
    ) -> None:
        config = load_config("paper", [f'backbone.name="{backbone}"', *given])
        self.assembly = assembly = Assembly.load(config, dataset)
        start = assembly.warm_start()
        self.tables = start.collaborative, start.content
        train, space, prompts = dataset.part("train"), assembly.space, assembly.prompts
        common = train, space, prompts, config.corpus, config.seed
        content = build_content_corpus(
            dataset.texts, space, assembly.tokenizer, prompts, config.corpus, scratch / "corpus"
        )
        collaborative = assembly.collaborative_llm(start)
        rec = assembly.rec_llm(start.collaborative)
        # Theirs ranks items without a training interaction too.
        collaborative.cold.zero_()
        rec.cold.zero_()
        language = {"batch_tokens": config.pretrain.batch_tokens, "seed": config.seed}
        weight = config.pretrain.mutual_weight
        self.objectives: dict[str, Any] = {
            "content": LanguageObjective(
                assembly.content_llm(start.content, content.vocabulary()),
                content,
                start.collaborative,
                mutual_weight=weight,
                **language,
            ),
            "collaborative": LanguageObjective(
                collaborative,
                CollaborativeCorpus(*common),
                start.content,
                mutual_weight=weight,
                **language,
            ),
            "finetune": FinetuneObjective(
                rec,
                RecommendationCorpus(*common, holdout=config.finetune.holdout),
                start.content,
                mutual_weight=config.finetune.mutual_weight,
                batch_users=config.finetune.batch_users,
                batch_tokens=config.finetune.batch_tokens,
                seed=config.seed,
            ),
        }
        self.optimizers = {
            name: adam(one.parameters(), learning_rate=1e-4, maps_rate=1.0, weight_decay=0.0)
            for name, one in self.objectives.items()
        }

    def loss(self, stage: str, drawn: Any) -> float:
        """The objective of some documents."""
        objective = self.objectives[stage]
        batches = objective.batches(drawn)
        total = 0.0
        with torch.no_grad():
            counts = [objective.counts(batch) for batch in batches]
            for batch in batches:
                for name, loss in objective.losses(batch).items():
                    count = max(sum(one[name] for one in counts), 1)
                    total += objective.weights[name] * float(loss.total) / count
        return total

    def train(self, stage: str, part: Pass) -> None:
        """A pass over some documents, as the training loop makes it."""
        objective = self.objectives[stage]
        for number, step in enumerate(objective.steps(part)):
            with seeded(0, stage, number):
                optimiser_step(objective, self.optimizers[stage], step)


class Theirs:
    """The same stages by the authors' path."""

    def __init__(self, ours: Ours, backbone: Path, *, joint: bool) -> None:
        with quiet_transformers():
            gpt2 = GPT2Model.from_pretrained(backbone, attn_implementation="eager")
        users = ours.assembly.space.num_users
        self.collaborative, self.content = (
            theirs.AuthorsModel(gpt2, table[:users], table[users:], joint=joint)
            for table in ours.tables
        )
        self.ours = ours
        self.optimizers = {
            "content": theirs.adam(self.content, 1e-4),
            "collaborative": theirs.adam(self.collaborative, 1e-4),
            "finetune": theirs.adam(self.collaborative, 1e-4),
        }

    def documents(self, stage: str, drawn: Any) -> list[Any]:
        """What was drawn, written out; examples have held-out items too."""
        corpus = self.ours.objectives[stage].corpus
        one = corpus.example if stage == "finetune" else corpus.document
        return [one(d.index, d.epoch) for d in drawn]

    def loss(self, stage: str, documents: list[Any]) -> torch.Tensor:
        """The objective of some documents."""
        weight = self.ours.objectives[stage].weights["mutual"]
        if stage == "finetune":
            return theirs.finetuning_loss(
                self.collaborative,
                [example.document for example in documents],
                [example.holdout for example in documents],
                self.content,
                weight,
            )
        if stage == "content":
            return theirs.language_loss(
                self.content, documents, "words", self.collaborative, weight
            )
        return theirs.language_loss(self.collaborative, documents, "items", self.content, weight)

    def train(self, stage: str, documents: list[Any]) -> None:
        """One step, as theirs are: in training mode, with GPT-2's dropout."""
        self.collaborative.train()
        self.content.train()
        theirs.step(self.optimizers[stage], lambda: self.loss(stage, documents))


def compare(
    dataset: Dataset, backbone: Path, scratch: Path, *, batches: int, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Check the losses, then time both in turns.

    Args:
        dataset: prepared data.
        backbone: folder of a GPT-2.
        scratch: an empty folder.
        batches: of the authors' 20 documents.
        overrides: settings on top of ``paper``'s.
    """
    size = theirs.BATCH * batches
    exact = Ours(dataset, backbone, scratch, [*overrides, "backbone.dtype=float32"])
    ours = Ours(dataset, backbone, scratch, overrides)
    paths = {joint: Theirs(ours, backbone, joint=joint) for joint in (False, True)}
    drawn = {stage: _drawn(ours, stage, size) for stage in STAGES}
    rows = [_checked(stage, drawn[stage], exact, ours, paths) for stage in STAGES]
    del exact
    _time(rows, drawn, ours, paths, batches)
    return {
        "documents": size,
        "machine": describe(),
        "rows": rows,
        "failed": [row["stage"] for row in rows if row["check"] == "WRONG"],
    }


def _drawn(ours: Ours, stage: str, size: int) -> list[Any]:
    """The first documents of an epoch in the order in which they come, as a loader gives them."""
    objective = ours.objectives[stage]
    return stream(len(objective.corpus), Pass(stage, 0, size), objective.seed)


def _checked(
    stage: str, drawn: list[Any], exact: Ours, ours: Ours, paths: dict[bool, Theirs]
) -> dict[str, Any]:
    few = drawn[:: max(1, len(drawn) // 6)][:6]
    errors = {}
    for joint, path in paths.items():
        path.collaborative.eval()
        path.content.eval()
        with torch.no_grad():
            expected = float(path.loss(stage, path.documents(stage, few)))
        for kind, one in (("float32", exact), ("bfloat16", ours)):
            error = abs(one.loss(stage, few) - expected) / abs(expected)
            errors[f"{kind}{' joint' if joint else ''}"] = error
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE[name.split()[0]]]
    return {"stage": stage, "check": "WRONG" if wrong else "equal", "errors": errors}


def _time(
    rows: list[dict[str, Any]],
    drawn: dict[str, list[Any]],
    ours: Ours,
    paths: dict[bool, Theirs],
    batches: int,
) -> None:
    seconds: dict[tuple[str, str], list[list[float]]] = {}
    with progress.task("Comparing", total=len(STAGES) * (2 + 3 * batches), unit="run") as task:
        for stage in STAGES:
            size = len(drawn[stage])
            ours.train(stage, Pass(stage, 0, min(size, theirs.BATCH)))
            task.advance()
            for path in paths.values():
                path.train(stage, path.documents(stage, drawn[stage][:2]))
            task.advance()
        for number in range(batches):
            for stage in STAGES:
                size = len(drawn[stage])
                begun = _now()
                ours.train(stage, Pass(stage, 0, size))
                _note(seconds, stage, "ours", begun, size)
                task.advance()
                some = drawn[stage][number * theirs.BATCH : (number + 1) * theirs.BATCH]
                for joint, path in paths.items():
                    documents = path.documents(stage, some)
                    begun = _now()
                    path.train(stage, documents)
                    _note(seconds, stage, NAMES[1 + joint], begun, len(some))
                    task.advance()
    for row in rows:
        means = {
            name: [statistics.mean(kind) for kind in zip(*seconds[row["stage"], name], strict=True)]
            for name in NAMES
        }
        for name in NAMES:
            row[f"{name}_users_per_s"] = 1 / means[name][0]
        for name in NAMES[1:]:
            row[f"times_{name}"] = means[name][0] / means["ours"][0]
            # What other programs take from the machine is not in it.
            row[f"processor_times_{name}"] = means[name][1] / means["ours"][1]


def _now() -> tuple[float, float]:
    """Wall clock and processor time, in seconds."""
    return time.perf_counter(), time.process_time()


def _note(
    seconds: dict[tuple[str, str], list[list[float]]],
    stage: str,
    name: str,
    begun: tuple[float, float],
    size: int,
) -> None:
    """Both times since then, per document."""
    spent = [(now - then) / size for now, then in zip(_now(), begun, strict=True)]
    seconds.setdefault((stage, name), []).append(spent)


def show(result: dict[str, Any]) -> None:
    """The result as tables."""
    rows = result["rows"]
    speed = [
        {
            "stage": row["stage"],
            **{f"{name}, users/s": row[f"{name}_users_per_s"] for name in NAMES},
            **{f"times {name}": row[f"times_{name}"] for name in NAMES[1:]},
            **{f"processor times {n}": row[f"processor_times_{n}"] for n in NAMES[1:]},
        }
        for row in rows
    ]
    errors = [{"stage": row["stage"], **row["errors"], "check": row["check"]} for row in rows]
    facts = {name: value for name, value in result.items() if name not in ("rows", "failed")}
    tables.show({**facts, "speed": speed, "distance of the losses": errors})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="movielens-100k", metavar="NAME|DIR")
    parser.add_argument("--split", type=Path, metavar="FILE")
    parser.add_argument("--batches", type=int, default=3, metavar="N", help="theirs, of 20")
    parser.add_argument("--layers", type=int, default=12, metavar="N")
    parser.add_argument("--width", type=int, default=768, metavar="N")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cllm4rec-authors-") as name:
        folder = Path(name)
        source = Path(arguments.data)
        if arguments.data in SOURCES:
            source = folder / "source"
            source.mkdir()
            SOURCES[arguments.data](source)
        dataset = Dataset.load(source, split=arguments.split, folder=folder / "data")
        backbone = write_gpt2(folder / "gpt2", arguments.layers, arguments.width)
        result = compare(
            dataset, backbone, folder, batches=arguments.batches, overrides=arguments.set
        )
    if arguments.json:
        print(json.dumps(result))
    else:
        show(result)
    sys.exit(bool(result["failed"]))


if __name__ == "__main__":
    main()
