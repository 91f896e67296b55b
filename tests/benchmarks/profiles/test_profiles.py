"""Users without a history on a planted town where occupations have tastes of their own."""

import numpy as np

from benchmarks.profiles.rows import Question, popular, same_properties
from benchmarks.profiles.table import table
from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from support.input_folder import write_rows


def test_same_properties_are_counted_and_fall_back_on_fewer():
    known = Interactions.from_lists([[0], [0, 1], [1], [2], [2], [2], [0]], 3)
    columns = {"sex": ["m", "m", "m", "f", "f", "f", "m"], "one": ["a"] * 7}
    question = Question(known, columns, np.arange(6), np.array([6]))
    rate = np.array([2, 2, 3]) / 6
    rate = (rate * 6 + 10 * rate) / 16  # all six have "a"
    np.testing.assert_allclose(popular(question), [np.array([2, 2, 3]) / 6])
    # "m" has three users, fewer than a known value needs: everyone but the unknown is alike.
    np.testing.assert_allclose(same_properties(question, 10.0), [rate])


def test_the_table_of_a_planted_town(tmp_path, backbone):
    draw = np.random.default_rng(0)
    trades = ["artist", "doctor", "clerk"]
    people = [{"user_id": f"u{n}", "trade": trades[n % 3], "age": n % 50} for n in range(120)]
    log = [
        {"user_id": f"u{n}", "item_id": f"i{item}"}
        for n in range(120)
        for item in draw.choice(20, 6, replace=False) + 20 * (n % 3)
    ]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "users", people)
    with progress.quiet():
        dataset = Dataset.load(tmp_path / "in")
        result = table(dataset, str(backbone), 1)
    rows = {name: row["recall@20"]["mean"] for name, row in result["rows"].items()}
    assert rows["ours"] > 0.8 > 0.6 > rows["popularity"]
    assert rows["same properties"] > 0.6
    assert result["rows"]["ours"]["recall@20"]["low"] == 0
    assert result["rows"]["popularity"]["recall@20"]["low"] > 0
