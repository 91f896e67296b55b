"""Settings: one frozen model per stage; TOML in, TOML out.

A setting is defined once, in `sections`, with its type, default, meaning and unit. ``--config
FILE.toml`` and ``--set stage.key=value`` are the only ways to change one; a key that does not exist
is refused.
"""

from cllm4rec.config.loading import Config, for_data, load_config, to_toml
from cllm4rec.config.sections import (
    BackboneConfig,
    BaselineName,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    Protocol,
    Settings,
)

__all__ = [
    "BackboneConfig",
    "BaselineName",
    "Config",
    "CorpusConfig",
    "DataConfig",
    "EvaluateConfig",
    "FinetuneConfig",
    "ModelConfig",
    "PretrainConfig",
    "Protocol",
    "Settings",
    "for_data",
    "load_config",
    "to_toml",
]
