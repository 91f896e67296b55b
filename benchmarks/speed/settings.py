"""The stages that are measured, and the settings of each."""

from collections.abc import Sequence
from typing import Literal

from cllm4rec.config import Config, Request, request_of, resolve
from cllm4rec.errors import ConfigError

Profile = Literal["frozen", "holdout", "next", "paper"]

TRAINING: dict[str, Profile] = {
    "content": "frozen",
    "collaborative": "frozen",
    "finetune-frozen": "frozen",
    "finetune-holdout": "holdout",
    "finetune-next": "next",
}
"""Training stages and the settings they are measured under."""
SCORING = ("evaluate", "recommend", "request")
"""Stages that score; measured under the settings of ``finetune-holdout``."""
STAGES = (*TRAINING, *SCORING)


def profile_config(profile: Profile, depth: int, overrides: Sequence[str]) -> Config:
    """Settings at a depth: of a preset, or ``SETS`` pretrained on a frozen backbone.

    Raises:
        ConfigError: an override names the preset or the order, which the profiles decide.
    """
    # The clock does not wait for a GPU, so there is nothing to measure on one yet.
    settings = ["device=cpu", *overrides, f"backbone.depth={depth}", "model.warm_start=none"]
    given = request_of(None, settings)
    if given.start != "auto":
        raise ConfigError(
            f"setting preset = {given.start!r}: `benchmarks/speed` measures the presets sets and "
            f"sequences; leave it out of --set"
        )
    if "order" in given.changes.get("corpus", {}):
        raise ConfigError(
            "setting corpus.order: `benchmarks/speed` measures both orders; leave it out of --set"
        )
    preset = {"next": "sequences", "paper": "paper-small"}.get(profile, "sets")
    config = resolve(Request(preset, given.changes), newest_held_out=profile == "next")
    if profile == "frozen":
        frozen = config.backbone.model_copy(update={"mode": "frozen"})
        pretrain = config.pretrain.model_copy(update={"enabled": True})
        config = config.model_copy(update={"backbone": frozen, "pretrain": pretrain})
    return config
