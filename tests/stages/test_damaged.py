"""One changed byte: whatever reads the file refuses, and names it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cllm4rec import CLLM4Rec, progress
from cllm4rec.errors import CLLM4RecError, IntegrityError
from cllm4rec.run import RunDir
from cllm4rec.service import ModelHolder
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.recommend_all import recommend_all

MODEL = (
    *("model.json", "model.safetensors", "linear.safetensors", "sha256.json"),
    *("texts.json", "texts.safetensors", "queries.json", "queries.safetensors"),
)
DATA = (
    *("attributes.parquet", "excluded.npy", "excluded_offsets.npy", "items.npy", "items.parquet"),
    *(
        "left_out.npy",
        "left_out.parquet",
        "offsets.npy",
        "parts.npy",
        "report.json",
        "reviews.parquet",
    ),
    *("settings.json", "users.parquet"),
)
READ = [*(f"model/{name}" for name in MODEL), *(f"data/{name}" for name in DATA)]
PLACES = (0, 0.5, 1)
"""Of the byte, as shares of the file."""


def _export(run: RunDir) -> None:
    from cllm4rec.export import export_run

    export_run(run, run.path.with_name("exported"), onnx=False)


READERS = {
    "CLLM4Rec.load": lambda run: CLLM4Rec.load(run.path),
    "recommend": lambda run: recommend(run, users=["u0"]),
    "recommend --all": lambda run: recommend_all(run, out=run.path.with_name("lists")),
    "evaluate": evaluate,
    "export": _export,
    "serve": lambda run: ModelHolder(run.path).load(),
}


@pytest.fixture(scope="module")
def own(trained, tmp_path_factory) -> RunDir:
    folder = tmp_path_factory.mktemp("own") / "run"
    shutil.copytree(trained.run.path, folder)
    return RunDir(folder)


@contextmanager
def flipped(path: Path, share: float) -> Iterator[None]:
    """One bit of one byte is another while the block runs."""
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[round(share * (len(whole) - 1))] ^= 4
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(whole)


def complaint(action, path: Path) -> str:
    with progress.quiet(), pytest.raises(CLLM4RecError) as caught:
        action()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value), caught.value
    return str(caught.value)


def test_these_are_the_files_there_are(own):
    assert sorted(MODEL) == sorted(path.name for path in own.file("model").iterdir())
    assert sorted(DATA) == sorted(path.name for path in own.file("data").iterdir())


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("reader", READERS)
def test_a_flipped_byte_is_refused_by_name(own, reader, name):
    path = own.file(*name.split("/"))
    for share in PLACES:
        with flipped(path, share):
            complaint(lambda: READERS[reader](own), path)


@pytest.mark.parametrize("name", ["collaborative", "content"])
@pytest.mark.parametrize("share", PLACES)
def test_finetuning_refuses_what_pretraining_did_not_write(own, trained, name, share):
    path = own.file("pretrained", f"{name}.safetensors")
    with flipped(path, share):
        complaint(lambda: finetune(own, trained.config), path)


@pytest.mark.parametrize("name", ["model/linear.safetensors", "data/users.parquet"])
def test_a_missing_file_is_refused_by_name(own, name):
    path = own.file(*name.split("/"))
    path.rename(own.file("aside"))
    try:
        for reader in READERS.values():
            assert "is missing" in complaint(lambda read=reader: read(own), path)
    finally:
        own.file("aside").rename(path)


def test_nothing_damaged_is_sealed_as_right(own, tmp_path):
    model = CLLM4Rec.load(own.path)
    path = own.file("data", "items.npy")
    with flipped(path, 1), pytest.raises(IntegrityError, match=r"data/items\.npy is not what"):
        model.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_service_goes_on_with_what_it_has(own):
    holder = ModelHolder(own.path, subprocess=True)
    with progress.quiet():
        first = holder.load()
    try:
        with flipped(own.file("model", "model.safetensors"), 0.9):
            complaint(holder.load, own.file("model", "model.safetensors"))
        assert holder.current is first
        assert first.alive
    finally:
        holder.close()


def test_the_service_does_not_start_on_a_damaged_model(own):
    path = own.file("model", "model.safetensors")
    command = "from cllm4rec.cli import main; main()"
    given = ["serve", "--run", own.path, "--port", "0"]
    with flipped(path, 0.9):
        done = subprocess.run(
            [sys.executable, "-c", command, *given], capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 2, done.stderr
    assert f"{path} is not what was saved" in done.stderr
    assert "Traceback" not in done.stderr
