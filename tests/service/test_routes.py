"""Every route against the library: the service translates and adds nothing."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import reported_measures
from cllm4rec.data.ids import IdMap
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.errors import InputError
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import top_k
from cllm4rec.recommender.explain import explain
from cllm4rec.recommender.saved import Recommender

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def served(holder):
    return holder.current


@pytest.fixture(scope="module")
def recommender(run):
    return Recommender.load(run)


def recommended(client, **body):
    response = client.post("/v1/recommend", json=body)
    assert response.status_code == 200, response.text
    return response.json()["results"]


def ids(result):
    return [item["item_id"] for item in result["items"]]


def test_lists_of_known_users_are_the_recommenders(client, served, recommender):
    users = served.dataset.users.ids([3, 0, 7])
    ranked = recommender.recommend(users, 5)
    for place, result in enumerate(recommended(client, users=users, k=5)):
        assert result["user_id"] == users[place]
        assert ids(result) == served.dataset.items.ids(ranked.items[place])
        scores = [item["score"] for item in result["items"]]
        assert scores == pytest.approx(ranked.scores[place].tolist(), abs=1e-5)
        assert [item["rank"] for item in result["items"]] == [1, 2, 3, 4, 5]
        assert all(item["reasons"] is None for item in result["items"])
        titles = [served.catalogue.titles[number] for number in ranked.items[place]]
        assert [item["title"] for item in result["items"]] == titles


def test_lists_after_histories_are_the_recommenders(client, served, recommender):
    histories = [served.dataset.items.ids(numbers) for numbers in ([1, 2, 3], [9], [4, 1, 4])]
    for history, result in zip(
        histories, recommended(client, histories=histories, k=4), strict=True
    ):
        ranked = recommender.recommend_for_history(history, 4)
        assert result["user_id"] is None
        assert ids(result) == served.dataset.items.ids(ranked.items[0])


def test_the_version_is_the_models(client, served):
    body = {"users": [served.dataset.users.id(0)]}
    assert client.post("/v1/recommend", json=body).json()["model"]["version"] == served.version


def test_filters_leave_out_and_keep_the_order(client, served):
    user = served.dataset.users.id(0)
    everything = ids(recommended(client, users=[user], k=1000)[0])
    assert len(everything) == len(set(everything)) < len(served.dataset.items)
    some, one = everything[3:9], everything[5]
    got = recommended(client, users=[user], k=1000, include=some, exclude=[one])[0]
    assert ids(got) == [item for item in some if item != one]
    assert ids(recommended(client, users=[user], include=[])[0]) == []


def test_seen_items_are_listed_only_when_asked_for(client, served):
    user = served.dataset.users.id(2)
    had = set(served.dataset.items.ids(served.known.of(2)))
    assert not had & set(ids(recommended(client, users=[user], k=1000)[0]))
    assert had < set(ids(recommended(client, users=[user], k=1000, seen=True)[0]))


@pytest.mark.parametrize("short", [False, True])
def test_reasons_are_the_measured_ones(client, served, monkeypatch, short):
    """Where histories may be short, every part of one is weighed as the whole."""
    user = 5
    if short:
        count = len(served.known.of(user))
        by_length = ByLength(((1, 0.0), (count - 1, 0.05), (count, 0.9)))
        monkeypatch.setattr(served.scorer, "by_length", by_length)
        monkeypatch.setattr(served.scorer, "weight", 0.9)
    result = recommended(client, users=[served.dataset.users.id(user)], k=3, explain=True)[0]
    items = served.catalogue.item_numbers(ids(result))
    history = served.known.of(user)
    scorer = served.scorer.counting(len(history))
    expected = explain(scorer, user, history, np.array(items), len(served.dataset.items))
    for item, found in zip(result["items"], expected, strict=True):
        given = [(reason["item_id"], reason["effect"]) for reason in item["reasons"]]
        assert [each for each, _ in given] == [served.catalogue.ids[r.item] for r in found]
        assert [effect for _, effect in given] == pytest.approx([r.effect for r in found], abs=1e-4)


def test_reasons_that_would_take_too_long_are_refused_at_once(client, served, monkeypatch):
    speed = client.app.state.components.batcher.speed
    monkeypatch.setattr(speed, "seconds", lambda tokens, _largest: 0.0 if tokens < 100 else 99.0)
    body = {"users": served.dataset.users.ids([1]), "explain": True}
    response = client.post("/v1/recommend", json=body)
    assert response.status_code == 422
    assert "would take 99 s; ask for fewer at a time" in response.json()["error"]
    assert client.post("/v1/recommend", json={**body, "explain": False}).status_code == 200


def test_comparison_is_the_tuned_ease(client, served):
    user = 4
    body = {"users": [served.dataset.users.id(user)], "k": 6, "explain": True}
    response = client.post("/v1/compare", json=body).json()
    scorer = tune(
        baseline_named("ease"),
        served.dataset.part("train"),
        Selection.of(served.dataset, reported_measures(newest_held_out=False), 0),
        Context.of(served.dataset),
    ).scorer
    history = served.known.rows([user])
    items, _ = top_k(scorer.score(np.array([user]), history), history, 6)
    assert ids(response["results"][0]) == served.dataset.items.ids(items[0])
    assert response["model"]["version"].startswith("ease-")
    assert response["results"][0]["items"][0]["reasons"]


def test_without_a_validation_part_there_is_no_ease_to_compare_with(served):
    codes = np.zeros_like(served.dataset.part_codes)
    refitted = replace(served, dataset=replace(served.dataset, part_codes=codes))
    with pytest.raises(InputError, match="no EASE to compare with: nothing is held out for valid"):
        refitted.ease()


def test_comparison_takes_one_at_a_time(client, served):
    one, other = served.dataset.users.ids([0, 1])
    for users in ([one, other], [one, "nobody we know"]):
        response = client.post("/v1/compare", json={"users": users})
        assert response.status_code == 422
        assert response.json() == {"error": "compare takes one user or one history at a time"}


def test_similar_items_are_nearest_by_cosine(client, served, recommender):
    table = recommender.scorer.model.embedding.items.all().detach().numpy()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit[7]
    cosines[7] = -np.inf
    response = client.get("/v1/similar", params={"item_id": served.catalogue.ids[7], "k": 5})
    found = response.json()["items"]
    assert [i["item_id"] for i in found] == served.dataset.items.ids(np.argsort(-cosines)[:5])
    assert [i["score"] for i in found] == pytest.approx(np.sort(cosines)[::-1][:5], abs=1e-5)
    everything = client.get("/v1/similar", params={"item_id": served.catalogue.ids[7], "k": 1000})
    assert len(everything.json()["items"]) == len(served.dataset.items) - 1


def test_items_are_found_by_words_and_by_id(client, served):
    title = served.catalogue.titles[3]
    found = client.get("/v1/items", params={"query": title.upper(), "limit": 3}).json()["items"]
    assert found[0]["title"] == title
    item = client.get(f"/v1/items/{served.catalogue.ids[3]}").json()
    assert item == {
        "item_id": served.catalogue.ids[3],
        "title": title,
        "text": served.catalogue.texts[3],
        "attributes": {"genre": "genre 0|of 1", "year": "1999", "kind": "tale"},
        "interactions": int(served.dataset.part("train").item_counts()[3]),
    }


def test_users_are_found_and_their_histories_are_oldest_first(client, served):
    users = client.get("/v1/users", params={"query": "user_00001", "limit": 4}).json()["users"]
    assert users == [f"user_00001{n}" for n in range(4)]
    history = client.get(f"/v1/users/{users[0]}/history").json()["items"]
    number = served.dataset.users.number(users[0])
    expected = served.dataset.items.ids(served.known.of(number))
    assert [item["item_id"] for item in history] == expected


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "give exactly one of users, histories and profile"),
        (
            {"users": ["a"], "histories": [["b"]]},
            "give exactly one of users, histories and profile",
        ),
        ({"users": ["nobody"]}, "unknown user 'nobody'"),
        ({"histories": [["nothing"]]}, "unknown item 'nothing'"),
        ({"users": ["USER_000001"]}, "unknown user 'USER_000001': did you mean 'user_000001'?"),
        ({"users": [1000]}, 'body.users.0: ids are text: write "1000"'),
        ({"histories": [["x", -7]]}, 'body.histories.0.1: ids are text: write "-7"'),
        ({"users": ["user_000001"], "include": [7.0]}, "body.include.0: ids are text, in quotes"),
        ({"users": [10**30]}, "body.users.0: ids are text, in quotes"),
        ({"users": [True]}, "body.users.0: Input should be a valid string"),
        ({"histories": [[]]}, "at least 1 item"),
        ({"histories": [["x"] * 1001]}, "at most 1000 items"),
        ({"users": ["x"] * 65}, "at most 64 items"),
        ({"users": ["user_000001"], "k": 0}, "greater than or equal to 1"),
        ({"users": ["user_000001"], "k": 1001}, "less than or equal to 1000"),
        ({"users": ["user_000001"], "k": "10"}, "valid integer"),
        ({"users": ["user_000001"], "kay": 3}, "body.kay: Extra inputs are not permitted"),
        ({"users": ["user_000001"], "exclud": []}, "not permitted; did you mean exclude?"),
        ({"users": ["user_000001"], "where": {"colour": "red"}}, "no column 'colour'"),
        ({"users": ["user_000001"], "where": {"year": "<5"}}, 'in HTTP "where": ["year<5"]'),
        ({"users": ["user_000001"], "where": "year<5"}, "body.where: give an object, such as"),
        ({"users": ["user_000001"], "where": ["year<5", 3]}, "body.where.list.1: Input should"),
        ({"users": ["user_000001"], "where": ["year<5"] * 17}, "at most 16 items"),
        ({"users": ["user_000001"], "include": ["?"]}, "unknown item '?'"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_422(client, body, error):
    response = client.post("/v1/recommend", json=body)
    assert response.status_code == 422
    assert list(response.json()) == ["error"]
    assert error in response.json()["error"]
    assert "\n" not in response.json()["error"]


@pytest.mark.parametrize(
    "path", ["/v1/items/no%2Fitem", "/v1/similar?item_id=x", "/v1/users/x/history", "/nowhere"]
)
def test_what_is_not_there_is_404(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert list(response.json()) == ["error"]


def test_a_field_that_is_none_is_named_with_the_one_that_was_meant(client):
    body = {"interactions": [{"user_id": "u", "item_id": "i", "timestmp": 3}]}
    said = client.post("/v1/feedback", json=body).json()["error"]
    assert said.startswith("body.interactions.0.timestmp: Extra inputs")
    assert said.endswith("; did you mean timestamp?")
    said = client.get("/v1/items", params={"query": "a", "limt": 3}).json()["error"]
    assert said.endswith("; did you mean limit?")
    said = client.post("/v1/items", json={"items": [{"itemid": "secret"}]}).json()["error"]
    assert "did you mean item_id?" in said
    assert "secret" not in said


def test_a_column_beside_attributes_is_told_where_it_goes(client):
    new = {"item_id": "n", "title": "robot", "Price": "secret"}
    said = client.post("/v1/items", json={"items": [new]}).json()["error"]
    assert said == (
        'body.items.0.Price: Extra inputs are not permitted; further columns go into "attributes"'
    )
    said = client.post("/v1/items", json={"items": [new], "Price": 3}).json()["error"]
    assert "body.Price: Extra inputs are not permitted" in said.split("; ")
    said = client.request("DELETE", "/v1/items", json={"items": [7]}).json()["error"]
    assert said == 'body.items.0: ids are text: write "7"'
    row = {"user_id": 3, "item_id": "i"}
    said = client.post("/v1/feedback", json={"interactions": [row]}).json()["error"]
    assert said == 'body.interactions.0.user_id: ids are text: write "3"'


def test_metrics_name_routes_and_never_ids(client, served):
    client.get(f"/v1/items/{served.catalogue.ids[1]}")
    client.get("/v1/users/secret-user/history")
    page = client.get("/metrics").text
    assert 'route="/v1/items/{item_id:any}",status="200"' in page
    assert 'route="/v1/users/{user_id:any}/history",status="404"' in page
    assert "secret-user" not in page
    assert served.catalogue.ids[1] not in page
    said = (DOCS / "service.md").read_text(encoding="utf-8")
    (paragraph,) = re.findall(r"- `/metrics` has(.*?)\n- ", said, re.DOTALL)
    documented = set(re.findall(r"`(\w+)`", paragraph)) - {"cllm4rec_"}
    there = set(re.findall(r"^# TYPE cllm4rec_(\w+)", page, re.MULTILINE))
    assert documented == {name for name in there if not name.endswith("_created")}


def test_it_is_alive_and_ready(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/docs").status_code == 200


def test_large_answers_are_whole(client, served):
    users = served.dataset.users.ids(list(range(64)))
    results = recommended(client, users=users, k=1000)
    assert [result["user_id"] for result in results] == users
    for number, result in enumerate(results):
        assert len(result["items"]) == len(served.dataset.items) - len(served.known.of(number))


def test_a_history_of_the_longest_kind_is_answered(client, served):
    histories = [list(served.catalogue.ids) * 16][0][:1000]
    assert len(recommended(client, histories=[histories], k=3, seen=True)[0]["items"]) == 3


def test_scores_of_a_history_do_not_depend_on_its_company(client, served):
    histories = [served.dataset.items.ids([n, n + 1]) for n in range(8)]
    together = recommended(client, histories=histories, k=5)
    for history, result in zip(histories, together, strict=True):
        alone = recommended(client, histories=[history], k=5)[0]
        assert ids(alone) == ids(result)
        expected = [item["score"] for item in alone["items"]]
        assert [item["score"] for item in result["items"]] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("item_id", ["new\nline", "/a\n", "\n", "a/b"])
def test_an_id_with_a_line_feed_is_found(client, served, monkeypatch, item_id):
    find = IdMap._find
    monkeypatch.setattr(IdMap, "_find", lambda ids, x: 3 if x == item_id else find(ids, x))
    monkeypatch.setattr(IdMap, "numbers", lambda ids, each: np.array([ids.number(x) for x in each]))
    found = client.get(f"/v1/items/{quote(item_id, safe='')}").json()
    assert found["item_id"] == served.catalogue.ids[3]
    history = client.get(f"/v1/users/{quote(item_id, safe='')}/history").json()
    assert len(history["items"]) == len(served.known.of(3))
