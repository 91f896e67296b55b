"""The eight-bit model is what it is said to be, and what it costs is measured, not assumed."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.export import export_run, int8
from cllm4rec.export.int8 import write_int8
from cllm4rec.export.page import page
from cllm4rec.recommender.audience import Audience
from reference.metrics import ndcg_at, recall_at, top_k


@pytest.fixture(scope="module")
def both(exported):
    return exported


@pytest.fixture(scope="module")
def said(both):
    return json.loads((both / "manifest.json").read_text())["int8"]


def lists_of(path, recommender, users, known):
    """Lists of 100 by the model in ``path``, user by user and score by score."""
    session = onnxruntime.InferenceSession(path)
    model = recommender.scorer.model
    items, bias = model.embedding.items.all().detach().numpy(), model.head.bias.detach().numpy()
    lists = [[]] * len(users)
    for rows, batch in recommender.scorer.batches(users, known):
        for row, tokens, length in zip(rows, batch.tokens, batch.lengths, strict=True):
            given = {"tokens": tokens[None, :length].numpy(), "lengths": length[None].numpy()}
            vector = session.run(None, given)[0][0]
            scores = (items @ vector + bias).tolist()
            lists[row] = top_k(scores, set(known.of(int(row)).tolist()), 100)
    return lists


def test_what_it_costs_is_what_loops_find(both, said, recommender):
    dataset = recommender.dataset
    test, known = dataset.part("test"), dataset.known("test")
    users = np.flatnonzero(test.counts()).astype(np.int32)
    assert said["part"] == "test"
    assert said["users"] == len(users)
    names = ("user_vector.onnx", "user_vector.int8.onnx")
    whole, eight = (lists_of(both / n, recommender, users, known.rows(users)) for n in names)
    assert said["bytes"] == (both / names[1]).stat().st_size
    assert said["float32_bytes"] == (both / names[0]).stat().st_size
    shared = [
        len(set(a) & set(b) - {-1}) / len(set(a) - {-1}) for a, b in zip(whole, eight, strict=True)
    ]
    # Alone and in a batch a row is rounded by another scale, so that neighbours may change places.
    assert said["overlap"] == pytest.approx(np.mean(shared), abs=0.02)
    for name, measure, k in (("recall@20", recall_at, 20), ("ndcg@100", ndcg_at, 100)):
        wanted = [set(test.of(int(user)).tolist()) for user in users]
        found = np.mean([measure(a, w, k) for a, w in zip(whole, wanted, strict=True)])
        assert said[name][0] == pytest.approx(found, abs=1e-6)
        found = np.mean([measure(a, w, k) for a, w in zip(eight, wanted, strict=True)])
        assert said[name][1] == pytest.approx(found, abs=0.02)


def test_the_lists_compared_are_of_both_models(both, recommender, tmp_path, monkeypatch):
    """Of eighty items lists of 100 have them all; the best eight may differ, and do."""
    monkeypatch.setattr(int8, "DEPTH", 8)
    source = both / "user_vector.onnx"
    with progress.quiet():
        said = write_int8(recommender.scorer, recommender.dataset, source, tmp_path / "m8.onnx")
    dataset = recommender.dataset
    users = np.flatnonzero(dataset.part("test").counts()).astype(np.int32)
    known = dataset.known("test").rows(users)
    whole, eight = (
        lists_of(path, recommender, users, known) for path in (source, tmp_path / "m8.onnx")
    )
    shared = [len(set(a[:8]) & set(b[:8])) / 8 for a, b in zip(whole, eight, strict=True)]
    assert said["overlap"] == pytest.approx(np.mean(shared), abs=0.02)
    assert said["overlap"] < 1


def test_products_are_of_eight_bits_and_tables_are_not(both):
    graph = onnx.load(both / "user_vector.int8.onnx").graph
    operations = [node.op_type for node in graph.node]
    assert operations.count("MatMulInteger") > 0
    kinds = {tensor.data_type for tensor in graph.initializer if len(tensor.dims) == 2}
    assert {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT} <= kinds


def test_its_vectors_are_near_and_no_copies(both, recommender):
    scorer = recommender.scorer
    audience = Audience.of_run(recommender.dataset)
    sessions = [
        onnxruntime.InferenceSession(both / name)
        for name in ("user_vector.onnx", "user_vector.int8.onnx")
    ]
    for _, batch in scorer.batches(audience.numbers, audience.histories):
        given = {"tokens": batch.tokens.numpy(), "lengths": batch.lengths.numpy()}
        whole, eight = (session.run(None, given)[0] for session in sessions)
        apart = np.linalg.norm(eight - whole) / np.linalg.norm(whole)
        assert 0 < apart < 0.1


def test_weights_that_stand_in_a_file_of_their_own_do_so_again(both, recommender, tmp_path):
    """As `write_onnx` leaves them where one file would not do; `test_vectors_are_torchs` has it."""
    scorer = recommender.scorer
    onnx.save(
        onnx.load(both / "user_vector.onnx"),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.onnx.data",
        size_threshold=256,  # shapes stay inside, as there
    )
    with progress.quiet():
        said = write_int8(scorer, recommender.dataset, tmp_path / "m.onnx", tmp_path / "m8.onnx")
    for name, size in (("m.onnx", said["float32_bytes"]), ("m8.onnx", said["bytes"])):
        files = list(tmp_path.glob(f"{name}*"))
        assert len(files) == 2
        assert size == sum(file.stat().st_size for file in files)
    assert said["overlap"] > 0.9


def test_without_held_out_items_only_the_sizes_are_known(both, recommender, tmp_path, monkeypatch):
    scorer, source = recommender.scorer, both / "user_vector.onnx"
    monkeypatch.setattr("cllm4rec.export.int8.evaluated_users", lambda *_: np.empty(0, np.int32))
    with progress.quiet():
        said = write_int8(scorer, recommender.dataset, source, tmp_path / "m8.onnx")
    assert said["bytes"] > 0
    assert said["part"] is said["overlap"] is said["recall@20"] is None


def test_the_page_says_what_it_costs(both, said):
    text = (both / "README.md").read_text()
    assert f"its lists have {said['overlap']:.1%}" in text
    assert f"NDCG@100 {said['ndcg@100'][1]:.4f}" in text
    manifest = json.loads((both / "manifest.json").read_text())
    assert "could not be measured" in page({**manifest, "int8": {**said, "part": None}})
    assert "int8" not in page({**manifest, "int8": None})


def test_it_is_a_form_of_the_onnx_model(run, tmp_path):
    with pytest.raises(InputError, match=r"--int8 is a form of the ONNX model"):
        export_run(run, tmp_path / "to", onnx=False, int8=True)
    assert not (tmp_path / "to").exists()
