"""Which baselines can be named: ours, and those that installed packages bring."""

from collections.abc import Container
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cllm4rec.errors import ConfigError, shortened

GROUP = "cllm4rec.baselines"
"""Entry points of this group are baselines; see `cllm4rec.baselines.base`."""
BUILT_IN = {
    "popularity": "cllm4rec.baselines.popularity:Popularity",
    "item-knn": "cllm4rec.baselines.item_knn:ItemKnn",
    "ease": "cllm4rec.baselines.ease:Ease",
    "text-knn": "cllm4rec.baselines.text_knn:TextKnn",
    "lm-knn": "cllm4rec.baselines.lm_knn:LmKnn",
    "ease-new-items": "cllm4rec.baselines.ease_new_items:EaseNewItems",
    "ease-text": "cllm4rec.baselines.ease_text:EaseText",
    "ease-text-order": "cllm4rec.baselines.ease_text_order:EaseTextOrder",
    "ease-lm": "cllm4rec.baselines.ease_lm:EaseLm",
    "ials": "cllm4rec.baselines.ials:IAls",
    "mult-vae": "cllm4rec.baselines.mult_vae:MultVae",
    "lightgcn": "cllm4rec.baselines.lightgcn:LightGcn",
    "sasrec": "cllm4rec.baselines.sasrec:SasRec",
    "sasrec-text": "cllm4rec.baselines.sasrec_text:SasRecText",
    "sasrec-hybrid": "cllm4rec.ensemble.sasrec_hybrid:SasRecHybrid",
    "sasrec-hybrid-text": "cllm4rec.ensemble.sasrec_hybrid_text:SasRecHybridText",
}
"""Name → class, as in an entry point. No package replaces one of these."""


def baseline_entry(name: str, key: str = "evaluate.baselines") -> EntryPoint:
    """Where a baseline's class is; nothing is imported yet.

    Args:
        name: as it is given.
        key: of the setting that gives it, for the error.

    Raises:
        ConfigError: there is none of this name, or two packages bring one.
    """
    if name in BUILT_IN:
        return EntryPoint(name, BUILT_IN[name], GROUP)
    # Installed packages are looked through for a name that is not ours, and not otherwise.
    outside = entry_points(group=GROUP)
    found = {entry.value: entry for entry in outside if entry.name == name}
    shown = shortened(repr(name))
    if len(found) > 1:
        raise ConfigError(
            f"setting {key}: two packages bring a baseline {shown}, {' and '.join(sorted(found))}; "
            f"uninstall one of them"
        )
    if not found:
        names = ", ".join([*BUILT_IN, *sorted({entry.name for entry in outside} - {*BUILT_IN})])
        raise ConfigError(
            f"setting {key}: no baseline {shown}; there are {names}; correct the name, or install "
            f"the package that brings it"
        )
    return next(iter(found.values()))


KEYS = ("baselines", "baseline_settings")
"""Settings of a section, and of a bench's plan, that name baselines."""


def refuse_unknown_baselines(
    section: Any, keys: Container[str] = KEYS, prefix: str = "evaluate."
) -> None:
    """Refuse names that no baseline has.

    Args:
        section: `EvaluateConfig`, or a plan.
        keys: those of `KEYS` to look at.
        prefix: of the keys, in the error.

    Raises:
        ConfigError: names the first.
    """
    for key in KEYS:
        for name in getattr(section, key) if key in keys else ():
            baseline_entry(name, f"{prefix}{key}")
