import zipfile

import pyarrow.parquet as pq
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources import movielens
from cllm4rec.data.sources.movielens import WHEEL_SHA256, write_movielens_100k
from cllm4rec.downloads import cache_dir
from cllm4rec.run import sha256_file

FILES = {
    "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t10\t5\t881250949\n2\t11\t3\t881250950\n",
    "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "10\tGodfather, The\t1972\tAction Crime\n11\tunkonwn\tunkonwn\tunknown\n"
    "12\tMisérables, Les\tV\tDrama\n13\tSay \"hi\"\t1990\tChildren's\n",
    "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n",
}  # fmt: skip


@pytest.fixture
def small_wheel(tmp_path, monkeypatch):
    """A wheel of the same layout with a handful of rows."""
    wheel = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for ending, content in FILES.items():
            archive.writestr(movielens.MEMBER + ending, content)
    monkeypatch.setattr(movielens, "fetch_wheel", lambda *_: wheel)


def test_the_wheel_becomes_the_input_format(tmp_path, small_wheel):
    write_movielens_100k(tmp_path / "out")
    read = {path.stem: pq.read_table(path).to_pydict() for path in (tmp_path / "out").iterdir()}
    assert read == {
        "interactions": {
            "user_id": ["1", "2"],
            "item_id": ["10", "11"],
            "timestamp": [881250949, 881250950],
            "rating": [5.0, 3.0],
        },
        "items": {
            "item_id": ["10", "11", "12", "13"],
            "title": ["The Godfather", None, "Les Misérables", 'Say "hi"'],
            "text": [None] * 4,
            "year": [1972, None, None, 1990],
            "genres": [["Action", "Crime"], [], ["Drama"], ["Children's"]],
        },
        "users": {
            "user_id": ["1", "2"],
            "age": ["24", "53"],
            "gender": ["M", "F"],
            "occupation": ["technician", "other"],
        },
    }


def test_the_real_wheel_has_the_published_counts(tmp_path, shared_data, monkeypatch):
    found = sorted((cache_dir() / "wheels").glob("recbole-1.2.1-*.whl"))
    if not found or sha256_file(found[0]) != WHEEL_SHA256:
        pytest.skip("the wheel recbole==1.2.1 is not in the cache; `cllm4rec data` fetches it")
    write_movielens_100k(tmp_path / "out")
    tables = {path.stem: pq.read_table(path) for path in (tmp_path / "out").iterdir()}
    assert {name: len(table) for name, table in tables.items()} == {
        "interactions": 100_000,
        "items": 1682,
        "users": 943,
    }
    split = shared_data / "movielens-100k" / "split.parquet"
    dataset = Dataset.load(tmp_path / "out", split=split, folder=tmp_path / "data")
    summary = dataset.summary()
    counts = [summary[key] for key in ("users", "items", "train", "valid", "test")]
    assert counts == [938, 1447, 44265, 5548, 5548]
    assert dataset.report()["refused"]["split"] == {}
    toy_story = dataset.items.number("1")
    assert dataset.texts.item_titles[toy_story] == "Toy Story"
    features = {name: column[toy_story] for name, column in dataset.texts.item_features.items()}
    assert features == {"year": "1995", "genres": "Animation, Children's, Comedy"}
