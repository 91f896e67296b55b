"""Files of ranked lists behind a path: one file, any folder of them, or our own shards."""

from pathlib import Path

from cllm4rec.errors import InputError
from cllm4rec.run import read_json, sha256_file

BATCH = "_batch.json"
"""What was asked of a folder of shards; who reads it as Parquet passes over ``_`` and ``.``."""
EARLIER_BATCH = "batch.json"
"""Its name in earlier versions, whose folders are scored as they are and not gone on with."""


def is_csv(path: Path) -> bool:
    """Whether a file's name asks for CSV."""
    return path.suffix.lower() == ".csv"


def names_one_file(path: Path) -> bool:
    """Whether a place for lists is a file by its name, and no folder of shards."""
    return path.suffix.lower() in (".csv", ".parquet")


def topk_files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder of them.

    Raises:
        InputError: the folder holds none, or is one of shards that is not finished or not as it
            was written.
    """
    if not path.is_dir():
        return [path]
    shards = any((path / name).is_file() for name in (BATCH, EARLIER_BATCH))
    files = _shards(path) if shards else sorted(path.glob("*.parquet"))
    if not files:
        raise InputError(f"{path} holds no *.parquet; give a top-k file or a folder of them")
    return files


def _shards(folder: Path) -> list[Path]:
    """What ``recommend --out FOLDER`` finished, as it was written."""
    if not (folder / "_SUCCESS").is_file():
        raise InputError(
            f"{folder} is not finished (it has no _SUCCESS); run its `cllm4rec recommend` again"
        )
    recorded: dict[str, str] = read_json(folder / "_SUCCESS")["files"]
    for name, expected in recorded.items():
        if not (folder / name).is_file() or sha256_file(folder / name) != expected:
            raise InputError(
                f"{folder / name} is missing or not what was written (by _SUCCESS); run its "
                f"`cllm4rec recommend` again"
            )
    return [folder / name for name in recorded]
