"""What a person reads of a result says it in words, with every figure from the result."""

from pathlib import Path

from cllm4rec.cli import brief
from cllm4rec.run import RunDir

EXPORTED = {
    "out": "vectors",
    "users": 90,
    "items": 60,
    "size": 12,
    "k": 10,
    "scores": {"of": "the language model alone", "overlap": 0.873},
    "inverted": {"recall": 0.961, "probes": 2, "lists": 5},
    "onnx": {
        "max_abs_difference": 2.4e-06,
        "tolerance": 1.5e-04,
        "max_abs_difference_from_run": 0.031,
    },
    "int8": {"bytes": 30, "float32_bytes": 100, "overlap": 0.914},
}


def test_an_export_says_how_near_the_runs_own_lists_it_is():
    facts = brief.exported(EXPORTED, {})
    assert facts["scores"] == (
        "of the language model alone: 87.3% of the run's own best 10 are in its lists"
    )
    assert "96.1% of the best 10, looking at 2 of 5 cells" in facts["inverted index"]
    assert "within 2.4e-06 of torch's in float32 (allowed: 0.00015)" in facts["ONNX model"]
    assert "within 0.031 of the run's own" in facts["ONNX model"]
    assert "30% of its size; 91.4% of the best 100" in facts["eight-bit model"]
    assert facts["details"] == "vectors/README.md"


def test_an_export_of_the_runs_own_scores_says_only_that():
    own = {"scores": {"of": "the run", "overlap": 1.0}, "onnx": None, "int8": None}
    facts = brief.exported({**EXPORTED, **own}, {})
    assert facts["scores"] == "of the run"
    assert not {"ONNX model", "eight-bit model"} & facts.keys()


def test_a_table_of_results_says_what_its_measures_are():
    options = {"run": RunDir(Path("run")), "topk": None}
    facts = brief.evaluated({"part": "test"}, options)
    assert facts["measures"] == brief.MEASURES
    assert str(facts["report"]) == "run/report.html"
    assert "report" not in brief.evaluated({}, {**options, "topk": Path("lists.parquet")})


def test_a_pair_that_is_there_again_is_no_loss():
    """The report keeps its name."""
    refused = {"interactions": {"repeated pair": 3, "no item_id": 1}, "items": {}}
    report = {"read": 9, "refused": refused, "kept": {"users": 2}}
    facts = brief.prepared(report, {})
    assert facts["refused"] == {"interactions": {"repeated pair (counts once)": 3, "no item_id": 1}}
    assert list(facts) == ["read", "refused", "kept"]
    assert list(refused["interactions"]) == ["repeated pair", "no item_id"]
    assert brief.prepared({"kept": {}}, {}) == {"kept": {}}
