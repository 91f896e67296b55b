"""The same question by Python, command line and HTTP has one answer."""

import json

import pandas as pd
import pytest

from cllm4rec import CLLM4Rec, progress
from cllm4rec.cli import main
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError, UnknownId
from cllm4rec.run import RunDir
from cllm4rec.stages.similar import similar

FILTERS = [
    {},
    {"seen": True},
    {"where": {"genre": "genre 1"}},
    {"where": {"genre": "genre 1", "year": "1999", "kind": "tale"}, "seen": True},
    {"where": {"year": 1999}, "seen": True},
    {"where": ["year>=1990", "year<2005", "genre!=genre 1"], "seen": True},
    {"exclude": [3, 4, 5, 6, 7, 8]},
    {"include": range(10, 40), "exclude": [12, 30], "where": {"genre": "genre 0"}},
    {"include": []},
]


@pytest.fixture(scope="module")
def model(run):
    with progress.quiet():
        return CLLM4Rec.load(run)


@pytest.fixture(scope="module")
def dataset(run):
    return Dataset.open(run / "data")


@pytest.fixture
def cli(capsys, tmp_path, run):
    """Asks the program; filters as of the other two doors."""

    def ask(command, *arguments, **filters):
        where = filters.get("where", [])
        if isinstance(where, dict):
            where = [f"{name}={value}" for name, value in where.items()]
        options = [f"--where={condition}" for condition in where]
        for name in ("include", "exclude"):
            if name in filters:
                (tmp_path / name).write_text("\n".join(filters[name]))
                options += [f"--{name}", str(tmp_path / name)]
        options += ["--seen"] if filters.get("seen") else []
        given = [command, "--run", str(run), "--json", *options, *map(str, arguments)]
        with pytest.raises(SystemExit) as exit_:
            main(given)
        out, err = capsys.readouterr()
        assert exit_.value.code == 0, err
        return json.loads(out)

    return ask


def pairs(items):
    return [(item["item_id"], pytest.approx(item["score"], abs=1e-4)) for item in items]


@pytest.mark.parametrize("filters", FILTERS)
def test_lists_of_users_and_of_a_history(client, model, cli, dataset, filters):
    filters = dict(filters)
    for name in filters.keys() & {"include", "exclude"}:
        filters[name] = dataset.items.ids(list(filters[name]))
    users, history = dataset.users.ids([3, 0]), dataset.items.ids([4, 1, 4, 9])
    by_python = model.recommend(users, 8, **filters)
    by_cli = cli("recommend", "--k", 8, "--users", *users, **filters)["recommendations"]
    by_http = client.post("/v1/recommend", json={"users": users, "k": 8, **filters}).json()
    for user, result in zip(users, by_http["results"], strict=True):
        assert by_python[user] == pairs(result["items"])
        assert by_python[user] == pairs(by_cli[user])
    after = model.recommend_for_history(history, 8, **filters)
    body = {"histories": [history], "k": 8, **filters}
    assert after == pairs(client.post("/v1/recommend", json=body).json()["results"][0]["items"])
    assert after == pairs(
        cli("recommend", "--k", 8, "--history", *history, **filters)["recommendations"]["history"]
    )
    assert bool(after) == (filters.get("include") != [])


def test_filters_leave_only_what_they_name(model, dataset):
    user = dataset.users.id(3)
    genres = dataset.texts.item_attributes["genre"]
    everything = dict(model.recommend([user], 10**6)[user])
    some = dict(model.recommend([user], 10**6, where={"genre": "genre 1"})[user])
    wanted = {id for id in everything if genres[dataset.items.number(id)][0].startswith("genre 1|")}
    assert 0 < len(some) < len(everything)
    assert some.keys() == wanted
    assert all(everything[item] == pytest.approx(score, abs=1e-5) for item, score in some.items())
    seen = dict(model.recommend([user], 10**6, seen=True)[user])
    assert len(seen) == len(dataset.items) > len(everything)


