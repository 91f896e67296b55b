"""What takes seconds before the first step is named while it lasts."""

from contextlib import contextmanager

from cllm4rec import progress
from cllm4rec.run import RunDir
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.prepare import prepare
from support.input_folder import small_log, write_rows
from support.toy_run import toy_config


def test_no_part_of_initialise_is_silent(backbone, tmp_path, monkeypatch):
    names, shown = [], progress.task

    @contextmanager
    def task(name, *given, **named):
        names.append(name)
        with shown(name, *given, **named) as done:
            yield done

    source, run = tmp_path / "in", RunDir(tmp_path / "run")
    write_rows(source, "interactions", small_log(40, 30, 12))
    write_rows(source, "items", [{"item_id": f"i{n}", "title": f"title {n}"} for n in range(30)])
    config = toy_config(backbone)
    with progress.quiet():
        prepare(source, run, split=None, protocol="paper", config=config)
        monkeypatch.setattr(progress, "task", task)
        initialise(run, config)
    kept = [name for name in dict.fromkeys(names) if name not in ("Ranking", "Reading item texts")]
    assert kept[:6] == [
        "Loading the backbone",
        "Factorising the texts",
        "Factorising the interactions",
        "Choosing the warm start",
        "Choosing the temperature",
        "Space of the items' words",
    ]
    assert kept[6].startswith("Tuning")
