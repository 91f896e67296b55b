"""save: a trained model as a folder of its own, with a card for people and model hubs."""

import shutil
from pathlib import Path

from cllm4rec.errors import InputError
from cllm4rec.recommender.card import model_card
from cllm4rec.recommender.intact import verified_record
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.word_readings import FOLDER as READ
from cllm4rec.run import (
    RunDir,
    atomic_folder,
    clear_leftovers,
    is_sealed,
    refuse_inside_run,
    seal,
    write_json,
)
from cllm4rec.run.added import FOLDER as ADDED

RESULTS = "results.json"


def save_folder(run: RunDir, folder: Path, recommender: Recommender) -> None:
    """Write model, data tables, added items, read words and a card to a folder, as a whole.

    Args:
        run: or saved folder, to copy from.
        folder: to write; another saved model there is replaced.
        recommender: its model, loaded.

    Raises:
        InputError: the folder lies in a run, or holds something that is no saved model.
        IntegrityError: a file of the model or its data has changed, or the run has another model.
    """
    scorer, folder = recommender.scorer, folder.resolve()
    # A saved model may be replaced by another, but nothing is put into one, or into a run.
    refuse_inside_run(folder.parent if is_sealed(folder) else folder, "folder")
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not (empty or is_sealed(folder)):
        raise InputError(f"{folder} holds something that is no saved model; choose another")
    results = run.results()
    blend = None if scorer.linear is None else scorer.weight
    clear_leftovers(folder.parent, folder.name)
    with atomic_folder(folder) as temporary:
        with recommender.version.model.reading():  # not of another training than the card's
            for name in ("data", "model"):
                shutil.copytree(run.path / name, temporary / name)
        for name in (ADDED, READ):
            # Another process may have changed these; each file of theirs has a seal.
            if (run.path / name).is_dir():
                shutil.copytree(run.path / name, temporary / name)
        verified_record(temporary)  # a seal is not to vouch for a file that has changed
        if results is not None:
            write_json(temporary / RESULTS, results)
        card = model_card(
            recommender.config,
            recommender.dataset,
            blend=blend,
            by_length=scorer.by_length,
            results=results,
        )
        (temporary / "README.md").write_text(card, encoding="utf-8")
        seal(temporary, "data", "model", *([RESULTS] if results else []))
