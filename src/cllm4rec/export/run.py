"""export: everything another program needs of a run, in one folder with its hashes."""

import shutil
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.export.index import load_faiss, write_exact, write_inverted
from cllm4rec.export.int8 import write_int8
from cllm4rec.export.onnx_model import write_onnx
from cllm4rec.export.page import page
from cllm4rec.export.vectors import overlap_with_blend, sample_of, vectors_of, write_vectors
from cllm4rec.ranking import list_length
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import (
    RunDir,
    atomic_folder,
    clear_leftovers,
    read_json,
    refuse_inside_run,
    sha256_files,
    write_json,
)
from cllm4rec.tasks import Task

FORMAT = 1
"""Number of the export's format."""
KIND = "cllm4rec export"
EXAMPLE = Path(__file__).with_name("serve_without_torch.py")


def export_run(
    run: RunDir, to: Path, *, k: int = 100, onnx: bool = True, int8: bool = False
) -> dict[str, Any]:
    """Write vectors, ids, faiss indexes, the ONNX model, an example and a manifest.

    Exports score as the language model only. If the run blends a linear model, the manifest and
    the README say so, and how much of the run's own lists remains.

    Args:
        run: a finetuned run, or a folder written by ``CLLM4Rec.save``.
        to: folder to write, as a whole; an older export there is replaced.
        k: length of the lists on which recall and overlap are measured; the catalogue at most.
        onnx: whether to export the ONNX model too.
        int8: whether to write it with eight-bit products as well, and measure what they cost.

    Returns:
        The manifest without its file hashes, and ``out``.

    Raises:
        RunError: the run is not trained.
        InputError: ``to`` lies in a run or holds something else, a library of the extra is not
            installed, or ``int8`` is asked for without ``onnx``.
        IntegrityError: the ONNX model does not compute what the run computes.
    """
    run.require_trained()
    if int8 and not onnx:
        raise InputError("--int8 is a form of the ONNX model; leave --no-onnx out")
    refuse_inside_run(to, "--to")
    refuse_another(to)
    load_faiss()
    recommender = Recommender.load(run.path)
    if onnx and recommender.scorer.task.words is not None:
        raise InputError(
            "the ONNX model's documents have no words, and this run's have (corpus.words = titles);"
            " give --no-onnx, or train with corpus.words=none"
        )
    scorer, dataset = recommender.scorer, recommender.dataset
    k = list_length(k, len(dataset.items))
    users = sample_of(len(dataset.users), recommender.config.seed)
    clear_leftovers(to.resolve().parent, to.resolve().name)
    with atomic_folder(to) as folder:
        vectors = vectors_of(scorer, dataset)
        write_vectors(vectors, dataset, folder)
        with progress.task("Building indexes"):
            exact = write_exact(vectors.candidates, folder / "exact.faiss")
            inverted = write_inverted(
                vectors.candidates, vectors.queries[users], exact, k, folder / "inverted.faiss"
            )
        audience = Audience.of_run(dataset).rows(users)
        checked = eight_bits = None
        path = folder / "user_vector.onnx"
        if onnx:
            checked = write_onnx(scorer, audience, path)
        if int8:
            eight_bits = write_int8(scorer, dataset, path, folder / "user_vector.int8.onnx")
        manifest = {
            "format": FORMAT,
            "kind": KIND,
            "model_sha256": recommender.version.fingerprint,
            "backbone_sha256": recommender.lm.sha256,
            "users": len(dataset.users),
            "items": len(dataset.items),
            "size": vectors.items.shape[1],
            "k": k,
            "scores": _scores(scorer, audience, k),
            "inverted": inverted._asdict(),
            "onnx": checked,
            "int8": eight_bits,
            "prompt": prompt_of(scorer.task),
        }
        shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)
        (folder / "README.md").write_text(page(manifest), encoding="utf-8")
        files = sha256_files(folder, ".")
        write_json(folder / "manifest.json", {**manifest, "files": files})
    return {**{name: manifest[name] for name in _SHOWN}, "files": files, "out": str(to)}


_SHOWN = ("model_sha256", "users", "items", "size", "k", "scores", "inverted", "onnx", "int8")


def refuse_another(to: Path) -> None:
    """Refuse a folder that an export must not replace.

    Raises:
        InputError: it is a file, or holds something that is no export.
    """
    if to.is_file():
        raise InputError(f"--to {to} is a file; choose another path")
    if to.is_dir() and any(to.iterdir()):
        manifest = to / "manifest.json"
        found = read_json(manifest) if manifest.is_file() else {}
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise InputError(f"--to {to} holds something that is no export; choose another folder")


def prompt_of(task: Task) -> dict[str, Any]:
    """How the tokens of a document are made: for callers of the ONNX model.

    Returns:
        ``template``: token ids, with ``"user"`` and ``"items"`` where those stand; ``first_user``
        and ``first_item``: what is added to a number; ``unknown_user``: the token of a user whose
        own is not to be used; ``order`` and ``max_items`` of the history; ``padding``.
    """
    config, space = task.config, task.space
    template: list[Any] = []
    for part in task.question.parts:
        template += [part] if isinstance(part, str) else part.tolist()
    return {
        "template": template,
        "first_user": space.num_words,
        "first_item": space.num_words + space.num_users,
        "unknown_user": task.placeholder,
        "user_tokens": config.finetune.user_token_dropout < 1,
        "order": config.corpus.order,
        "max_items": config.corpus.max_items,
        "padding": 0,
    }


def _scores(scorer: ModelScorer, audience: Audience, k: int) -> dict[str, Any]:
    """What the exported vectors score, and how near the run's own lists that is."""
    if scorer.linear is None and scorer.added is None:
        return {"of": "the run", "blend_weight": 0.0, "overlap": 1.0, "users": len(audience)}
    with progress.task("Comparing lists"):
        overlap = overlap_with_blend(scorer, audience, k)
    return {
        "of": "the language model alone",
        "blend_weight": scorer.weight,
        "overlap": round(overlap, 4),
        "users": len(audience),
    }
