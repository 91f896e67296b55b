"""A run that was trained on a device which is not here."""

import pytest

from cllm4rec import progress
from cllm4rec.errors import ConfigError
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.service.subprocess_scorer import ScoringProcess
from support.trained import as_trained_on, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone) -> RunDir:
    """As it comes from a machine with eight GPUs."""
    run = small_run(tmp_path_factory, backbone)
    as_trained_on(run, "cuda:7")
    return run


def test_the_processor_answers_with_a_note(run, capsys):
    recommender = Recommender.load(run.path)
    assert capsys.readouterr().err == (
        "there is no device 'cuda:7' here: the processor computes instead\n"
    )
    assert recommender.config.device == "cuda:7", "what it was trained with stays known"
    with progress.quiet():
        assert (recommender.recommend(None, 3).items >= 0).all()


def test_so_does_the_service(run, capfd):
    process = ScoringProcess(run.path)
    process.close()
    assert "there is no device 'cuda:7' here" in capfd.readouterr().err


def test_a_device_that_is_asked_for_by_name_must_be_there(run):
    with pytest.raises(ConfigError, match=r"setting device = 'cuda:7': .* no such device here"):
        Recommender.load(run.path, "cuda:7")
