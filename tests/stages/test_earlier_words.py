"""A run whose words an earlier version cut says so, and does not blame what is asked."""

import shutil

import pandas as pd
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.errors import InputError
from cllm4rec.recommender import placing, queries
from cllm4rec.recommender.intact import seal_model
from cllm4rec.run import read_json, write_json
from support.trained import small_run

SENTENCE = "静かな家族の映画"
"""One word to the earlier version."""
TODAY = 2


def model_of(run, folder, cut: int) -> CLLM4Rec:
    """The run as if so old, or not, with a sentence in place of a word."""
    shutil.copytree(run.path, folder)
    model = folder / "model"
    for name in (placing.WORDS, queries.WORDS):
        record = read_json(model / name)
        assert record["cut"] == TODAY
        record["terms"][0] = SENTENCE
        if cut < TODAY:
            del record["cut"]
            record.pop("whole", None)
            record["stop_words"] = sorted(ENGLISH_STOP_WORDS)
        write_json(model / name, record)
    (model / "sha256.json").unlink()
    seal_model(model)
    with progress.quiet():
        return CLLM4Rec.load(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory, backbone) -> dict[int, CLLM4Rec]:
    run, folder = small_run(tmp_path_factory, backbone), tmp_path_factory.mktemp("models")
    return {cut: model_of(run, folder / str(cut), cut) for cut in (1, TODAY)}


@pytest.mark.parametrize(
    ("cut", "asked", "said"),
    [
        (1, "家族", "an earlier version trained this run"),
        (1, "犬", "no item's text has a word"),  # however they are cut, no item has it
        (1, "xqzzt", "no item's text has a word"),
        (TODAY, "家族", "no item's text has a word"),
    ],
)
def test_a_query_and_an_item(models, cut, asked, said, monkeypatch):
    monkeypatch.setattr("cllm4rec.recommender.queries.LEAST_COSINE", 2.0)  # none reads alike
    with progress.quiet():
        with pytest.raises(InputError, match=said) as query:
            models[cut].recommend(query=asked)
        with pytest.raises(InputError) as item:
            models[cut].add_items(pd.DataFrame({"item_id": ["new"], "title": [asked]}))
    assert "\n" not in str(query.value)
    for word in ("earlier version", "train it again"):
        assert (word in str(item.value)) == (word in str(query.value))


@pytest.mark.parametrize("asked", ["fire", "5", "full 5"])
def test_words_that_an_earlier_version_left_out(models, asked, monkeypatch):
    monkeypatch.setattr("cllm4rec.recommender.queries.LEAST_COSINE", 2.0)  # none reads alike
    with progress.quiet():
        with pytest.raises(InputError, match="left out single characters and words such as fire"):
            models[1].recommend(query=asked)
        with pytest.raises(InputError, match="no item's text has a word"):
            models[TODAY].recommend(query=asked)
        word = models[1].recommender_.queries.index.terms[1]
        old, new = (models[cut].recommend(query=f"{word} 5", k=3) for cut in (1, TODAY))
        assert [item for item, _ in old[f"{word} 5"]] == [
            item for item, _ in models[1].recommend(query=word, k=3)[word]
        ]
        assert new


def test_items_are_added_to_an_old_run_and_found_by_todays_words(models):
    with progress.quiet():
        word = models[1].recommender_.queries.index.terms[1]
        models[1].add_items(pd.DataFrame({"item_id": ["fresh"], "text": [f"{word} 東京物語"]}))
        assert models[1].recommend(query="物語", k=1)["物語"][0][0] == "fresh"
        models[1].remove_items(["fresh"])
