"""``recommend --query`` and ``similar --by``, to the stage and back."""

import json

import pytest

from cllm4rec.cli.app import main
from cllm4rec.recommender.saved import Recommender
from support.trained import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone):
    return small_run(tmp_path_factory, backbone)


def printed(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments), "--json"])
    assert end.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_lists_are_the_recommenders(run, capsys):
    recommender = Recommender.load(run.path)
    word, items = recommender.queries.index.terms[0], recommender.dataset.items
    history, user = items.ids([2, 4]), recommender.dataset.users.id(3)
    for given, name, ranked in (
        ((), "query", recommender.recommend_for_history([], 10, query=word)),
        (
            ("--history", *history),
            "history",
            recommender.recommend_for_history(history, 10, query=word),
        ),
        (("--users", user), user, recommender.recommend([user], 10, query=word)),
    ):
        found = printed(capsys, "recommend", "--run", run.path, "--query", word, *given)
        listed = [(row["item_id"], row["score"]) for row in found["recommendations"][name]]
        assert listed == recommender.named(ranked)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "--query", "war", "5"], "nor does --query alone"),
        (["recommend", "--query", "war", "--out", "F"], "--query is printed"),
        (["recommend", "--all", "--query", "war", "--out", "F"], "--all takes no --query; give"),
        (["recommend", "--histories", "F", "--query", "war"], "--histories takes no --query"),
        (["recommend", "--query", "?!"], "the query has no words"),
        (["similar", "5", "--by", "colour"], "is not one of"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run, capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        main([arguments[0], "--run", str(run.path), *arguments[1:]])
    assert end.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]


@pytest.mark.parametrize("whom", [("--users",), ("--history",), ("--all", "--out")])
def test_filters_that_no_item_passes_are_said_on_standard_error(run, whom, capsys, tmp_path):
    recommender = Recommender.load(run.path)
    dataset = recommender.dataset
    given = {"--users": dataset.users.id(3), "--history": dataset.items.id(2)}
    last, none = given.get(whom[0], tmp_path / "lists"), tmp_path / "none"
    none.touch()
    with pytest.raises(SystemExit) as end:
        main(["recommend", "--run", str(run.path), *whom, str(last), "--include", str(none)])
    assert end.value.code == 0
    said = capsys.readouterr().err
    assert said.count("no item passes the filters: none meets all of them") == 1