def test_conditions_leave_only_what_meets_all_of_them(model, dataset):
    user, every = dataset.users.id(3), dataset.texts.item_attributes
    listed = dict(
        model.recommend([user], 10**6, where=["year>=1999", "genre!=genre 1"], seen=True)[user]
    )
    wanted = [
        item
        for item, (genre, year) in enumerate(zip(every["genre"], every["year"], strict=True))
        if int(year[0]) >= 1999 and "genre 1|" not in genre[0]
    ]
    assert 0 < len(wanted) < len([year for year in every["year"] if int(year[0]) >= 1999])
    assert sorted(listed) == sorted(dataset.items.ids(wanted))


def test_everyone_into_a_file_is_filtered_too(model, dataset, cli, tmp_path):
    from cllm4rec.ranking import RankedItems

    out = tmp_path / "lists.parquet"
    where = {"genre": "genre 1"}
    cli("recommend", "--all", "--k", 5, "--out", out, where=where)
    ranked = RankedItems.read(out, dataset.users, dataset.items, 5)
    user = dataset.users.id(7)
    listed = [item for item, _ in model.recommend([user], 5, where=where)[user]]
    row = list(ranked.users).index(7)
    assert dataset.items.ids([item for item in ranked.items[row] if item >= 0]) == listed


def test_everyone_into_csv_is_everyone_into_parquet(cli, tmp_path):
    for name in ("lists.parquet", "lists.csv"):
        result = cli("recommend", "--all", "--k", 5, "--out", tmp_path / name)
        assert result["out"] == str(tmp_path / name)
    written = pd.read_csv(tmp_path / "lists.csv", dtype={"score": "float32", "rank": "int32"})
    expected = pd.read_parquet(tmp_path / "lists.parquet")
    assert len(written) == 5 * expected.user_id.nunique() > 500
    assert written.to_dict("records") == expected.to_dict("records")


def test_similar_items(client, model, cli, dataset):
    item = dataset.items.id(7)
    by_python = model.similar(item, k=6)
    assert len(by_python) == 6
    assert item not in dict(by_python)
    http = client.get("/v1/similar", params={"item_id": item, "k": 6}).json()
    assert by_python == pairs(http["items"])
    assert by_python == pairs(cli("similar", item, "--k", 6)["similar"][item])
    assert len(model.similar(item, k=10**6)) == len(dataset.items) - 1


@pytest.mark.parametrize("item", ["nowhere", "", "two\nlines", "x" * 300])
def test_an_item_that_is_like_nothing_is_refused_by_all_in_one_line(
    client, model, run, item, capsys
):
    with pytest.raises(UnknownId, match="unknown item '") as refused:
        model.similar(item)
    assert "\n" not in str(refused.value)
    with pytest.raises(SystemExit) as exit_:
        main(["similar", "--run", str(run), "--", item])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == f"error: {refused.value}\n"
    with pytest.raises(UnknownId, match="unknown item '"):
        similar(RunDir(run), [item])
    answer = client.get("/v1/similar", params={"item_id": item})
    assert (answer.status_code, answer.json()["error"]) == (404, str(refused.value))


def test_one_text_is_no_list_of_items(run):
    with pytest.raises(InputError, match="items is one text, 'i7'; give a list of ids"):
        similar(RunDir(run), "i7")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("colour=red", "items have no column 'colour'; there are:"),
        ("genre<5", "where genre<5: genre is text, such as"),
        ("year<soon", "where year<soon: year has numbers; give a number, such as year<"),
        ("year", "where: 'year' is no condition; give COLUMN=VALUE"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_all_in_the_same_words(
    client, model, run, dataset, capsys, condition, said
):
    user = dataset.users.id(3)
    with pytest.raises(InputError, match=said) as refused:
        model.recommend([user], where=[condition])
    answer = client.post("/v1/recommend", json={"users": [user], "where": [condition]})
    assert (answer.status_code, answer.json()["error"]) == (422, str(refused.value))
    with pytest.raises(SystemExit) as exit_:
        main(["recommend", "--run", str(run), "--where", condition, "--users", user])
    assert exit_.value.code == 2
    assert str(refused.value) in capsys.readouterr().err
