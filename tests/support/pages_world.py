"""What stands behind the capitals of the pages: data, a trained run, a toy default backbone."""

import shutil
from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.models import pretrained
from cllm4rec.run import RunDir, write_json
from cllm4rec.stages.prepare import configure, prepare
from cllm4rec.stages.train import train
from support.input_folder import write_rows
from support.once import made_once
from support.tiny_backbone import write_tiny_llama

USERS, ITEMS, EACH, GENRES = 200, 190, 12, ("Comedy", "Drama", "Horror", "War", "Western")


def make_cache(folder: Path) -> Path:
    """A ``CLLM4REC_CACHE`` in which the default backbone is a toy."""
    backbone = write_tiny_llama(folder / "backbones" / pretrained.SMOLLM2, layers=4)
    write_json(backbone / "manifest.json", {"files": pretrained._hashes(backbone)})
    return folder


def make_data(folder: Path) -> None:
    """Users ``1`` to ``200`` with properties, items ``1`` to ``190``; each user likes one genre."""
    log = [
        {
            "user_id": str(user + 1),
            "item_id": str((len(GENRES) * (user * 7 + place * 3) + user) % ITEMS + 1),
            "timestamp": 1_700_000_000 + 1000 * user + place,
        }
        for user in range(USERS)
        for place in range(EACH)
    ]
    items = [
        {
            "item_id": str(item + 1),
            "title": f"{GENRES[item % len(GENRES)]} number {item + 1}",
            "genres": GENRES[item % len(GENRES)],
            "year": 1990 + item % 10,
        }
        for item in range(ITEMS)
    ]
    trades = ("artist", "doctor", "student")
    people = [
        {"user_id": str(user + 1), "age": 18 + user % 50, "occupation": trades[user % 3]}
        for user in range(USERS)
    ]
    write_rows(folder, "users", people)
    write_rows(folder, "interactions", log)
    write_rows(folder, "items", items)


def make_histories(path: Path) -> None:
    """Histories of users whom the run does not know."""
    rows = [
        {"user_id": f"new {user}", "item_id": str(5 * place + user + 1)}
        for user in range(5)
        for place in range(6)
    ]
    write_rows(path.parent, path.stem, rows)


def make_world(factory: pytest.TempPathFactory) -> Path:
    """``cache``, ``DATA``, ``RUN`` (trained with the default settings) and ``new.parquet``."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, progress.quiet():
            patch.setenv("CLLM4REC_CACHE", str(make_cache(folder / "cache")))
            make_data(folder / "DATA")
            make_histories(folder / "new.parquet")
            run = RunDir(folder / "RUN")
            prepare(folder / "DATA", run, split=None, protocol="paper", config="auto")
            train(run, configure(run))

    return made_once(factory, "pages", make)


def furnish(folder: Path, world: Path, *, run: bool) -> None:
    """A page's own folder."""
    (folder / "DATA").symlink_to(world / "DATA")
    shutil.copy(world / "new.parquet", folder)
    if run:
        shutil.copytree(world / "RUN", folder / "RUN")
