"""The size of a problem, and the backbone's shape, which a name is enough for."""

import json
from dataclasses import dataclass

from cllm4rec.config import BackboneConfig, Config
from cllm4rec.planning.flops import Shape

KNOWN = {
    "smollm2-135m": (Shape(30, 576, 576, 192, 1536, gated=True), 49_152),
    "openai-community/gpt2": (Shape(12, 768, 768, 768, 3072, gated=False), 50_257),
}
"""Full shapes and words of the presets' backbones: nothing has to be downloaded."""

PROMPT_TOKENS = 9
"""Of a recommendation prompt beside the history's items: two users and seven words."""
TRAINED_SHARE = 0.8
"""Of the interactions, by the default protocol."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Attributes:
        users: number of users.
        items: number of items.
        interactions: number of interactions, all usable.
    """

    users: int
    items: int
    interactions: int

    def history(self, config: Config, share: float = 1.0) -> float:
        """Mean items of a history, cut to ``corpus.max_items``; ``share`` of them is known."""
        return min(share * self.interactions / self.users, config.corpus.max_items)


@dataclass(frozen=True, slots=True)
class Model:
    """Widths of a model.

    Attributes:
        shape: of the kept layers.
        words: rows of the word embeddings.
    """

    shape: Shape
    words: int

    @classmethod
    def of(cls, config: BackboneConfig) -> "Model":
        """The shape of a known backbone, or of one in the cache, a folder or the hub.

        Raises:
            InputError: it cannot be found.
        """
        if config.name in KNOWN:
            full, words = KNOWN[config.name]
            depth = config.depth or full.depth
            widths = full.size, full.queries, full.keys, full.inner
            return cls(Shape(depth, *widths, gated=full.gated), words)
        # Imported late: it loads torch.
        from cllm4rec.models.pretrained import find_backbone

        folder = find_backbone(config.name)
        shape = Shape.read(folder, config.depth)
        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(shape, int(given["vocab_size"]))
