import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import ConfigError, InputError, IntegrityError, RunError, UnknownId
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import configure
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.train import train
from support.toy_run import toy_config
from support.trained import as_trained_on

CHECK_TOPK = Path(__file__).resolve().parents[3] / "shared" / "tools" / "check_topk.py"

HALF = "cllm4rec (sets, changed)"
OURS = f"{HALF} + linear model"
"""The toy run trains user tokens, a content LLM and mutual regularisation, and is blended."""


def means(run: RunDir) -> dict[str, dict[str, float]]:
    results = json.loads(run.file("results.json").read_text())
    return {
        row["model"]: {name: value["mean"] for name, value in row["metrics"].items()}
        for row in results["rows"]
    }


def test_results_name_the_preset_and_what_is_not_its_own(trained):
    made_by = json.loads(trained.run.file("results.json").read_text())["made_by"]
    assert made_by.startswith("preset sets with another backbone.name, ")
    assert "finetune.epochs" in made_by
    assert "evaluate" not in made_by


def test_the_model_is_compared_with_the_best_baseline_in_a_line(trained):
    results = json.loads(trained.run.file("results.json").read_text())
    assert results["verdict"].startswith(f"{OURS} ")
    assert " beside the best baseline, over " in results["verdict"]
    for measure in results["selection"]:
        best = max(
            (row for row in results["rows"][3:]), key=lambda row: row["metrics"][measure]["mean"]
        )
        lead = results["rows"][0]["metrics"][measure]["mean"] - best["metrics"][measure]["mean"]
        side = "above" if lead >= 0 else "below"
        assert f"{measure} {abs(lead):.4f} {side} {best['model']} (p " in results["verdict"]


def test_the_planted_taste_is_recovered(trained):
    rows = means(trained.run)
    assert rows[OURS]["recall@20"] > rows["popularity"]["recall@20"] + 0.2
    # The best any list can do is about .81, cosine between histories .67.
    assert rows[OURS]["recall@20"] > 0.68
    # Not by the linear model alone: a broken language model must not hide behind the blend.
    assert rows[f"· {HALF}"]["recall@20"] > rows["popularity"]["recall@20"] + 0.2


