"""Queries in words: what a run keeps for them, and what comes of them."""

import shutil

import numpy as np
import pandas as pd
import pytest

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.baselines import Context
from cllm4rec.errors import InputError
from cllm4rec.models.reading import Reader
from cllm4rec.recommender.queries import ALIKE, MAX_CHARACTERS, NUMBERS, WORDS, Queries
from cllm4rec.recommender.saved import Recommender
from reference.queries import asked_for, bm25, standardised
from support.trained import small_run

TEXTS = [
    "Robots and a quiet robot",
    "A quiet family drama",
    "Family of robots, quiet",
    "War at sea",
    "the war",
    "",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone):
    return small_run(tmp_path_factory, backbone)


@pytest.fixture(scope="module")
def model(run) -> CLLM4Rec:
    with progress.quiet():
        return CLLM4Rec.load(run.path)


@pytest.fixture(scope="module")
def exact() -> Queries:
    found = Queries.of(TEXTS, None)
    assert found is not None
    return found


def word(model) -> str:
    return model.recommender_.queries.index.terms[0]


def added_by(recommender, query):
    texts = Context.of(recommender.dataset).words
    return asked_for(recommender.queries.scores(query), texts, query)


@pytest.mark.parametrize(
    "query", ["quiet robots", "WAR", "family, quiet; war", "at the", "the war"]
)
def test_without_a_reader_the_scores_are_okapis(exact, query):
    np.testing.assert_allclose(exact.scores(query), bm25(TEXTS, query), rtol=1e-5)


def test_a_word_stands_for_those_read_most_like_it(run, model, backbone):
    queries = model.recommender_.queries
    number = sum(not queries.index.is_alone(term) for term in queries.index.terms)
    terms, reader = list(queries.index.terms)[:number], queries.reader
    assert reader is not None
    read = Reader(**reader).vectors(terms).astype(np.float64)
    vectors = (read - read.mean(axis=0)) @ queries.readings.whitening.axes
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in (0, len(terms) // 2):
        cosines = vectors @ vectors[row]
        alike = np.argsort(-cosines)[:ALIKE]
        weights = np.zeros(len(terms))
        weights[alike] = np.maximum(cosines[alike], 0) ** 2
        wanted = queries.index.weights.toarray()[:number].T @ weights
        assert queries.alike(terms[row])[terms[row]] == pytest.approx(1, abs=2e-3)
        assert len(queries.alike(terms[row])) == min(ALIKE, len(terms))
        np.testing.assert_allclose(queries.scores(terms[row]), wanted, atol=0.02 * wanted.max())


def test_where_every_word_stands_alone_no_other_is_read(model):
    queries = Queries.of(["the 1", "a 1", "the a"], model.recommender_.queries.reader)
    assert queries.alike("war") == {}
    assert queries.alike("the") == {"the": 1}


def test_a_function_word_and_a_character_stand_for_themselves_alone(model):
    queries = Queries.of([*TEXTS, "Vitamin C", "Vitamin D"], model.recommender_.queries.reader)
    for word in ("the", "c", "d"):
        assert queries.alike(word) == {word: 1}
    assert queries.alike("e") == {}  # not read either
    assert [queries.index.terms[at] for at in range(len(queries.readings.vectors))] == sorted({
        "robots",
        "robot",
        "quiet",
        "family",
        "drama",
        "war",
        "sea",
        "vitamin",
    })
    scores = queries.scores("the")
    assert np.flatnonzero(scores).tolist() == [4]


@pytest.mark.parametrize(("query", "item"), [("vitamin c", 0), ("vitamin d", 1), ("fire", 2)])
def test_single_characters_and_common_words_decide(query, item):
    of = Queries.of(["Vitamin C", "Vitamin D", "Fire pit", "The thin"], None)
    assert int(of.scores(query).argmax()) == item
    assert int(of.wanted(query).words.argmax()) == item


def test_a_word_of_one_item_finds_it_first(model):
    queries = model.recommender_.queries
    texts = [*TEXTS[:3], "Jumanji"]
    of = Queries.of(texts, queries.reader)
    assert int(of.scores("jumanji").argmax()) == 3
    assert of.alike("jumanji")["jumanji"] == pytest.approx(1, abs=2e-3)


def test_a_word_of_no_item_is_read_and_not_kept(run, model, tmp_path, monkeypatch):
    queries = model.recommender_.queries
    longer = word(model) + "s"
    assert longer not in queries.index.rows
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path))
    monkeypatch.setattr("cllm4rec.recommender.queries.LEAST_COSINE", -1.0)
    readings = queries.readings
    read = readings.whitening.applied(Reader(**queries.reader).loaded().read([longer]))[0]
    cosines = readings.vectors @ read
    found = queries.alike(longer)
    assert next(iter(found)) == queries.index.terms[int(cosines.argmax())]
    assert list(tmp_path.rglob("*.safetensors")) == []  # nothing of a user's words on a disk


def test_a_query_is_added_to_standardised_taste(model):
    recommender: Recommender = model.recommender_
    items = recommender.dataset.items
    history, query = items.ids([1, 2, 3]), word(model)
    assert not recommender.queries.wanted(query).titles.any()
    wanted = added_by(recommender, query)
    users = recommender.dataset.users.ids([4, 9])
    for name, given in ((users[0], {"users": users}), ("history", {"items": history})):
        ask = model.recommend if "users" in given else model.recommend_for_history
        plain, asked = ask(**given, k=len(items)), ask(**given, k=len(items), query=query)
        if isinstance(plain, dict):
            plain, asked = plain[name], asked[name]
        assert {item for item, _ in plain} == {item for item, _ in asked}
        number = {item: items.number(item) for item, _ in plain}
        # Standardised over the catalogue, of which the history's items are not listed.
        taste = dict(plain)
        slope = {item: score - wanted[number[item]] for item, score in asked}
        fit = np.polyfit([taste[i] for i in number], [slope[i] for i in number], 1)
        np.testing.assert_allclose(
            [slope[i] for i in number], np.polyval(fit, [taste[i] for i in number]), atol=1e-4
        )
        assert fit[0] > 0


