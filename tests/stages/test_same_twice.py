"""The same seed twice is the same to the byte where texts are read and a map of them is trained."""

from safetensors.numpy import load_file

from cllm4rec.recommender.calibration import calibrated
from cllm4rec.recommender.placing import NUMBERS
from cllm4rec.run import RunDir
from cllm4rec.stages import finetune
from support.trained import train_toy_run


def files_of(run: RunDir) -> dict[str, bytes]:
    model = run.file("model")
    return {path.name: path.read_bytes() for path in sorted(model.iterdir())}


def by_the_trained_map(scorer, train, tried, seed):
    """The last of what is tried, whether it is best or not."""
    return calibrated(scorer, train, tried[-1:], seed)


def test_trainings_that_read_for_themselves_keep_the_same_bytes(backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "calibrated", by_the_trained_map)
    found = []
    for name in ("first", "second"):
        monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / f"cache of {name}"))
        found.append(files_of(train_toy_run(tmp_path / name, backbone)))
        assert list((tmp_path / f"cache of {name}").rglob("readings/*/*.safetensors"))
    first, second = found
    assert {"trained.axes", "read.items"} <= set(load_file(tmp_path / "first/run/model" / NUMBERS))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
