"""Everything that prepared data depend on; the same recipe is not prepared twice."""

from pathlib import Path
from typing import Any

from cllm4rec.config import DataConfig
from cllm4rec.data import markup
from cllm4rec.data import split as splitting
from cllm4rec.data.finding import STEMS, find_log, is_log
from cllm4rec.data.partitions import sha256_input
from cllm4rec.run import package_version


def recipe(
    source: Path, *, split: Path | None, protocol: str, config: DataConfig, seed: int
) -> dict[str, Any]:
    """Everything that the result of `ingest.prepare` depends on, as JSON.

    Args:
        source: the log, or the input directory.
        split: a split file; ``protocol`` and ``seed`` then play no part.
        protocol: otherwise, how to split.
        config: how the files are read; memory changes nothing, nor a default that came later.
        seed: of the protocol's random draws.

    Raises:
        OSError: there is nothing at ``source``, or ``split`` is neither file nor folder.
        InputError: there is no log, or a folder of partitions is none.
    """
    left = {"memory_limit", *(["csv_quotes"] if config.csv_quotes else [])}
    return {
        "files": {path.name: sha256_input(path) for path in _input_files(source)},
        "split": protocol if split is None else sha256_input(split),
        "seed": seed if split is None else None,
        "settings": config.model_dump(exclude=left),
        "markup": markup.VERSION,
        "splitting": splitting.VERSION,
        "package": package_version(),
    }


def _input_files(source: Path) -> list[Path]:
    others = [] if is_log(source) else [x for x in source.iterdir() if x.stem in STEMS]
    return sorted([*find_log(source), *others])
