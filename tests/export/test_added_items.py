"""Items that were added after training are in an export as in the run."""

import shutil

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from cllm4rec import progress
from cllm4rec.export import export_run
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items
from support.trained import small_run


@pytest.fixture(scope="module")
def exported(tmp_path_factory, backbone):
    folder = tmp_path_factory.mktemp("exported")
    run = RunDir(shutil.copytree(small_run(tmp_path_factory, backbone).path, folder / "run"))
    new = pl.DataFrame({"item_id": ["n1", "n0"], "title": ["A robot", "A detective"]})
    new.write_parquet(folder / "new.parquet")
    with progress.quiet():
        before = Recommender.load(run.path)
        add_items(run, folder / "new.parquet", measure=False)
        manifest = export_run(run, folder / "export", k=20)
    return run, before, folder / "export", manifest


def test_vectors_and_ids_hold_the_added_items_behind_the_others(exported):
    run, before, folder, manifest = exported
    tables = load_file(folder / "vectors.safetensors")
    ids = pl.read_parquet(folder / "items.parquet")["item_id"].to_list()
    assert manifest["items"] == len(ids) == len(tables["items"]) == len(tables["item_biases"]) == 82
    assert ids[80:] == ["n0", "n1"]
    vectors, biases = before.scorer.item_vectors()
    np.testing.assert_array_equal(tables["items"][:80], vectors)
    np.testing.assert_array_equal(tables["item_biases"][:80], biases)
    language = Recommender.load(run.path).scorer.language_model_alone()
    known = before.dataset.known("recommend")
    users = np.arange(8, dtype=np.int32)
    histories = Recommender.load(run.path).dataset.known("recommend").rows(users)
    wanted = language.score(users, histories)
    found = tables["users"][:8] @ tables["items"].T + tables["item_biases"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert known.num_items == 80


def test_the_onnx_model_reads_histories_with_added_items(exported):
    import onnxruntime

    run, _, folder, _ = exported
    recommender = Recommender.load(run.path)
    numbers = recommender.dataset.items.numbers(["n0", "n1"]).tolist()
    from cllm4rec.data.interactions import Interactions

    one = Interactions.from_lists([numbers], 82)
    [(_, batch)] = list(recommender.scorer.batches(np.full(1, -1, np.int32), one))
    session = onnxruntime.InferenceSession(str(folder / "user_vector.onnx"))
    given = {"tokens": batch.tokens.numpy(), "lengths": batch.lengths.numpy()}
    [(_, wanted)] = list(recommender.scorer.queries(np.full(1, -1, np.int32), one))
    np.testing.assert_allclose(session.run(None, given)[0], wanted.numpy(), atol=1e-2)
