"""Shards hold the lists of ``recommend``, for the run's users and for strangers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import largest
from cllm4rec.errors import InputError
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.recommender import lists as blocks
from cllm4rec.recommender import scorer as scoring
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.catalogue import Filters
from cllm4rec.recommender.lists import fill_lists
from cllm4rec.recommender.lists import ranked as ranked_lists
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.recommend_all import audience_of, recommend_all
from reference import metrics as slow
from support.input_folder import write_rows


@pytest.fixture(scope="module")
def recommender(trained) -> Recommender:
    return Recommender.load(trained.run.path)


@pytest.fixture(scope="module")
def dataset(recommender) -> Dataset:
    return recommender.dataset


def assert_same_lists(found: RankedItems, wanted: RankedItems) -> None:
    np.testing.assert_array_equal(found.items, wanted.items)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=1e-5)


def test_shards_are_the_lists_of_recommend(trained, recommender, dataset, tmp_path):
    result = recommend_all(trained.run, k=8, out=tmp_path / "out", shard_users=150)
    assert (result["users"], result["shards"], result["scored_shards"]) == (400, 3, 3)
    assert result["finished"]
    assert result["left_out"] == {}
    found = RankedItems.read(tmp_path / "out", dataset.users, dataset.items, 8)
    wanted = recommender.recommend(None, 8)
    np.testing.assert_array_equal(found.users, wanted.users)
    assert_same_lists(found, wanted)


def test_who_gets_no_list_is_counted(trained, recommender, tmp_path, monkeypatch):
    report = recommender.dataset.report() | {"users_below_minimum": 7, "users_refused": 2}
    monkeypatch.setattr(Dataset, "report", lambda _: report)
    counted = {"fewer positives than data.minimum_interactions": 7, "no usable row": 2}
    given = {"run": trained.run, "k": 3}
    assert recommend_all(**given, out=tmp_path / "folder")["users_left_out"] == counted
    out = tmp_path / "one.parquet"
    assert recommend(**given, out=out, recommender=recommender)["users_left_out"] == counted
    asked = recommend(**given, users=[recommender.dataset.users.id(0)], recommender=recommender)
    assert "users_left_out" not in asked
    histories = write_rows(tmp_path, "histories", [{"user_id": "a", "item_id": "item_000001"}])
    strangers = recommend_all(**given, out=tmp_path / "strangers", histories=histories)
    assert strangers["users_left_out"] == {}


@pytest.fixture(scope="module")
def logits(recommender, dataset) -> Tensor:
    """The language model's, each user asked alone; no blend changes them."""
    scorer, (users, known) = recommender.scorer, everyone(dataset)
    return torch.cat([scorer.logits(users[[n]], known.rows(users[[n]])) for n in users])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("decay", [1.0, 0.6])
@pytest.mark.parametrize("kept", [10, 1000])  # of a row's weights: sparse and dense
def test_the_blend_is_the_recommenders(
    recommender, dataset, logits, monkeypatch, weight, decay, kept
):
    linear = recommender.scorer.linear
    weights = largest(linear.weights, kept)
    assert isinstance(weights, np.ndarray) == (kept == 1000)
    aged = type(linear)(weights, {**linear.settings, "decay": decay})
    scorer = replace(recommender.scorer, linear=aged, weight=weight)
    found = ranked(scorer, dataset)
    monkeypatch.setattr(ModelScorer, "logits", lambda _self, users, _history: logits[users].clone())
    assert_same_lists(found, one_by_one(scorer, dataset))


def test_without_a_linear_model_scores_are_the_logits(recommender, dataset):
    scorer = replace(recommender.scorer.language_model_alone(), anonymous=True)
    assert_same_lists(ranked(scorer, dataset), one_by_one(scorer, dataset))


def test_neither_batches_nor_blocks_change_the_lists(recommender, dataset, monkeypatch):
    scorer = recommender.scorer
    at_once = ranked(scorer, dataset)
    monkeypatch.setattr(scoring, "BATCH_TOKENS", 97)
    monkeypatch.setattr(blocks, "CACHED_SCORES", len(dataset.items))
    monkeypatch.setattr(blocks, "BLOCK_SCORES", 3 * len(dataset.items))
    assert_same_lists(ranked(scorer, dataset), at_once)


def ranked(scorer: ModelScorer, dataset: Dataset) -> RankedItems:
    return ranked_lists(scorer, Audience.of_run(dataset).request(7))


def one_by_one(scorer: ModelScorer, dataset: Dataset) -> RankedItems:
    """Each user scored alone, in a batch of one."""
    users, known = everyone(dataset)
    found = RankedItems.empty(users, 7)
    for user in users:
        history = known.rows([user])
        (found.items[user],), (found.scores[user],) = top_k(
            scorer.score(users[[user]], history), history, 7
        )
    return found


