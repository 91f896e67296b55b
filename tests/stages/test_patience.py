"""A training that stops early says so, and what it keeps."""

from cllm4rec.config import read_config
from cllm4rec.stages.train import train
from support.trained import train_toy_run


def test_training_that_gets_no_better_ends_and_says_so(tmp_path, backbone, capsys):
    run = train_toy_run(tmp_path, backbone, "finetune.learning_rate=1e-12")
    config = read_config(run.file("config.toml"))
    ended = "validation was best after epoch 0, which is kept: training ends after epoch 2 of 3"
    for patience, said in ((2, True), (3, False)):  # with three all epochs are run
        capsys.readouterr()
        train(run, config.changed(finetune={"epochs": 3, "patience": patience, "least_steps": 0}))
        err = capsys.readouterr().err
        assert ("training ends after" in err) == said
        assert (f"{ended} (finetune.patience = 2)" in err) == said
        assert run.info("finetune")["epochs"] == patience
