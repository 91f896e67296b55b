"""Exported vectors score as the model does, and the manifest says what they are not."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, RunError
from cllm4rec.export import export_run
from cllm4rec.export import run as exporting
from cllm4rec.export.index import load_faiss, recall, write_exact, write_inverted
from cllm4rec.export.vectors import Vectors, overlap, write_vectors
from cllm4rec.recommender.intact import model_fingerprint
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, sha256_file
from support.other_model import other_model, swap


@pytest.fixture(scope="module")
def manifest(exported):
    return json.loads((exported / "manifest.json").read_text())


def test_products_are_the_models_logits(exported, recommender):
    vectors = load_file(exported / "vectors.safetensors")
    dataset = recommender.dataset
    users = np.arange(len(dataset.users), dtype=np.int32)
    wanted = recommender.scorer.logits(users, dataset.known("recommend"))
    found = vectors["users"] @ vectors["items"].T + vectors["item_biases"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_ids_and_seen_items_stand_in_the_rows_order(exported, recommender):
    dataset = recommender.dataset
    for kind in ("user", "item"):
        column = pq.read_table(exported / f"{kind}s.parquet").column(f"{kind}_id")
        assert column.to_pylist() == getattr(dataset, f"{kind}s").external.to_pylist()
    seen = load_file(exported / "seen.safetensors")
    known = dataset.known("recommend")
    assert seen["offsets"].tolist() == known.offsets.tolist()
    assert seen["items"].tolist() == known.items.tolist()


def test_seen_is_also_what_no_part_holds(exported, recommender, tmp_path):
    dataset = recommender.dataset
    had = Interactions.from_lists([[user % 3] for user in range(len(dataset.users))], 80)
    arrays = load_file(exported / "vectors.safetensors")
    vectors = Vectors(*(arrays[name] for name in ("users", "items", "item_biases")))
    write_vectors(vectors, replace(dataset, excluded=had), tmp_path)
    seen, known = load_file(tmp_path / "seen.safetensors"), dataset.known("recommend")
    for user in range(len(dataset.users)):
        found = seen["items"][seen["offsets"][user] : seen["offsets"][user + 1]]
        assert found.tolist() == [*known.of(user), user % 3]


def test_the_exact_index_finds_the_best_products(exported):
    vectors = load_file(exported / "vectors.safetensors")
    index = load_faiss().read_index(str(exported / "exact.faiss"))
    ones = np.ones((len(vectors["users"]), 1), np.float32)
    scores, found = index.search(np.hstack([vectors["users"], ones]), 7)
    products = vectors["users"] @ vectors["items"].T + vectors["item_biases"]
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :7], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores, np.take_along_axis(products, found, 1), rtol=0, atol=1e-4)


def test_the_recall_of_the_inverted_index_is_what_it_finds(exported, manifest):
    faiss, vectors = load_faiss(), load_file(exported / "vectors.safetensors")
    queries = np.hstack([vectors["users"], np.ones((len(vectors["users"]), 1), np.float32)])
    exact, inverted = (
        faiss.read_index(str(exported / f"{name}.faiss")) for name in ("exact", "inverted")
    )
    assert inverted.nprobe == manifest["inverted"]["probes"]
    found = recall(inverted.search(queries, 10)[1], exact.search(queries, 10)[1])
    assert manifest["inverted"]["recall"] == pytest.approx(found, abs=1e-4)
    assert found >= 0.95


def test_more_cells_are_looked_at_until_enough_is_found(tmp_path):
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(2_000, 16)).astype(np.float32)
    queries = rng.normal(size=(50, 16)).astype(np.float32)
    exact = write_exact(candidates, tmp_path / "exact")
    built = write_inverted(candidates, queries, exact, 10, tmp_path / "inverted")
    assert built.lists == 2_000 // 39
    assert 1 < built.probes <= built.lists
    assert built.recall >= 0.95
    again = write_inverted(candidates, queries, exact, 10, tmp_path / "again")
    assert (built, (tmp_path / "inverted").read_bytes()) == (
        again,
        (tmp_path / "again").read_bytes(),
    )


def test_recall_counts_what_was_to_be_found():
    wanted = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert recall(np.array([[4, 9, 1, -1], [5, 6, 7, 8]]), wanted) == 0.75


def test_the_manifest_says_that_the_linear_model_is_left_out(exported, manifest, recommender):
    scorer, dataset = recommender.scorer, recommender.dataset
    assert scorer.linear is not None
    assert manifest["scores"]["of"] == "the language model alone"
    assert manifest["scores"]["blend_weight"] == scorer.weight
    alone = Recommender(scorer.language_model_alone(), dataset, recommender.lm).recommend(None, 10)
    lists = zip(alone.items.tolist(), recommender.recommend(None, 10).items.tolist(), strict=True)
    overlap = np.mean([len(set(one) & set(other)) / 10 for one, other in lists])
    assert manifest["scores"]["overlap"] == pytest.approx(overlap, abs=2e-3)
    assert manifest["scores"]["users"] == len(dataset.users)
    page = (exported / "README.md").read_text()
    assert "language model's alone" in page
    assert f"{manifest['scores']['overlap']:.1%}" in page


def test_overlap_is_the_share_of_what_was_wanted():
    lists = np.array([[1, 2, 3], [4, 5, -1], [7, -1, -1], [-1, -1, -1]])
    wanted = np.array([[3, 9, 1], [5, -1, -1], [6, 8, -1], [-1, -1, -1]])
    assert overlap(lists, wanted) == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)


def test_without_a_linear_model_they_are_the_runs_own(exported, manifest):
    from cllm4rec.export.page import page

    scores = {"of": "the run", "blend_weight": 0.0, "overlap": 1.0, "users": 3}
    assert "The run's own" in page({**manifest, "scores": scores, "onnx": None})


def test_every_file_stands_in_the_manifest_with_its_hash(exported, manifest):
    found = {path.name for path in exported.iterdir()} - {"manifest.json"}
    assert found == set(manifest["files"])
    assert all(sha256_file(exported / x) == value for x, value in manifest["files"].items())


def test_an_older_export_is_replaced_and_anything_else_is_not(run, tmp_path):
    to = tmp_path / "to"
    with progress.quiet():
        result = export_run(run, to, k=5, onnx=False)
        assert result["onnx"] is None
        assert not (to / "user_vector.onnx").exists()
        (to / "left over").touch()
        export_run(run, to, k=5, onnx=False)
    assert not (to / "left over").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds something that is no export"):
        export_run(run, tmp_path / "mine")
    with pytest.raises(InputError, match="is a file"):
        export_run(run, tmp_path / "mine" / "thesis.txt")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_an_untrained_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no trained model"):
        export_run(RunDir(tmp_path), tmp_path / "to")


def test_without_faiss_nothing_is_begun(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"needs faiss; .*'\.\[export\]' -c constraints\.txt"):
        export_run(run, tmp_path / "to")
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_names_the_model_whose_vectors_they_are(run, tmp_path, monkeypatch):
    """Also where a training of the run ends before the export does."""
    folder = shutil.copytree(run.path, tmp_path / "run")
    was, other = model_fingerprint(folder), other_model(folder)

    def trained(*given) -> None:
        swap(folder, other)
        write_vectors(*given)

    monkeypatch.setattr(exporting, "write_vectors", trained)
    with progress.quiet():
        manifest = export_run(RunDir(folder), tmp_path / "export", k=10, onnx=False)
    assert model_fingerprint(folder) != was
    assert manifest["model_sha256"] == was
