"""Lists on a local Ray of two workers are the shards of one process, also where one is killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cllm4rec.cli import cllm4rec, main
from cllm4rec.recommender.saved import Recommender
from cllm4rec.stages.recommend_ray import gpus_of

HAS_RAY = importlib.util.find_spec("ray") is not None
MAIN = ["-c", "from cllm4rec.cli import main; main()"]
SHARDS = 20


def command(trained, out: Path, *more: str) -> list[str]:
    given = ["recommend", "--run", trained.run.path, "--all", "--k", 5, "--out", out]
    return list(map(str, [*given, "--shard-users", 20, *more]))


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def actors_below(pid: int) -> list[int]:
    """Processes of Ray's actors that descend from a process, as ``/proc`` names them."""
    parents, actors = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            status = (place / "stat").read_text().rsplit(")", 1)[1].split()
            title = (place / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(place.name)] = int(status[1])
        if b"ray::" in title and b"ShardScorer" in title:
            actors.append(int(place.name))

    def descends(process: int) -> bool:
        while process > 1 and process != pid:
            process = parents.get(process, 0)
        return process == pid

    return [actor for actor in actors if descends(actor)]


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed (the extra ray)")
def test_lists_of_two_workers_of_which_one_is_killed_are_those_of_one_process(trained, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    left_out = tmp_path / "left-out.txt"
    left_out.write_text(f"{trained.world.item_ids[0]}\nNOPE\n", encoding="utf-8")
    program, filters = [sys.executable, *MAIN], ["--exclude", str(left_out)]
    cllm4rec.main(command(trained, whole, *filters), standalone_mode=False)
    process = subprocess.Popen(
        [*program, *command(trained, out, "--ray", "2", *filters)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = None
    while killed is None and process.poll() is None:
        if list(out.glob("_part-*.json")) and (actors := actors_below(process.pid)):
            killed = actors[0]
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.001)
    done = len(list(out.glob("_part-*.json")))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert killed is not None
    assert 0 < done < SHARDS, "killed in between"
    assert files(out) == files(whole)
    assert "1 of 2 items of exclude is not known and left aside" in errors


def test_no_gpu_is_asked_for_where_the_setting_is_auto_and_there_is_none(trained):
    recommender = Recommender.load(trained.run.path)
    recommender.scorer.task.config = recommender.config.model_copy(update={"device": "auto"})
    assert recommender.config.device == "auto"
    assert recommender.scorer.model.device.type == "cpu"
    assert gpus_of(recommender) == 0


def test_without_ray_the_extra_is_named(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as ended:
        main(command(trained, tmp_path / "out", "--ray", "2"))
    assert ended.value.code == 2
    assert "pip install '.[ray]' -c constraints.txt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ray_is_for_everyone_and_a_folder(trained, tmp_path, capsys):
    for wrong in (["--all", "--out", "x.parquet"], ["--histories", "x", "--out", "y"]):
        with pytest.raises(SystemExit) as ended:
            main(["recommend", "--run", str(trained.run.path), *wrong, "--ray", "2"])
        assert ended.value.code == 2
        assert "--ray is for --all" in capsys.readouterr().err
