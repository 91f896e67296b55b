import numpy as np
import pyarrow.parquet as pq
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources import SOURCES
from cllm4rec.data.sources.synthetic import GENRE_WORDS, write_planted_world


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    world = write_planted_world(folder / "in")
    dataset = Dataset.load(folder / "in", split=folder / "in" / "split.parquet",
                           folder=folder / "data")  # fmt: skip
    return world, dataset


def test_it_is_prepared_without_a_refusal(planted):
    world, dataset = planted
    refused = dataset.report()["refused"]
    assert refused["interactions"] == refused["split"] == refused["items"] == {}
    assert set(refused["reviews"]) == {"pair not in training"}
    assert dataset.users.ids(range(len(dataset.users))) == world.user_ids
    assert set(dataset.items.ids(range(len(dataset.items)))) <= set(world.item_ids)


def test_the_truth_is_a_distribution_per_user(planted):
    world, _ = planted
    assert world.probabilities.shape == (400, 120)
    assert (world.probabilities > 0).all()
    np.testing.assert_allclose(world.probabilities.sum(axis=1), 1.0)


def test_users_follow_their_tastes(planted):
    """19 choices in 20 fall on one or two of six genres: far more than the third by chance."""
    world, dataset = planted
    chosen = dataset.known("recommend")
    columns = columns_of(world, dataset)
    per_genre = np.zeros((400, 6))
    np.add.at(per_genre, (chosen.users(), world.genres[columns[chosen.items]]), 1)
    two_best = np.sort(per_genre, axis=1)[:, -2:].sum()
    assert two_best / len(chosen) > 0.9


def test_sparse_users_have_two_training_pairs(planted):
    world, dataset = planted
    counts = {part: dataset.part(part).counts() for part in ("train", "valid", "test")}
    assert world.sparse.sum() == 240
    assert (counts["train"][world.sparse] == 2).all()
    assert (counts["valid"][world.sparse] == 1).all()
    assert (counts["test"] >= 1).all()
    assert (counts["valid"] >= 1).all()
    assert (counts["train"][~world.sparse] >= 5).all()


def test_titles_tell_the_genre(planted):
    world, dataset = planted
    words = {word: genre for genre, words in enumerate(GENRE_WORDS) for word in words}
    columns = columns_of(world, dataset)
    for item, title in enumerate(dataset.texts.item_titles):
        told = {words[word] for word in title.lower().split() if word in words}
        assert told == {world.genres[columns[item]]}


def test_content_helps_where_co_occurrence_cannot(planted):
    """Test items of sparse users: by genre of the titles, against cosine of co-occurrence."""
    world, dataset = planted
    train, test = dataset.part("train"), dataset.part("test")
    users = np.flatnonzero(world.sparse)
    history = train.matrix().toarray()[users]
    wanted = test.matrix().toarray()[users]
    popularity = train.item_counts()
    norms = np.sqrt(np.maximum(popularity, 1))
    together = (train.matrix().T @ train.matrix()).toarray() / np.outer(norms, norms)
    np.fill_diagonal(together, 0)
    genres = np.eye(6)[world.genres[columns_of(world, dataset)]]
    per_genre = genres.T @ popularity
    by_title = (history @ genres) @ (genres * popularity[:, None] / per_genre).T
    truth = world.probabilities[users][:, columns_of(world, dataset)]
    recall = {
        name: recall_at_20(np.where(history > 0, -1, scores), wanted)
        for name, scores in {
            "popularity": np.broadcast_to(popularity, history.shape),
            "together": history @ together,
            "title": by_title,
            "truth": truth,
        }.items()
    }
    assert recall["popularity"] + 0.05 < recall["together"]
    assert recall["together"] + 0.03 < recall["title"]
    assert recall["title"] < recall["truth"] + 0.02


def recall_at_20(scores, wanted):
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    return np.mean(np.take_along_axis(wanted, ranked, axis=1).sum(axis=1) / wanted.sum(axis=1))


def columns_of(world, dataset):
    """Column of the world's table for each item number (items nobody chose have no number)."""
    places = {item_id: place for place, item_id in enumerate(world.item_ids)}
    return np.array([places[each] for each in dataset.items.ids(range(len(dataset.items)))])


def test_the_seed_decides(tmp_path):
    small = {"users": 20, "items": 30, "genres": 3}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_planted_world(tmp_path / name, seed=seed, **small)
    for file in ("interactions", "items", "reviews", "split"):
        a, b, c = (pq.read_table(tmp_path / name / f"{file}.parquet") for name in "abc")
        assert a == b
        assert a != c


def test_sources_write_folders(tmp_path):
    SOURCES["planted-world"](tmp_path / "world")
    assert (tmp_path / "world" / "interactions.parquet").is_file()
    assert set(SOURCES) == {"movielens-100k", "planted-world"}
