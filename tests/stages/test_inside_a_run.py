"""What a user wants written is never written inside a run, nor inside a saved model."""

import pytest

from cllm4rec import CLLM4Rec, Dataset
from cllm4rec.errors import InputError
from cllm4rec.export import export_run
from cllm4rec.run import sha256_files
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.recommend_all import recommend_all


@pytest.fixture(scope="module")
def model(trained) -> CLLM4Rec:
    return CLLM4Rec.load(trained.run.path)


WRITERS = {
    "recommend": lambda given, to: recommend(given.run, out=to, users=["u0"]),
    "recommend --all": lambda given, to: recommend(given.run, out=to),
    "shards": lambda given, to: recommend_all(given.run, out=to),
    "export": lambda given, to: export_run(given.run, to, onnx=False),
    "prepare": lambda given, to: Dataset.load(given.source, folder=to),
}


@pytest.mark.parametrize("place", ["data/users.parquet", "model", "lists"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_run_is_not_written_into(trained, tmp_path, writer, place):
    before = sha256_files(trained.run.path, ".")
    (tmp_path / "link").symlink_to(trained.run.path)
    for to in (trained.run.path / place, tmp_path / "link" / place):
        with pytest.raises(InputError, match=r"lies in the run .*; choose a path outside it"):
            WRITERS[writer](trained, to)
    assert sha256_files(trained.run.path, ".") == before


def test_a_model_is_not_saved_into_a_run(model, trained):
    before = sha256_files(trained.run.path, ".")
    for place in ("saved", "model", "."):
        with pytest.raises(InputError, match=r"(lies in|is) the run "):
            model.save(trained.run.path / place)
    assert sha256_files(trained.run.path, ".") == before


def test_a_saved_model_is_replaced_but_not_written_into(model, trained, tmp_path):
    saved = tmp_path / "saved"
    for _ in range(2):
        model.save(saved)
    with pytest.raises(InputError, match=r"(lies in|is) the saved model"):
        model.save(saved / "model")
    with pytest.raises(InputError, match="is the saved model"):
        recommend(trained.run, out=saved, users=["u0"])
    CLLM4Rec.load(saved)
