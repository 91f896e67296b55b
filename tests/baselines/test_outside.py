"""A baseline of another package: found by its name, with settings of its own."""

import sys

import pytest

from cllm4rec.baselines import baseline_named
from cllm4rec.baselines.popularity import Popularity
from cllm4rec.config import BUILT_IN, baselines, request_of, resolve
from cllm4rec.errors import ConfigError, InputError
from support.outside import install


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs packages for the length of a test."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    yield lambda *what: install(tmp_path, *what)
    for name in sys.modules.keys() - modules:
        if "outside" in name:
            del sys.modules[name]


def test_it_is_imported_when_it_is_fitted_and_not_when_settings_are_read(package):
    package("damped", "outside_damped", "outside_damped:Damped")
    given = ["evaluate.baselines=['damped']", "evaluate.baseline_settings.damped.powers=[2, 0.5]"]
    config = resolve(request_of(None, given), newest_held_out=False)
    assert "outside_damped" not in sys.modules
    baseline = baseline_named("damped", config.evaluate.baseline_settings["damped"])
    assert baseline.name == "damped"
    assert baseline.grid(10) == [{"power": 2}, {"power": 0.5}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"power": 2}, "unexpected keyword argument 'power'; its settings: powers, lift$"),
        ({"powers": [0]}, "damped: powers must be above 0, and are not; its settings: powers, "),
        ({"powers": 3}, "not iterable; its settings"),
    ],
)
def test_what_it_does_not_take_is_said_in_one_line(package, settings, message):
    package("damped", "outside_damped", "outside_damped:Damped")
    with pytest.raises(ConfigError, match=message) as caught:
        baseline_named("damped", settings)
    assert str(caught.value).startswith("setting evaluate.baseline_settings.damped: ")
    assert "\n" not in str(caught.value)


READING = "backbone, depth, max_words, echo, weights, permuted, train, train_layers, epochs"


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_ours_do_not_take_is_refused_and_what_they_take_is_listed(name):
    known = {
        "lightgcn": "dims, layers, learning_rates, losses",
        "sasrec": "dims, dropouts, layers, learning_rates, losses",
        "sasrec-text": "dims, dropouts, layers, learning_rates, losses",
        "sasrec-hybrid": "dims, dropouts, layers, learning_rates, losses, reader",
        "sasrec-hybrid-text": "dims, dropouts, layers, learning_rates, losses, reader",
        "ease": "neighbours",
        "ease-text": "neighbours",
        "ease-text-order": "neighbours",
        "lm-knn": READING,
        "ease-new-items": f"per_user, train, {READING.replace('train, ', '', 1)}",
        "ease-lm": READING,
    }.get(name, "none")
    with pytest.raises(ConfigError, match=rf"settings\.{name}: .*'l2'; its settings: {known}$"):
        baseline_named(name, {"l2": [1]})


@pytest.mark.parametrize(
    ("value", "source", "message"),
    [
        ("outside_broken:Damped", "import nothing_of_this_name", "ModuleNotFoundError: No module"),
        ("outside_broken:Absent", "", "AttributeError: module 'outside_broken' has no"),
        ("outside_broken:Damped", "x = 1 +", "SyntaxError: invalid syntax"),
        ("outside_broken:Damped", "Damped = 7", "is no subclass of cllm4rec.baselines.Baseline"),
        ("outside_broken:Damped", "class Damped: pass", "is no subclass of cllm4rec"),
    ],
)
def test_a_package_that_is_broken_is_named_with_the_mend(package, value, source, message):
    package("broken", "outside_broken", value, source)
    with pytest.raises(InputError, match=message) as caught:
        baseline_named("broken")
    assert value in str(caught.value)
    assert "leave it out of evaluate.baselines" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_of_one_name_are_refused(package):
    package("damped", "outside_one", "outside_one:Damped")
    package("damped", "outside_two", "outside_two:Damped")
    with pytest.raises(ConfigError, match="two packages bring a baseline 'damped', outside_one"):
        request_of(None, ["evaluate.baselines=['damped']"])


def test_an_unknown_name_lists_what_is_installed_too(package):
    package("damped", "outside_damped", "outside_damped:Damped")
    with pytest.raises(
        ConfigError, match=r"no baseline 'x'; there are popularity.*sasrec-hybrid-text, damped"
    ):
        baseline_named("x")


def test_ours_are_not_replaced_and_nothing_is_searched_for_them(package, monkeypatch):
    package("popularity", "outside_damped", "outside_damped:Damped")
    assert type(baseline_named("popularity")) is Popularity
    monkeypatch.setattr(baselines, "entry_points", lambda **_: pytest.fail("searched"))
    for name in BUILT_IN:
        assert baseline_named(name).name == name
