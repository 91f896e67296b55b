"""Where lists may be written: said before anything is loaded or scored."""

from pathlib import Path

from cllm4rec.errors import InputError
from cllm4rec.ranking.list_files import is_topk_file
from cllm4rec.run import refuse_inside_run, refuse_unwritable

OPTION = "--out"


def refuse_file(out: Path) -> None:
    """Refuse a place for a top-k file.

    Raises:
        InputError: it is a folder, inside a run, a file that is not a top-k file, or cannot be
            written.
    """
    refuse_inside_run(out, OPTION)
    if out.is_dir():
        raise InputError(
            f"{OPTION} {out} is a folder; choose a file, such as {out / 'lists.parquet'}"
        )
    if out.exists() and not is_topk_file(out):
        raise InputError(
            f"{OPTION} {out} exists and is not a top-k file; choose another name, or remove it "
            f"first"
        )
    refuse_unwritable(out, OPTION)


def refuse_folder(out: Path) -> None:
    """Refuse a place for a folder of shards.

    Raises:
        InputError: it is a file, inside a run, or cannot be written.
    """
    refuse_inside_run(out, OPTION)
    if out.is_file():
        raise InputError(
            f"{OPTION} {out} is a file; choose a folder, or a name that ends in .parquet or .csv"
        )
    refuse_unwritable(out, OPTION)
