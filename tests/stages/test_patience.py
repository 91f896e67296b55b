"""A training that stops early says so, and what it keeps."""

from cllm4rec import progress
from cllm4rec.config import read_config
from cllm4rec.stages.train import train
from support.trained import train_toy_run


def test_training_that_gets_no_better_ends_and_says_so(tmp_path, backbone, capsys):
    run = train_toy_run(tmp_path, backbone, "finetune.learning_rate=1e-12")
    said = "validation was best after epoch 0, which is kept: training ends after epoch 2 of 3"
    assert said not in capsys.readouterr().err
    changes = {"epochs": 3, "patience": 2, "least_steps": 0}
    config = read_config(run.file("config.toml")).changed(finetune=changes)
    train(run, config)
    assert f"{said} (finetune.patience = 2)" in capsys.readouterr().err
    assert run.info("finetune")["chosen"]
    with progress.quiet():
        train(run, config.changed(finetune={"patience": 3}))
    assert said not in capsys.readouterr().err, "all epochs were run"
