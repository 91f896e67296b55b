"""Settings: one place, two ways to change them, every mistake named."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import cllm4rec.config as config_module
from cllm4rec.baselines import BASELINES
from cllm4rec.config import (
    BaselineName,
    Config,
    DataConfig,
    load_config,
    to_toml,
)
from cllm4rec.config.presets import PAPER
from cllm4rec.config.sections import COLUMNS
from cllm4rec.errors import ConfigError, InputError

CONFIGS = st.builds(
    Config.model_validate,
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 2**31),
            "backbone": st.fixed_dictionaries(
                {"depth": st.none() | st.integers(1, 99)},
                optional={"name": st.text(st.characters(exclude_categories=["Cs"]))},
            ),
            "finetune": st.fixed_dictionaries({"learning_rate": st.floats(1e-9, 1e9)}),
            "data": st.fixed_dictionaries({
                "columns": st.dictionaries(
                    st.sampled_from(COLUMNS), st.text(st.characters(exclude_categories=["Cs"]))
                )
            }),
        },
    ),
)


@given(CONFIGS)
def test_toml_round_trip(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_config(path) == config


def test_nothing_given_is_the_default():
    assert load_config(None) == Config()


def test_paper_adds_nothing_to_the_paper():
    config = load_config("paper")
    assert config.model.warm_start == "none"
    assert not config.model.history_skip
    assert not config.model.projection
    assert config.finetune.user_token_dropout == 0
    assert (config.finetune.epochs, config.finetune.learning_rate) == (150, 1e-4)
    assert (config.pretrain.rounds, config.pretrain.content_warmup_epochs) == (100, 10)


def test_an_override_of_the_paper_leaves_the_paper_alone():
    assert load_config("paper", ["finetune.epochs=3"]).finetune.epochs == 3
    assert PAPER["finetune"]["epochs"] == 150


def test_a_file_sets_what_it_names_and_an_override_wins(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("\ufeffseed = 5\n[finetune]\nepochs = 7\n", encoding="utf-8")
    config = load_config(path, ["finetune.patience=2", "finetune.epochs=8"])
    assert (config.seed, config.finetune.epochs, config.finetune.patience) == (5, 8, 2)
    assert config.pretrain == Config().pretrain


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("finetune.epochs=3", "finetune", "epochs", 3),
        (" finetune . epochs = 3 ", "finetune", "epochs", 3),
        ("finetune.learning_rate=1e-4", "finetune", "learning_rate", 1e-4),
        ("pretrain.enabled=false", "pretrain", "enabled", False),
        ("backbone.name=some/hub-model", "backbone", "name", "some/hub-model"),
        ("backbone.name=a=b", "backbone", "name", "a=b"),
        ('backbone.name="007"', "backbone", "name", "007"),
        ("backbone.name=x\ny = 1", "backbone", "name", "x\ny = 1"),
        ("backbone.name=1\ny = 1", "backbone", "name", "1\ny = 1"),
        ("backbone.depth=all", "backbone", "depth", None),
        ("data.columns.user_id=reviewerID", "data", "columns", {"user_id": "reviewerID"}),
        ('evaluate.baselines=["ease"]', "evaluate", "baselines", ["ease"]),
        ("evaluate.baselines=[]", "evaluate", "baselines", []),
        ("data.memory_limit=512MB", "data", "memory_limit", "512MB"),
    ],
)
def test_overrides_are_toml_or_plain_text(override, section, key, value):
    assert getattr(getattr(load_config(None, [override]), section), key) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("finetune.epoch=3", r"no setting finetune\.epoch: did you mean finetune\.epochs\?"),
        ("finetun.epochs=3", r"no setting finetun: did you mean finetune\?"),
        ("finetune.zzz=3", r"no setting finetune\.zzz: it does not exist"),
        ("finetune=3", r"setting finetune = 3: "),
        ("finetune.epochs=0", r"setting finetune\.epochs = 0: .*greater than 0"),
        ("finetune.epochs=many", r"setting finetune\.epochs = 'many': .*integer"),
        ("finetune.epochs.x=3", r"setting finetune\.epochs = \{'x': 3\}: .*integer"),
        ("finetune.holdout=1.5", r"setting finetune\.holdout = 1\.5: .*less than or equal to 1"),
        ("finetune.user_token_dropout=2", r"user_token_dropout = 2: .*less than or equal to 1"),
        (
            "finetune.user_token_dropout=-1",
            r"user_token_dropout = -1: .*greater than or equal to 0",
        ),
        ("finetune.learning_rate=inf", r"learning_rate = inf: .*finite number"),
        ("data.minimum_rating=nan", r"minimum_rating = nan: .*finite number"),
        ("data.memory_limit=lots", r"memory_limit = 'lots': .*match pattern"),
        ("data.columns.userid=x", r"'userid' is no standard column; there are user_id, item_id"),
        ('evaluate.baselines=["eas"]', r"evaluate\.baselines\.0 = 'eas': .*'ease'"),
        ("backbone.depth=0", r"setting backbone\.depth = 0: .*greater than 0"),
        ("backbone.depth=none", r"setting backbone\.depth = 'none': .*integer"),
        ("seed", r"override 'seed' is not of the form stage\.key=value"),
        ("=3", r"override '=3' is not of the form"),
        ("finetune.=3", r"is not of the form"),
    ],
)
def test_mistakes_are_named_in_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, [override])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_override_below_a_value_of_the_file_is_refused(tmp_path):
    (tmp_path / "c.toml").write_text("seed = 1")
    with pytest.raises(ConfigError, match="seed is a value, not a section"):
        load_config(tmp_path / "c.toml", ["seed.x=1"])


def test_a_long_value_is_shortened():
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["finetune.epochs=" + "x" * 10_000])
    assert len(str(caught.value)) < 300


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no configuration file at .*absent\.toml"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("text", [b"epochs = ", b"\xff"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text):
    (tmp_path / "c.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML: "):
        load_config(tmp_path / "c.toml")


def test_settings_are_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        DataConfig().memory_limit = "2GB"


def settings(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Every setting by its bare name, sections opened."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= settings(annotation)
        else:
            found[name] = field
    return found


def test_every_setting_has_a_meaning():
    assert [name for name, field in settings(Config).items() if not field.description] == []


def test_every_setting_is_read_somewhere():
    own = Path(config_module.__file__).parent
    program = "".join(
        path.read_text() for path in own.parent.rglob("*.py") if own not in path.parents
    )
    assert [name for name in settings(Config) if f".{name}" not in program] == []


def test_the_baselines_that_can_be_named_are_those_there_are():
    assert set(get_args(BaselineName)) == set(BASELINES)
