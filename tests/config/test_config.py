"""Settings: one place, two ways to change them, every mistake named."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import cllm4rec.config as config_module
from cllm4rec.config import (
    PAPER,
    PRESETS,
    SEQUENCES,
    SETS,
    Config,
    read_config,
    reported_measures,
    request_of,
    resolve,
    to_toml,
)
from cllm4rec.errors import ConfigError, InputError

OF_SETS = {"selection": reported_measures(newest_held_out=False)}
"""What selects where the newest are not held out, whatever the preset."""


def load(given=None, *overrides: str) -> Config:
    return resolve(request_of(given, overrides), newest_held_out=False)


def test_a_file_sets_what_it_names_and_an_override_wins(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("\ufeffseed = 5\n[finetune]\nepochs = 7\n", encoding="utf-8")
    config = load(path, "finetune.patience=2", "finetune.epochs=8")
    assert config == SETS.changed(seed=5, finetune={"epochs": 8, "patience": 2})


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_may_name_the_preset_it_starts_from(tmp_path, name):
    path = tmp_path / "c.toml"
    path.write_text(f'preset = "{name}"\nseed = 5\n', encoding="utf-8")
    assert load(path) == PRESETS[name].changed(seed=5, evaluate=OF_SETS)


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
    assert getattr(getattr(load(None, override), section), key) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("finetune.epoch=3", r"no setting finetune\.epoch: did you mean finetune\.epochs\?"),
        ("finetun.epochs=3", r"no setting finetun: did you mean finetune\?"),
        ("finetune.zzz=3", r"no setting finetune\.zzz: it does not exist"),
        ("finetune=3", r"setting finetune = 3: "),
        ("finetune.epochs=0", r"setting finetune\.epochs = 0: .*greater than 0"),
        ("finetune.epochs=true", r"setting finetune\.epochs = True: neither true nor false"),
        ("backbone.depth=true", r"setting backbone\.depth = True: neither true nor false"),
        ("finetune.dropout=false", r"setting finetune\.dropout = False: neither true nor false"),
        ("seed=true", r"setting seed = True: neither true nor false"),
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
        (
            'evaluate.baselines=["eas"]',
            r"evaluate\.baselines: no baseline 'eas'; there are .*ease, ",
        ),
        ("evaluate.baseline_settings.eas.x=1", r"baseline_settings: no baseline 'eas'; there are"),
        ("evaluate.baseline_settings.ease.x=nan", r"ease\.x is nan; give numbers, texts"),
        ("evaluate.baseline_settings.ease.x=1999-01-02", r"ease\.x is datetime.*give numbers"),
        ("backbone.depth=0", r"setting backbone\.depth = 0: .*greater than 0"),
        ("backbone.depth=none", r"setting backbone\.depth = 'none': .*integer"),
        (
            "preset=papers",
            r"setting preset = 'papers': there are auto, sets, sequences, paper, paper-small",
        ),
        ("corpus.order=auto", r"setting corpus\.order = 'auto': .*'random' or 'time'"),
        ("seed", r"override 'seed' is not of the form stage\.key=value"),
        ("=3", r"override '=3' is not of the form"),
        ("finetune.=3", r"is not of the form"),
    ],
)
def test_mistakes_are_named_in_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(None, override)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 320


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        ({"finetune.epochs": 2}, "finetune.epochs: write {'finetune': {'epochs': 2}} (docs"),
        (
            {"data": {"columns.user_id": "who"}},
            "data.columns.user_id: write {'columns': {'user_id': 'who'}} (docs",
        ),
        ({"finetune.epochs": "x" * 999}, "{'epochs': '" + "x" * 78 + "…}}"),
        ({"finetune.": 10**5000}, "{'finetune': {'': a number of thousands of digits}}"),
    ],
)
def test_a_dictionary_with_points_in_its_names_is_said_as_tables_in_tables(given, mend):
    with pytest.raises(ConfigError) as refused:
        request_of(given)
    assert mend in str(refused.value)


def test_an_override_below_a_value_of_the_file_is_refused(tmp_path):
    (tmp_path / "c.toml").write_text("seed = 1")
    with pytest.raises(ConfigError, match="seed is a value, not a section"):
        load(tmp_path / "c.toml", "seed.x=1")


def test_a_long_value_is_shortened():
    with pytest.raises(ConfigError) as caught:
        load(None, "finetune.epochs=" + "x" * 10_000)
    assert len(str(caught.value)) < 320


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no configuration file at .*absent\.toml") as caught:
        load(tmp_path / "absent.toml")
    for preset in ("auto", *PRESETS):
        assert preset in str(caught.value).split("preset: ")[1].split(", ")
    with pytest.raises(InputError, match=r"or open a trained run with CLLM4Rec\.load"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["1" * 5_000, "[" * 5_000], ids=["digits", "brackets"])
def test_a_value_beyond_what_the_reader_takes_is_one_line(tmp_path, text):
    with pytest.raises(ConfigError, match=r"setting seed = '[1\[]+…: ") as caught:
        load(None, f"seed={text}")
    assert len(str(caught.value)) < 320
    (tmp_path / "c.toml").write_text(f"seed = {text}")
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML: "):
        load(tmp_path / "c.toml")


@pytest.mark.parametrize(
    "number", [10**5000, -(10**5000), 2**63], ids=["huge", "least", "a bit too much"]
)
def test_a_number_that_no_file_could_hold_is_one_line(number):
    with pytest.raises(
        ConfigError, match=r"setting finetune\.epochs = (a number of tho|9).*end at"
    ):
        request_of({"finetune": {"epochs": number}})


@pytest.mark.parametrize("text", [b"epochs = ", b"\xff"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text):
    (tmp_path / "c.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML: "):
        load(tmp_path / "c.toml")


def test_a_runs_settings_of_another_version_are_refused_in_one_line(tmp_path):
    path = tmp_path / "config.toml"
    text = to_toml(SETS)
    older = text.replace('preset = "sets"\n', ""), text.replace("linear", "prior"), "seed = 0\n"
    for values in older:
        path.write_text(values)
        with pytest.raises(ConfigError, match=r"config\.toml was made by an older.*run.*again"):
            read_config(path)
    path.unlink()
    with pytest.raises(InputError, match=r"config\.toml is missing; run `cllm4rec prepare` again"):
        read_config(path)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, SETS),
        ({}, SETS),
        ("auto", SETS),
        ("sequences", SEQUENCES.changed(evaluate=OF_SETS)),
        (PAPER, PAPER),
        ({"preset": "paper"}, PAPER),
        ({"finetune": {"epochs": 3}}, SETS.changed(finetune={"epochs": 3})),
    ],
)
def test_what_python_gives_is_a_request(given, wanted):
    assert load(given) == wanted
    assert load(request_of(given)) == wanted


def test_settings_are_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        SETS.data.memory_limit = "2GB"


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
    # A preset's name says where values come from; it must decide nothing.
    assert [name for name in settings(Config) if f".{name}" not in program] == ["preset"]


def test_settings_of_baselines_are_what_both_toml_and_json_can_hold(tmp_path):
    given = {"ease": {"n": 3, "on": True, "each": [0.5, "a", {"deep": [1]}], "name": "x"}}
    config = load({"evaluate": {"baseline_settings": given}})
    assert config.evaluate.baseline_settings == given
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config


def test_a_run_is_read_where_the_package_of_its_baseline_is_not_installed(tmp_path):
    config = SETS.changed(evaluate={"baselines": ["elsewhere"]})
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config
    assert load(config, "seed=1").evaluate == config.evaluate
    with pytest.raises(ConfigError, match=r"evaluate\.baselines: no baseline 'elsewhere'"):
        load(None, "evaluate.baselines=['elsewhere']")


def test_more_threads_than_any_machine_has_are_refused():
    with pytest.raises(ConfigError, match="threads"):
        load(None, "threads=100000")


def test_a_setting_that_is_a_table_is_replaced_as_a_whole():
    before = SETS.changed(
        data={"columns": {"user_id": "who", "title": "name"}},
        evaluate={"baseline_settings": {"ease": {"a": 0, "b": 2}, "ials": {"c": 3}}},
    )
    after = load(before, "evaluate.baseline_settings={}", "data.columns={title = 'what'}")
    assert after.evaluate.baseline_settings == {}
    assert after.data.columns == {"title": "what"}
    assert load(before, "data.columns={}", "evaluate.baseline_settings={}") == SETS
    assert before.changed(data={"columns": {}}).data == SETS.data


def test_an_override_below_a_table_sets_one_key():
    before = SETS.changed(
        evaluate={"baseline_settings": {"ease": {"a": 0, "b": 2}, "ials": {"c": 3}}}
    )
    name = "evaluate.baseline_settings"
    after = load(before, f"{name}.ease.a=1", f"{name}.ials.d=4", "data.columns.user_id=who")
    assert after.evaluate.baseline_settings == {"ease": {"a": 1, "b": 2}, "ials": {"c": 3, "d": 4}}
    assert after.data.columns == {"user_id": "who"}
    assert before.evaluate.baseline_settings["ease"]["a"] == 0
    assert load(before, f"{name}={{}}", f"{name}.ease.a=1").evaluate.baseline_settings == {
        "ease": {"a": 1}
    }