def test_a_query_alone_lists_its_items_the_popular_ones_first(model):
    recommender = model.recommender_
    query, items = word(model), recommender.dataset.items
    counts = recommender.dataset.part("train").item_counts()
    logs = np.log1p(counts)
    logs[counts == 0] = logs[counts > 0].mean()  # who could have had them?
    wanted = standardised(logs) + added_by(recommender, query)
    [(name, listed)] = model.recommend(query=query, k=7).items()
    assert name == query
    np.testing.assert_allclose([score for _, score in listed], np.sort(wanted)[:-8:-1], rtol=1e-4)
    assert model.recommend_for_history([], query=query, k=7) == listed
    only = items.ids([5, 6])
    filtered = model.recommend(query=query, include=only)[query]
    assert {item for item, _ in filtered} == set(only)


def test_many_users_are_answered_as_one_by_one(model):
    users = model.recommender_.dataset.users.ids([0, 5, 11])
    together = model.recommend(users, query=word(model))
    for user in users:
        alone = model.recommend([user], query=word(model))[user]
        assert [item for item, _ in alone] == [item for item, _ in together[user]]
        np.testing.assert_allclose(
            [score for _, score in alone], [score for _, score in together[user]], atol=1e-5
        )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "has no words"),
        (" \n ", "has no words"),
        ("!?", "has no words"),
        ("war " * 30_000, f"has 120,000 characters; give at most {MAX_CHARACTERS:,}"),
        ("кино войны", "no item's text has a word of the query"),
        ("xqzzt", "no item's text has a word of the query"),
        (" ".join(f"xq{n}" for n in range(64)) + " war", "one of the query's first 64 words"),
        (7, "query is no text but int"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_line(exact, query, message):
    with pytest.raises(InputError, match=message) as error:
        exact.scores(query)
    assert "\n" not in str(error.value)
    assert "кино" not in str(error.value)


def test_a_history_that_is_empty_needs_a_query(model):
    with pytest.raises(InputError, match="give at least one item id, or a query"):
        model.recommend_for_history([])


def test_a_run_without_texts_says_so(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    for name in (NUMBERS, WORDS):
        (tmp_path / "run" / "model" / name).unlink()
    with pytest.raises(InputError, match="answers no queries in words: its items have no texts"):
        Queries.read(tmp_path / "run")
    assert Queries.of(["", "?"], None) is None  # no words


def test_an_item_that_was_added_is_found_at_once(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    with progress.quiet():
        model = CLLM4Rec.load(tmp_path / "run")
        rare = max(model.recommender_.queries.index.terms, key=len)
        before = model.recommender_.queries.scores(rare)
        model.add_items(pd.DataFrame({"item_id": ["fresh"], "text": [f"{rare} {rare}"]}))
    scores = model.recommender_.queries.scores(rare)
    np.testing.assert_array_equal(scores[:-1], before)
    assert scores[-1] > np.median(before)
    popularity = model.recommender_.catalogue.popularity
    assert popularity[-1] == pytest.approx(popularity[:-1].mean())
    assert "fresh" in dict(model.recommend(query=rare, k=100)[rare])


def test_a_word_that_only_an_added_item_has_finds_it_first(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    with progress.quiet():
        model = CLLM4Rec.load(tmp_path / "run")
        terms, old = list(model.recommender_.queries.index.terms), word(model)
        before = model.recommender_.queries.scores(old)
        model.add_items(pd.DataFrame({"item_id": ["fresh"], "text": [f"{old} zorbofix"]}))
        queries = model.recommender_.queries
        listed = model.recommend(query="zorbofix", k=3)["zorbofix"]
    assert listed[0][0] == "fresh"
    assert "zorbofix" not in terms
    assert next(iter(queries.alike("zorbofix").items())) == ("zorbofix", 1)
    assert len(queries.alike("zorbofix")) <= ALIKE
    # Readings are of the words of the training, and other queries' scores stay.
    assert len(queries.readings.vectors) == len([t for t in terms if not queries.index.is_alone(t)])
    np.testing.assert_array_equal(queries.scores(old)[:-1], before)


def test_added_items_are_found_and_others_keep_their_weights(exact):
    texts = ["Quiet, quiet war", "unheard"]
    further = exact.index.with_items(texts)
    assert further.weights.shape == (len(exact.index.terms) + 1, len(TEXTS) + 2)
    kept = further.weights[:-1, : len(TEXTS)].toarray()
    np.testing.assert_array_equal(kept, exact.index.weights.toarray())
    quiet = further.weights[further.rows["quiet"]].toarray()[0]
    assert quiet[len(TEXTS)] > 0
    assert quiet[-1] == 0
    [unheard] = further.weights[further.rows["unheard"]].toarray()
    assert unheard[:-1].tolist() == [0] * (len(TEXTS) + 1)
    idf = np.log(1 + (len(TEXTS) + 2 - 1 + 0.5) / 1.5)
    long = 1 - 0.3 + 0.3 / exact.index.mean_words
    assert unheard[-1] == pytest.approx(idf / (1 + 1.2 * long))


@pytest.mark.parametrize("query", ["quiet", "quiet robots", "robot family", "war unknown", ""])
def test_every_word_must_be_there(exact, query):
    words = exact.index.words_of(query)
    slow = [bool(words) and all(w in exact.index.words_of(text) for w in words) for text in TEXTS]
    assert exact.index.having_all(words).tolist() == slow