@pytest.fixture(scope="module")
def without_content(trained, tmp_path_factory, backbone) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("without") / "run")
    shutil.copytree(trained.run.path / "data", run.create().file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    with progress.quiet():
        train(run, toy_config(backbone, "model.content=false"))
    return run


def test_content_helps_users_with_two_interactions(trained, without_content):
    def sparse_recall(run: RunDir) -> float:
        recommender = Recommender.load(run.path)
        with progress.quiet():
            report = evaluate_scorer(recommender.scorer, recommender.dataset, "test")
        sparse = trained.world.sparse[report.users]
        assert sparse.sum() > 100
        return float(report.per_user["recall@20"][sparse].mean())

    assert sparse_recall(trained.run) > sparse_recall(without_content) + 0.03


def test_without_content_no_content_llm_is_trained(without_content):
    assert set(without_content.info("pretrain")["documents"]) == {"collaborative"}


def test_the_lists_pass_the_independent_check(trained, tmp_path):
    if not CHECK_TOPK.is_file():
        pytest.skip("no shared/tools/check_topk.py beside this checkout")
    topk = trained.run.file("topk", "test.parquet")
    split = trained.run.file("split.parquet")
    done = subprocess.run(
        [sys.executable, CHECK_TOPK, split, topk], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout), means(trained.run)[OURS]
    for their_name, our_name in (("R@20", "recall@20"), ("R@40", "recall@40")):
        assert theirs[their_name] == pytest.approx(ours[our_name], abs=1e-4)
    assert theirs["N@100"] == pytest.approx(ours["ndcg@100"], abs=1e-4)


def test_anyones_topk_file_is_scored_like_our_own(trained, capsys):
    results = evaluate(trained.run, topk=trained.run.file("topk", "test.parquet"))
    assert "held-out" not in capsys.readouterr().err
    own = json.loads(trained.run.file("results.json").read_text())
    assert results["selection"] == own["selection"]
    [row] = results["rows"]
    assert row["metrics"]["recall@20"]["mean"] == pytest.approx(
        means(trained.run)[OURS]["recall@20"]
    )


def test_what_is_blended_stands_in_the_table_alone(trained):
    rows = means(trained.run)
    assert {f"· {HALF}", "· linear model"} <= rows.keys()
    assert rows[f"· {HALF}"] != rows["· linear model"]


def test_recommending_to_users_and_after_a_history(trained):
    dataset = Dataset.open(trained.run.file("data"))
    user = dataset.users.id(5)
    lists = recommend(trained.run, users=[user], k=7)["recommendations"]
    assert [row["rank"] for row in lists[user]] == list(range(1, 8))
    seen = {dataset.items.id(int(i)) for i in dataset.known("recommend").of(5)}
    assert not seen & {row["item_id"] for row in lists[user]}
    assert all(row["title"] for row in lists[user])
    history = [dataset.items.id(int(i)) for i in dataset.part("train").of(5)[:2]]
    after = recommend(trained.run, history=history, k=5)["recommendations"]["history"]
    assert len(after) == 5
    assert not set(history) & {row["item_id"] for row in after}


def test_a_bare_history_recommends_the_historys_genre(trained):
    world, dataset = trained.world, Dataset.open(trained.run.file("data"))
    genre_of = dict(zip(world.item_ids, world.genres, strict=True))
    hits = []
    for genre in range(6):
        of_genre = [item for item in world.item_ids if genre_of[item] == genre]
        known = [
            item for item in of_genre if item in set(dataset.items.ids(range(len(dataset.items))))
        ]
        lists = recommend(trained.run, history=known[:3], k=5)["recommendations"]
        hits += [genre_of[row["item_id"]] == genre for row in lists["history"]]
    assert np.mean(hits) > 0.8


def test_all_users_go_to_a_file(trained, tmp_path):
    out = tmp_path / "topk.parquet"
    recommend(trained.run, k=10, out=out)
    table = pq.read_table(out)
    dataset = Dataset.open(trained.run.file("data"))
    assert table.num_rows == 10 * len(dataset.users)
    assert table.column_names == ["user_id", "item_id", "rank", "score"]


def test_a_batch_is_scored_as_its_users_are_alone(trained):
    recommender = Recommender.load(trained.run.path)
    known = recommender.dataset.known("test")
    users = np.array([3, 40, 7], dtype=np.int32)
    together = recommender.scorer.score(users, known.rows(users))
    alone = [
        recommender.scorer.score(users[i : i + 1], known.rows(users[i : i + 1])) for i in range(3)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-4)


def test_a_user_without_training_interactions_is_asked_by_history(trained):
    recommender = Recommender.load(trained.run.path)
    known = recommender.dataset.known("test").rows([3])
    anonymous = replace(recommender.scorer, anonymous=True)
    nobody = recommender.scorer.score(np.array([-1], dtype=np.int32), known)
    np.testing.assert_array_equal(nobody, anonymous.score(np.array([3], dtype=np.int32), known))


def test_training_again_with_the_same_settings_does_nothing(trained):
    before = trained.run.file("model", "model.safetensors").stat().st_mtime_ns
    with progress.quiet():
        train(trained.run, trained.config)
    assert trained.run.file("model", "model.safetensors").stat().st_mtime_ns == before


def test_unknown_ids_and_missing_stages_are_said_in_one_line(trained, tmp_path):
    with pytest.raises(UnknownId, match="nobody"):
        recommend(trained.run, users=["nobody"])
    with pytest.raises(UnknownId, match="nothing"):
        recommend(trained.run, history=["nothing"])
    with pytest.raises(InputError, match="empty"):
        recommend(trained.run, history=[])
    with pytest.raises(RunError, match="prepare"):
        train(RunDir(tmp_path / "none"), trained.config)


def test_a_changed_model_file_is_refused(trained, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(trained.run.path, run.path)
    path = run.file("model", "model.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        recommend(run, users=None, out=tmp_path / "out.parquet")


def test_a_run_of_a_device_that_is_not_here_is_evaluated_and_not_trained(trained, tmp_path, capsys):
    run = RunDir(tmp_path / "run")
    shutil.copytree(trained.run.path, run.path)
    as_trained_on(run, "cuda:99")
    with pytest.raises(ConfigError, match="device = 'cuda:99'"):
        train(run, configure(run, None, ["finetune.epochs=1"]))
    before = json.loads(run.file("results.json").read_text())["rows"][0]["metrics"]
    assert evaluate(run)["rows"][0]["metrics"] == before
    said = capsys.readouterr().err
    assert "there is no device 'cuda:99' here: the processor computes instead" in said
    assert recommend(run, history=[Dataset.open(run.file("data")).items.id(0)], k=1)


def test_the_report_shows_the_run(trained):
    page = trained.run.file("report.html").read_text()
    assert OURS in page
    assert "chosen, by Recall@20 + Recall@40 + NDCG@100, was chosen" in page
    assert "<svg" in page
    assert "ease-text" in page