def test_tokens_are_counted_without_padding(recommender, dataset):
    scorer = recommender.scorer
    request = Audience.of_run(dataset).request(3)
    counts = list(fill_lists(scorer, request, RankedItems.empty(request.users, 3)))
    counted = sum(each.tokens for each in counts)
    assert sum(each.users for each in counts) == len(dataset.users)
    batches = [batch for _, batch in scorer.batches(*everyone(dataset))]
    assert counted == sum(int(batch.lengths.sum()) for batch in batches)
    assert counted < sum(batch.tokens.numel() for batch in batches)


def test_some_rows_of_an_audience_are_those_users(recommender, dataset):
    scorer, rows = recommender.scorer, np.array([7, 3, 11])
    some = ranked_lists(scorer, Audience.of_run(dataset).rows(rows).request(6))
    assert some.users.tolist() == [7, 3, 11]
    assert_same_lists(some, recommender.recommend(dataset.users.ids(rows), 6))


def everyone(dataset):
    return np.arange(len(dataset.users), dtype=np.int32), dataset.known("recommend")


def test_queries_are_the_models(recommender, dataset):
    scorer, users = recommender.scorer, np.arange(5, 25, dtype=np.int32)
    known = dataset.known("recommend").rows(users)
    logits = scorer.logits(users, known).numpy()
    items = scorer.model.embedding.items.all().detach().numpy()
    bias = scorer.model.head.bias.detach().numpy()
    for rows, queries in scorer.queries(users, known):
        found = queries.numpy() @ items.T + bias
        np.testing.assert_allclose(found, logits[rows], rtol=0, atol=1e-4)


def test_strangers_get_what_a_bare_history_gets(trained, recommender, dataset, tmp_path):
    rng = np.random.default_rng(3)
    drawn = {
        f"stranger {n:02}": rng.choice(len(dataset.items), 1 + n % 5, replace=False)
        for n in range(30)
    }
    rows = [
        {"user_id": user, "item_id": dataset.items.id(int(item)), "position": place}
        for user, items in drawn.items()
        for place, item in enumerate(items)
    ]
    rng.shuffle(rows)
    rows.append({"user_id": "stranger 00", "item_id": "nothing we sell", "position": 1})
    histories = write_rows(tmp_path, "histories", rows)
    out = tmp_path / "out"
    result = recommend_all(trained.run, histories=histories, k=4, out=out, shard_users=8)
    assert result["left_out"] == {"unknown item": 1}
    table = pq.read_table(out / "part-00001.parquet").to_pylist()
    assert [row["user_id"] for row in table[::4]] == [f"stranger {n:02}" for n in range(8, 16)]
    for place in range(0, len(table), 4):
        user = table[place]["user_id"]
        ids = dataset.items.ids(drawn[user])
        wanted = recommender.recommend_for_history(ids, 4)
        assert [row["item_id"] for row in table[place : place + 4]] == dataset.items.ids(
            wanted.items[0]
        )
    assert not list(out.glob(".*"))
    with pytest.raises(InputError, match="of other histories"):
        recommend_all(trained.run, k=4, out=out, shard_users=8)


def test_a_finished_folder_is_not_scored_again(trained, tmp_path):
    out = tmp_path / "out"
    recommend_all(trained.run, k=3, out=out, shard_users=200)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*part-*")}
    again = recommend_all(trained.run, k=3, out=out, shard_users=200)
    assert (again["scored_shards"], again["scored_users"], again["finished"]) == (0, 0, True)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*part-*")} == before
    with pytest.raises(InputError, match="of another k"):
        recommend_all(trained.run, k=4, out=out, shard_users=200)


@pytest.mark.parametrize("seen", [False, True])
def test_a_folder_keeps_to_its_filters(trained, recommender, dataset, tmp_path, seen):
    """Against all scores, sorted; a repeated call goes on, one with other filters is refused."""
    ids, out = dataset.items.ids(range(len(dataset.items))), tmp_path / "out"
    filters = Filters(include=ids[10:30], exclude=ids[25:], seen=seen)
    asked = {"k": 4, "out": out, "shard_users": 150}
    recommend_all(trained.run, **asked, filters=filters)
    found = RankedItems.read(out, dataset.users, dataset.items, 4)
    users, known = everyone(dataset)
    scores, others = recommender.scorer.score(users, known), set(range(120)) - set(range(10, 25))
    for user in (0, 149, 150, 399):
        history = set() if seen else set(known.of(user).tolist())
        assert found.items[user].tolist() == slow.top_k(scores[user].tolist(), history | others, 4)
    (out / "part-00001.parquet").unlink()
    same = Filters(include=ids[29:9:-1], exclude=ids[25:], where={}, seen=seen)
    again = recommend_all(trained.run, **asked, filters=same)
    assert (again["scored_shards"], again["finished"]) == (1, True)
    for other in (Filters(), replace(filters, seen=not seen), replace(filters, include=ids[10:29])):
        with pytest.raises(InputError, match=r"holds lists with other filters .*; choose another"):
            recommend_all(trained.run, **asked, filters=other)


