"""Lists by properties: from Python and the command line, with filters and a query."""

import json

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.baselines import Context
from cllm4rec.cli.app import main
from cllm4rec.errors import InputError
from cllm4rec.linear.properties import PropertyModel
from reference.queries import asked_for, standardised
from support.trained import served_run, small_run

PROFILE = {"trade": "clerk", "age": 30}


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone):
    return served_run(tmp_path_factory, backbone)


@pytest.fixture(scope="module")
def model(run) -> CLLM4Rec:
    with progress.quiet():
        return CLLM4Rec.load(run.path)


@pytest.fixture(scope="module")
def scores(model):
    dataset = model.recommender_.dataset
    counted = PropertyModel.fit(dataset.texts.user_features, dataset.part("train").matrix())
    return counted.scores({"trade": "clerk", "age": "30"})


def test_lists_are_those_of_the_training_users_with_these_properties(model, scores):
    listed = model.recommend(profile=PROFILE, k=8)
    assert listed.keys() == {"profile"}
    items = model.recommender_.dataset.items
    best = np.argsort(-scores, kind="stable")[:8]
    assert [item for item, _ in listed["profile"]] == items.ids(best)
    np.testing.assert_allclose([score for _, score in listed["profile"]], scores[best], rtol=1e-6)
    assert model.recommend(profile={"trade": "artist"}) != model.recommend(profile=PROFILE)
    ages = [{"age": 30}, {"age": 30.0}, {"age": np.float64(30)}, {"age": "30"}]
    assert all(model.recommend(profile=age) == model.recommend(profile=ages[0]) for age in ages)


def test_a_query_is_added_and_filters_filter(model, scores):
    recommender = model.recommender_
    word = recommender.queries.index.terms[0]
    with progress.quiet():
        texts = Context.of(recommender.dataset).words
        wanted = asked_for(recommender.queries.scores(word), texts, word)
        [listed] = model.recommend(profile=PROFILE, query=word, k=5).values()
    both = np.sort(standardised(scores) + wanted)[:-6:-1]
    np.testing.assert_allclose([score for _, score in listed], both, rtol=1e-4)
    only = recommender.dataset.items.ids([3, 9])
    [filtered] = model.recommend(profile=PROFILE, include=only).values()
    assert {item for item, _ in filtered} == set(only)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"colour": "red"}, "users have no property 'colour'; there are: trade, age"),
        ({"trade": "pilot"}, "that trade is not known; frequent ones: artist, clerk"),
        ({"age": "old"}, "age takes a number"),
        ({}, "the profile is empty"),
        ([("age", 3)], "profile is a list; give a dict"),
        ({"age": [3]}, "age is a list; give a text or a number"),
        ({"age": True}, "profile holds"),
        ({7: "x"}, "profile holds 7"),
        ({"age": 10**5_000}, "age is an int too long to print; give a text or a usual number"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_line(model, profile, message):
    with pytest.raises(InputError, match=message) as error:
        model.recommend(profile=profile)
    assert "\n" not in str(error.value)


def test_a_profile_is_for_nobody_the_run_knows(model):
    user = model.recommender_.dataset.users.id(0)
    with pytest.raises(InputError, match="give no users with it"):
        model.recommend([user], profile=PROFILE)


def test_a_run_without_properties_says_so(tmp_path_factory, backbone):
    with progress.quiet():
        model = CLLM4Rec.load(small_run(tmp_path_factory, backbone).path)
    with pytest.raises(InputError, match=r"knows no properties of its users; train with columns"):
        model.recommend(profile=PROFILE)


def test_the_command_line_lists_the_same(run, model, capsys):
    options = ["--profile", "trade=clerk,age=30", "--k", "4", "--json"]
    with pytest.raises(SystemExit) as end:
        main(["recommend", "--run", str(run.path), *options])
    assert end.value.code == 0
    found = json.loads(capsys.readouterr().out)["recommendations"]["profile"]
    assert [(row["item_id"], row["score"]) for row in found] == model.recommend(
        profile=PROFILE, k=4
    )["profile"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "age"], "--profile 'age' is not KEY=VALUE, such as age=34"),
        (["--profile", "age=1,age=2"], "--profile age is given twice"),
        (["--profile", "age=1", "--users", "7"], "give exactly one of"),
        (["--profile", "age=1", "7"], "--profile take none"),
        (["--profile", "age=1", "--out", "F"], "--profile or --query is printed"),
        (["--profile", "colour=red"], "there are: trade, age"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        main(["recommend", "--run", str(run.path), *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
