"""Where lists have more than half of a catalogue, their measures say little, and that is said."""

from cllm4rec.run import read_json
from cllm4rec.stages.evaluate import evaluate
from support.trained import train_toy_run


def test_measures_of_lists_that_have_most_of_the_catalogue_are_named(tmp_path, backbone, capsys):
    run = train_toy_run(tmp_path, backbone, "evaluate.baselines=['popularity']")
    items = run.info("prepare") and read_json(run.file("data", "report.json"))["kept"]["items"]
    assert 80 >= items > 40
    results = evaluate(run)
    assert results["selection"] == ["recall@20", "recall@40", "ndcg@100"]
    deep = "ndcg@100" if items == 80 else "recall@40, ndcg@100"
    said = f"{deep} of a catalogue of {items} items say little"
    assert said in capsys.readouterr().err