def test_filters_are_checked_before_a_folder_is_made(trained, tmp_path):
    for wrong in (Filters(where={"colour": "red"}), Filters(include=["nothing"])):
        with pytest.raises(InputError):
            recommend_all(trained.run, out=tmp_path / "out", filters=wrong)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_ours_is_left_as_it_is(trained, tmp_path):
    foreign = tmp_path / "foreign"
    (foreign / ".histories-0").mkdir(parents=True)
    for name in ("mine.txt", ".histories-0/precious"):
        (foreign / name).write_text("mine")
    histories = write_rows(tmp_path, "histories", [{"user_id": "a", "item_id": "item_000001"}])
    with pytest.raises(InputError, match=r"not empty and holds no _batch\.json"):
        recommend_all(trained.run, out=foreign, histories=histories)
    assert (foreign / ".histories-0" / "precious").read_text() == "mine"
    assert sorted(x.name for x in foreign.iterdir()) == [".histories-0", "mine.txt"]


def test_histories_have_the_columns_of_the_runs_data(recommender, tmp_path):
    columns = {"user_id": "customer", "item_id": "sku"}
    run = SimpleNamespace(
        dataset=recommender.dataset, config=recommender.config.changed(data={"columns": columns})
    )
    path = write_rows(tmp_path, "histories", [{"customer": "a", "sku": "item_000001"}])
    with audience_of(run, path, tmp_path / "out") as audience:
        assert audience.ids.to_pylist() == ["a"]


def test_histories_that_cannot_be_used_leave_no_folder(trained, tmp_path):
    histories = write_rows(tmp_path, "histories", [{"user_id": "a", "item_id": "nothing"}])
    with pytest.raises(InputError):
        recommend_all(trained.run, out=tmp_path / "out", histories=histories)
    assert not (tmp_path / "out").exists()


def test_what_a_killed_process_left_goes_with_the_last_shard(trained, tmp_path):
    left = tmp_path / "out" / ".histories-killed"
    left.mkdir(parents=True)
    histories = write_rows(tmp_path, "histories", [{"user_id": "a", "item_id": "item_000001"}])
    result = recommend_all(trained.run, out=left.parent, histories=histories)
    assert result["finished"]
    assert not left.exists()


def test_a_file_in_the_folders_place_is_refused(trained, tmp_path):
    (tmp_path / "lists.csv").touch()
    histories = write_rows(tmp_path, "histories", [{"user_id": "a", "item_id": "item_000001"}])
    for given in (None, histories):
        with pytest.raises(InputError, match=r"lists\.csv is a file; choose a folder"):
            recommend_all(trained.run, out=tmp_path / "lists.csv", histories=given)


def test_the_folder_is_evaluated_like_a_file(trained, dataset, tmp_path, capsys):
    """What is recommended knows the test part; so its lists hit nothing of it."""
    out = tmp_path / "out"
    recommend_all(trained.run, k=20, out=out, shard_users=300)
    capsys.readouterr()
    (row,) = evaluate(trained.run, topk=out)["rows"]
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "held-out item" in line]
    assert f"no list in {out} has a held-out item of its user: lists for service" in said
    assert "leave out only train, valid and history of" in said
    assert row["model"] == "out"
    assert row["metrics"]["recall@20"]["mean"] == 0.0
    shard = out / "part-00001.parquet"
    whole = shard.read_bytes()
    for damage in (lambda: shard.write_bytes(whole[:-1] + b"x"), shard.unlink):
        damage()
        with pytest.raises(InputError, match=r"part-00001\.parquet is missing or not what was"):
            evaluate(trained.run, topk=out)
    (out / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="is not finished"):
        evaluate(trained.run, topk=out)


def test_each_of_two_processes_does_its_shards(trained, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, numbers, finished in (("1", [1, 3], False), ("0", [0, 1, 2, 3], True)):
        monkeypatch.setenv("RANK", rank)
        with progress.quiet():
            result = recommend_all(trained.run, k=3, out=out, shard_users=100)
        assert result["process"] == f"{rank} of 2"
        assert result["finished"] is finished
        assert sorted(out.glob("*.parquet")) == [out / f"part-0000{n}.parquet" for n in numbers]
    assert json.loads((out / "_SUCCESS").read_text())["rows"] == 400 * 3
