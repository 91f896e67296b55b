import json

import pytest
import torch
from torch import nn

from cllm4rec.errors import IntegrityError
from cllm4rec.training import checkpoint as checkpoints
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.loop import Position
from cllm4rec.training.optim import adam


def trained(folder, identity: str = "a", start: float = 1.0) -> tuple[Checkpoint, nn.Parameter]:
    parameter = nn.Parameter(torch.full((3,), start))
    parameters = {"only": {"users": parameter}}
    optimizers = {"only": adam(parameters["only"], learning_rate=0.1, head_scale=1.0)}
    return Checkpoint(folder, identity, parameters, optimizers), parameter


def step(checkpoint: Checkpoint, parameter: nn.Parameter) -> None:
    checkpoint.optimizers["only"].zero_grad()
    parameter.square().sum().backward()
    checkpoint.optimizers["only"].step()


def test_everything_comes_back(tmp_path):
    first, parameter = trained(tmp_path / "state")
    step(first, parameter)
    kept = {"best": torch.arange(4.0)}
    first.save(Position(2, 5), {"epoch": 7}, kept)
    second, other = trained(tmp_path / "state", start=9.0)
    position, notes, found = second.resume()
    assert (position, notes) == (Position(2, 5), {"epoch": 7})
    assert torch.equal(found["best"], kept["best"])
    assert torch.equal(other, parameter)
    # The moments too: the next step is the same.
    step(first, parameter)
    step(second, other)
    assert torch.equal(other, parameter)


def test_saving_copies_only_what_shares_memory(tmp_path, monkeypatch):
    """Copies of parameters, moments, average and best were the peak of a training's memory."""
    checkpoint, parameter = trained(tmp_path / "state")
    step(checkpoint, parameter)
    best = torch.arange(4.0)
    written = {}
    save_file = checkpoints.save_file
    monkeypatch.setattr(
        checkpoints,
        "save_file",
        lambda named, path: (written.update(named), save_file(named, path)),
    )
    checkpoint.save(Position(), {}, {"best": best, "same": best})
    state = checkpoint.optimizers["only"].state[parameter]
    own = {
        "parameters/only/users": parameter,
        "optimizer/only/0.exp_avg": state["exp_avg"],
        "kept/best": best,
    }
    for name, tensor in own.items():
        assert written[name].data_ptr() == tensor.data_ptr(), name
    assert written["kept/same"].data_ptr() != best.data_ptr()


def test_nothing_to_resume_from(tmp_path):
    checkpoint, _ = trained(tmp_path / "state")
    assert checkpoint.resume() is None
    checkpoint.save(Position(), {}, {})
    checkpoint.remove()
    assert checkpoint.resume() is None


def test_a_checkpoint_of_other_settings_is_left_alone(tmp_path):
    trained(tmp_path / "state")[0].save(Position(1, 0), {}, {})
    other, parameter = trained(tmp_path / "state", identity="b", start=4.0)
    assert other.resume() is None
    assert parameter.tolist() == [4.0] * 3


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    checkpoint, _ = trained(tmp_path / "state")
    checkpoint.save(Position(), {}, {"best": torch.arange(100.0)})
    path = tmp_path / "state" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-8])
    with pytest.raises(IntegrityError, match="damaged"):
        checkpoint.resume()


def test_a_checkpoint_of_an_earlier_version_is_resumed(tmp_path):
    checkpoint, _ = trained(tmp_path / "state")
    checkpoint.save(Position(1, 0), {}, {})
    path = tmp_path / "state" / "state.json"
    record = json.loads(path.read_text())
    record["sha256"] = record.pop("files")["state.safetensors"]
    path.write_text(json.dumps(record))
    assert checkpoint.resume()[0] == Position(1, 0)


def test_the_time_that_processes_before_took_is_counted(tmp_path):
    first, _ = trained(tmp_path / "state")
    first._begun_at_s -= 50
    first.save(Position(1, 0), {}, {})
    again, _ = trained(tmp_path / "state")
    assert again.earlier_s == 0
    again.resume()
    assert 50 <= again.earlier_s < 60
    again._begun_at_s -= 20
    again.save(Position(2, 0), {}, {})
    last, _ = trained(tmp_path / "state")
    last.resume()
    assert 70 <= last.earlier_s < 80


def test_no_pickle_is_written(tmp_path):
    checkpoint, _ = trained(tmp_path / "state")
    checkpoint.save(Position(), {}, {})
    names = {path.name for path in (tmp_path / "state").iterdir()}
    assert names == {"state.json", "state.safetensors"}
    json.loads((tmp_path / "state" / "state.json").read_text())
