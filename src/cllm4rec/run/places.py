"""Refusal of output paths inside a run."""

import json
from pathlib import Path
from tempfile import TemporaryFile

from cllm4rec.errors import InputError
from cllm4rec.run.seal import is_sealed


def run_around(path: Path) -> Path | None:
    """The run or saved model that contains a path, following links; None if there is none."""
    resolved = path.resolve()
    for folder in (resolved, *resolved.parents):
        if _is_run(folder) or (is_sealed(folder) and (folder / "model" / "model.json").is_file()):
            return folder
    return None


def refuse_inside_run(path: Path, option: str) -> None:
    """Refuse an output path inside a run, where only stages write.

    Args:
        path: of the output.
        option: that gave it, such as ``--out``.

    Raises:
        InputError: the path is a run or a saved model, or inside one.
    """
    around = run_around(path)
    if around is not None:
        what = "is" if around == path.resolve() else "lies in"
        kind = "run" if _is_run(around) else "saved model"
        raise InputError(f"{option} {path} {what} the {kind} {around}; choose a path outside it")


def refuse_unwritable(path: Path, option: str) -> None:
    """Refuse a place where nothing can be written; nothing is made there.

    Raises:
        InputError: there can be no folder, or this user may not write.
    """
    around = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with TemporaryFile(dir=around):
            pass
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError(
            f"{option} {path}: nothing can be written in {around} ({reason}); choose another path"
        ) from None


def _is_run(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    # Many programs have a manifest.json; an export of ours has no stages either.
    return isinstance(manifest, dict) and {"stages", "package_version"} <= manifest.keys()
