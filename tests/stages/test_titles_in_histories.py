"""``corpus.words``: with titles what is trained, saved and asked reads them; refused without."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.export.run import export_run
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items
from cllm4rec.stages.train import train
from support.toy_run import toy_config

TITLES = ("corpus.words=titles", "corpus.title_words=6", "finetune.epochs=1")


@pytest.fixture(scope="module")
def run(trained, backbone, tmp_path_factory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("titles") / "run").create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    with progress.quiet():
        train(run, toy_config(backbone, *TITLES))
    return run


def asked(recommender: Recommender, item: int) -> list[int]:
    """Tokens of the question about one item."""
    task = recommender.scorer.task
    history = Interactions.from_lists([[item]], task.space.num_items)
    rows = task.questions(np.array([task.placeholder], np.int32), history)
    return rows.tokens.tolist()


def words_of(recommender: Recommender, title: str) -> list[int]:
    [tokens] = recommender.lm.tokenizer.encode([" " + title])
    return tokens[:6]


def test_a_loaded_model_is_asked_with_titles_and_they_count(run):
    recommender = Recommender.load(run.path)
    scorer = recommender.scorer
    title = recommender.dataset.texts.item_titles[7]
    tokens, wanted = asked(recommender, 7), [scorer.task.space.item(7)]
    wanted += words_of(recommender, title)
    at = tokens.index(wanted[0])
    assert tokens[at : at + len(wanted)] == wanted
    users, known = np.array([0, 1]), recommender.dataset.known("test").rows(np.array([0, 1]))
    with_titles = scorer.language_model_alone().score(users, known)
    scorer.task.words = None
    assert np.abs(with_titles - scorer.language_model_alone().score(users, known)).max() > 1e-4


def test_users_are_scored_together_as_alone(run):
    recommender = Recommender.load(run.path)
    users = np.arange(12)
    known = recommender.dataset.known("test").rows(users)
    together = recommender.scorer.score(users, known)
    for user in (0, 5, 11):
        alone = recommender.scorer.score(users[user : user + 1], known.rows(np.array([user])))
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-4, atol=1e-4)


def test_an_added_item_is_read_with_its_title(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    row = {"item_id": "zz", "title": "The Summer of the Galaxy", "text": "A tale of an orbit."}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "new.parquet")
    with progress.quiet():
        add_items(RunDir(tmp_path / "run"), tmp_path / "new.parquet", measure=False)
    recommender = Recommender.load(tmp_path / "run")
    item = recommender.dataset.items.numbers(["zz"])[0]
    tokens = asked(recommender, int(item))
    at = tokens.index(recommender.scorer.task.space.item(int(item)))
    words = words_of(recommender, row["title"])
    assert tokens[at + 1 : at + 1 + len(words)] == words


def test_the_onnx_model_knows_no_titles(run, tmp_path):
    pytest.importorskip("faiss")
    with pytest.raises(InputError, match="documents have no words"):
        export_run(run, tmp_path / "out", onnx=True)


def test_titles_are_refused_where_there_are_none(trained, backbone, tmp_path):
    run = RunDir(tmp_path / "run").create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    items = pq.read_table(run.file("data", "items.parquet"))
    nothing = pa.nulls(len(items), pa.large_string())
    for name in ("title", "text"):
        items = items.set_column(items.schema.get_field_index(name), name, nothing)
    pq.write_table(items, run.file("data", "items.parquet"))
    run.finish("prepare", [run.file("data")], 0.0)
    with progress.quiet(), pytest.raises(ConfigError, match="no item has a title or a text"):
        train(run, toy_config(backbone, *TITLES))


def test_both_ways_are_refused_without_texts(trained, backbone, tmp_path):
    run = RunDir(tmp_path / "run").create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    given = "corpus.words=both-ways", "model.content=false"
    with progress.quiet(), pytest.raises(ConfigError, match="both-ways: there are no texts"):
        train(run, toy_config(backbone, *given))
