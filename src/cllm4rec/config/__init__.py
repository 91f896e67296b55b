"""Settings: a request in, one complete configuration out; TOML in, TOML out.

A setting is defined once, in `sections`, with its type, meaning and unit; `presets` holds complete
values of all of them. What is given (a preset, a TOML file, ``--set stage.key=value``) is a
:class:`Request`, which :func:`resolve` makes a :class:`Config`: once, in ``prepare``, which keeps
it in the run. A key that does not exist is refused.
"""

from cllm4rec.config.baselines import BUILT_IN, baseline_entry, refuse_unknown_baselines
from cllm4rec.config.complete import Config, checked
from cllm4rec.config.presets import (
    PAPER,
    PAPER_SMALL,
    PRESETS,
    SEQUENCES,
    SETS,
    reported_measures,
    trained_as,
)
from cllm4rec.config.request import (
    Given,
    Request,
    backbone_in_force,
    possible,
    request_of,
    resolve,
)
from cllm4rec.config.sections import (
    COLUMNS,
    BackboneConfig,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    Measure,
    ModelConfig,
    Protocol,
    Settings,
)
from cllm4rec.config.toml import read_config, to_toml
from cllm4rec.config.training import FinetuneConfig, PretrainConfig

__all__ = [
    "BUILT_IN",
    "COLUMNS",
    "PAPER",
    "PAPER_SMALL",
    "PRESETS",
    "SEQUENCES",
    "SETS",
    "BackboneConfig",
    "Config",
    "CorpusConfig",
    "DataConfig",
    "EvaluateConfig",
    "FinetuneConfig",
    "Given",
    "Measure",
    "ModelConfig",
    "PretrainConfig",
    "Protocol",
    "Request",
    "Settings",
    "backbone_in_force",
    "baseline_entry",
    "checked",
    "possible",
    "read_config",
    "refuse_unknown_baselines",
    "reported_measures",
    "request_of",
    "resolve",
    "to_toml",
    "trained_as",
]
