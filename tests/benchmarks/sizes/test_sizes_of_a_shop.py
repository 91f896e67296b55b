"""The linear model by the number of users: its short form, the shops, and a planted town."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.sizes import measure
from benchmarks.sizes.__main__ import sizes
from benchmarks.sizes.linear import scores
from benchmarks.sizes.shops import ORDERS, Shop
from benchmarks.sizes.table import OURS, table
from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from support.input_folder import write_rows


def drawn(users, items, seed=0):
    draw = np.random.default_rng(seed)
    rows = [sorted(draw.choice(items, draw.integers(2, 8), replace=False)) for _ in range(users)]
    return Interactions.from_lists(rows, items)


@pytest.mark.parametrize("alpha", [0.0, 5.0])
def test_scores_are_those_of_inverted_products(alpha):
    train, history = drawn(12, 30), drawn(5, 30, seed=1)
    vectors = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32)
    x = train.matrix().toarray().astype(np.float64)
    products = x.T @ x + alpha * vectors.astype(np.float64) @ vectors.T
    for penalty, found in zip(
        (3.0, 50.0), scores(train, vectors, history, alpha, (3.0, 50.0)), strict=True
    ):
        inverse = np.linalg.inv(products + penalty * np.eye(30))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        np.testing.assert_allclose(found, history.matrix().toarray() @ weights, atol=1e-9)


def test_nobody_is_both_asked_and_a_customer():
    items = 60
    log = Interactions.from_lists([[u, 30 + u % 7, 40 + u % 11] for u in range(30)] + [[3]], items)
    shop = Shop.of(log, seed=1)
    known = [set(shop.pool.of(user)) for user in range(shop.pool.num_users)]
    for part, many in {"test": 6, "valid": 3}.items():
        asked = shop.asked[part]
        assert asked.history.num_users == asked.relevant.num_users == many
        whole = [{*asked.history.of(u), *asked.relevant.of(u)} for u in range(many)]
        assert all(len(asked.relevant.of(user)) == 1 for user in range(many))
        assert all(len(each) == 3 for each in whole), "nothing is in both, nothing is lost"
        known += whole
    assert sorted(map(sorted, known)) == sorted(sorted(log.of(user)) for user in range(30))
    assert list(shop.sizes()) == [21]


def test_texts_find_what_few_users_cannot_tell(tmp_path, backbone):
    draw = np.random.default_rng(0)
    goods = (
        "kettle",
        "rake",
        "violin",
        "saddle",
        "paint",
        "candle",
        "drill",
        "tent",
        "lamp",
        "map",
    )
    items = [{"item_id": f"i{n}", "title": f"{goods[n % 10]} {n}"} for n in range(300)]
    log = [
        {"user_id": f"u{n}", "item_id": f"i{10 * item + n % 10}"}
        for n in range(120)
        for item in draw.choice(30, 6, replace=False)
    ]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "items", items)
    with progress.quiet():
        result = table(Dataset.load(tmp_path / "in"), None, str(backbone), 1)
    assert list(result["sizes"]) == ["25", "50", "84"]
    assert result["test_users"] == [24] * ORDERS
    at = {
        name: {row: of[row]["recall@20"]["mean"] for row in of}
        for name, of in result["sizes"].items()
    }
    few = at["25"]
    assert few["TF-IDF + reading"] > few["no texts"] + 0.2
    assert few["TF-IDF + reading"] > few["TF-IDF + reading, texts permuted"] + 0.2
    assert at["84"]["no texts"] > few["no texts"] + 0.1
    assert result["sizes"]["25"]["TF-IDF + reading"]["recall@20"]["p"] == 1


def test_a_log_is_measured_once_and_drawn(tmp_path, monkeypatch):
    row = {"recall@20": {"mean": 0.2, "low": 0.0, "high": 0.1, "p": 0.5}, "setting": [1, 1, 0]}
    result = {"items": 9, "test_users": [2], "sizes": {"25": {"no texts": row, OURS: row}}}
    asked = []
    monkeypatch.setattr(measure, "table", lambda *given: asked.append(given) or result)
    monkeypatch.setattr(measure.Dataset, "load", lambda *given, **named: None)
    out, plot = str(tmp_path / "rows.json"), tmp_path / "rows.svg"
    for _ in range(2):
        for name in ("one", "two"):
            given = ["--data", str(tmp_path / name), "--out", out, "--plot", str(plot)]
            done = CliRunner().invoke(sizes, given)
            assert done.exit_code == 0, done.output
    assert len(asked) == 2
    assert list(measure.kept(Path(out), "three", {})) == ["one", "two"]
    assert {"one", "two", OURS} <= set(re.findall(r">([^<>]+)</text>", plot.read_text()))
    assert "TF-IDF + MiniLM" not in plot.read_text(), "a row that was not measured"
    done = CliRunner().invoke(
        sizes, ["--data", str(tmp_path / "one"), "--out", out, "--depth", "2"]
    )
    assert isinstance(done.exception, InputError)
    assert "depth 8 and not 2" in str(done.exception)
    another = tmp_path / "another" / "one"
    another.mkdir(parents=True)
    (another / "interactions.csv").write_text("user_id,item_id\n")
    done = CliRunner().invoke(sizes, ["--data", str(another), "--out", out])
    assert "has one, measured with data" in str(done.exception)


def test_a_picture_needs_rows(tmp_path):
    done = CliRunner().invoke(sizes, ["--plot", str(tmp_path / "rows.svg")])
    assert done.exit_code == 2
    assert "--out" in done.output
