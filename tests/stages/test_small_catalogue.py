"""Where lists have more than half of a catalogue, their measures say little, and that is said."""

from cllm4rec.run import read_json
from cllm4rec.stages.evaluate import evaluate
from support.trained import train_toy_run


def test_measures_of_lists_that_have_most_of_the_catalogue_are_named(tmp_path, backbone, capsys):
    run = train_toy_run(tmp_path, backbone, "evaluate.baselines=['popularity']")
    assert read_json(run.file("data", "report.json"))["kept"]["items"] == 80
    assert evaluate(run)["selection"] == ["recall@20", "recall@40", "ndcg@100"]
    said = capsys.readouterr().err
    assert "a list for ndcg@100 has more than half of the 80 items: it says little" in said
    assert "recall@40" not in said, "it lists half of them, and no more"


def test_a_measure_of_the_whole_list_is_no_matter_of_its_length(tmp_path, backbone, capsys):
    settings = "evaluate.baselines=['popularity']", "evaluate.selection=['mrr']"
    assert evaluate(train_toy_run(tmp_path, backbone, *settings))["selection"] == ["mrr"]
    assert "says little" not in capsys.readouterr().err
