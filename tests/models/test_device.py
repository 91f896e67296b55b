"""Another device than the processor: nothing is left behind on the way, and the same comes out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils import backend_registration

from cllm4rec.config.presets import PRESETS
from cllm4rec.errors import ConfigError
from cllm4rec.models.device import compute_dtype, device_of, tokens_at_once

SCRIPT = Path(__file__).parents[1] / "support" / "two_devices.py"
PRETENDED = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch knows no devices written in Python",
)
REAL = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.parametrize(
    ("device", "tolerance"),
    [
        pytest.param("pretend", 1e-4, marks=PRETENDED, id="pretended"),
        # Sums are made in another order there, and differences grow from step to step.
        pytest.param("cuda", 1e-2, marks=[REAL, pytest.mark.gpu], id="cuda"),
    ],
)
def test_training_evaluation_and_every_door_on_a_device_are_those_on_the_processor(
    tmp_path, device, tolerance
):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), device],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["sets", "paper", "sequences"]
    for places in found.values():
        here, there = places["cpu"], places[device]
        assert len(here["losses"]) > 10
        assert there["losses"] == pytest.approx(here["losses"], rel=tolerance)
        for measured in ("valid", "test"):
            assert there[measured] == pytest.approx(here[measured], abs=0.02)
        assert there["evaluated on"] == [device]
        refuse_other_answers(places["doors"], device, tolerance)
    refuse_another_service(found["sets"], device, tolerance)
    resumed, whole = found["sets"]["interrupted"], found["sets"][device]
    assert resumed["valid"] == pytest.approx(whole["valid"], abs=1e-6)
    assert resumed["test"] == pytest.approx(whole["test"], abs=1e-6)


def refuse_other_answers(doors, device, tolerance):
    here, there = doors["cpu"], doors[device]
    assert [here["device"], there["device"]] == ["cpu", device]
    apart = there["numbers"].pop("onnx", [0.0, 0.0, 0.0])
    assert apart == pytest.approx([0, apart[1], apart[1]], abs=0.05)
    assert there["numbers"].keys() == here["numbers"].keys()
    for door, numbers in here["numbers"].items():
        close = pytest.approx(numbers, rel=tolerance, abs=tolerance)
        assert there["numbers"][door] == close, door
    assert there["items"] == here["items"]


def refuse_another_service(places, device, tolerance):
    here, served = places["doors"]["cpu"], places["served"]
    assert served["device"] == device
    assert served["items"] == here["items"]["recommend"][0]
    scores = here["numbers"]["recommend"][: len(served["items"])]
    assert served["scores"] == pytest.approx(scores, rel=tolerance, abs=tolerance)


def test_the_processor_and_auto_are_always_there():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_auto_is_the_default_and_takes_cuda_where_it_is(monkeypatch):
    assert {preset.device for preset in PRESETS.values()} == {"auto"}
    monkeypatch.setattr("cllm4rec.models.device._count", lambda _device: 1)
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert device_of("auto").type == kind


def test_a_gpu_reads_as_many_tokens_at_once_as_it_has_room_for(monkeypatch):
    card = SimpleNamespace(total_memory=2 * 10_000 * (4 * 34 * 30 * 576) + 5)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert tokens_at_once(4096, torch.device("cuda"), 30, 576) == 10_000
    assert tokens_at_once(4096, torch.device("cuda"), 30, 288) == 20_000
    assert tokens_at_once(20_000, torch.device("cuda"), 30, 576) == 20_000
    assert tokens_at_once(4096, torch.device("cpu"), 30, 576) == 4096


def test_float32_products_are_float32():
    assert torch.get_float32_matmul_precision() == "highest"  # no TF32


@pytest.mark.parametrize("name", ["cuda:99", "cpu:1", "gpu", "meta", "", "cuda:x"])
def test_a_device_that_is_not_there_is_refused_with_the_mend(name):
    with pytest.raises(ConfigError, match=f"setting device = '{name}'.*set device to cpu or auto"):
        device_of(name)


def test_arithmetic_is_the_devices():
    assert compute_dtype("float32") == torch.float32
    assert compute_dtype("bfloat16", torch.device("meta")) == torch.bfloat16
    assert compute_dtype("auto", torch.device("meta")) == torch.float32
    fast = torch.cpu._is_avx512_bf16_supported()
    assert compute_dtype("auto") == (torch.bfloat16 if fast else torch.float32)
