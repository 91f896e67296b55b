"""The Python interface: fit, recommend, save, load."""

import json
import shutil

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import CLLM4Rec, Dataset, progress
from cllm4rec.config.naming import row_label
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.errors import InputError, IntegrityError, RunError, UnknownId
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.intact import seal_model
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.recommend import recommend
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_request


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    write_planted_world(folder / "source")
    backbone = write_tiny_llama(folder / "backbone")
    config = toy_request(backbone, "finetune.epochs=1")
    with progress.quiet():
        dataset = Dataset.load(folder / "source", split=folder / "source" / "split.parquet")
        return CLLM4Rec(config).fit(dataset), dataset


def test_recommend_names_users_and_items(fitted):
    model, dataset = fitted
    users = dataset.users.ids([4, 2])
    lists = model.recommend(users, k=5)
    assert list(lists) == users
    for user, items in lists.items():
        scores = [score for _, score in items]
        assert scores == sorted(scores, reverse=True)
        seen = dataset.items.ids(dataset.known("recommend").of(dataset.users.number(user)))
        assert not {item for item, _ in items} & set(seen)


def test_lists_come_as_a_table_that_frames_are_made_of(fitted):
    model, dataset = fitted
    users = dataset.users.ids([4, 2])
    expected = [
        (user, item, rank, score)
        for user, items in model.recommend(users, k=5).items()
        for rank, (item, score) in enumerate(items, start=1)
    ]
    table = model.recommend_table(users, k=5)
    assert list(table.to_pandas().itertuples(index=False, name=None)) == expected
    assert pl.from_arrow(table).rows() == expected
    only = model.recommend_table(users, k=5, include=dataset.items.ids([0, 1]), seen=True)
    assert set(only.column("item_id").to_pylist()) == set(dataset.items.ids([0, 1]))
    with pytest.raises(InputError, match="users"):
        model.recommend_table("196")
    longest = model.recommend_table(users, k=10**12, seen=True)
    assert longest.num_rows == len(users) * len(dataset.items)
    everyone = model.recommend_table(k=1)
    assert everyone.column("user_id").to_pylist() == dataset.users.external.to_pylist()


def test_a_user_below_the_minimum_is_answered_from_the_history(fitted, tmp_path):
    model, dataset = fitted
    kept, items = dataset.users.id(4), dataset.items.ids([3, 1, 2])
    log = [
        (user, item)
        for user in dataset.users.ids(range(40))
        for item in dataset.items.ids(dataset.interactions.of(dataset.users.number(user)))
    ]
    log += [("few", item) for item in items]
    frame = pl.DataFrame(log, schema=["user_id", "item_id"], orient="row")
    again = CLLM4Rec(model.request, run=tmp_path / "run")
    with progress.quiet():
        again.fit(Dataset.from_frames(frame))
    assert again.recommend(["few"], k=5)["few"] == again.recommend_for_history(items, k=5)
    (item, _), *_others = again.recommend(["few"], k=1)["few"]

    def score(history):
        ((_, found),) = again.recommend_for_history(history, k=1, include=[item])
        return found

    effects = {one: score(items) - score([each for each in items if each != one]) for one in items}
    wanted = {one: pytest.approx(effect, abs=1e-4) for one, effect in effects.items() if effect > 0}
    assert wanted
    assert dict(again.explain("few", item)) == wanted
    out = tmp_path / "lists.parquet"
    recommend(RunDir(tmp_path / "run"), users=["few", kept], k=5, out=out)
    assert pq.read_table(out).column("user_id").to_pylist() == ["few"] * 5 + [kept] * 5


def test_k_is_cut_to_the_catalogue_and_none_is_refused(fitted):
    model, dataset = fitted
    user, num_items = dataset.users.id(4), len(dataset.items)
    known = len(dataset.known("recommend").of(4))
    assert len(model.recommend([user], k=10**12)[user]) == num_items - known
    assert len(model.recommend_for_history([dataset.items.id(3)], k=10**12)) == num_items - 1
    for k in (0, -3):
        with pytest.raises(InputError, match=f"k = {k} asks for no item"):
            model.recommend([user], k=k)
        with pytest.raises(InputError, match=f"k = {k} asks for no item"):
            model.recommend_for_history([dataset.items.id(3)], k=k)


def test_a_saved_folder_recommends_into_a_file_and_after_a_history(fitted, tmp_path):
    model, dataset = fitted
    model.save(tmp_path / "saved")
    saved, out = RunDir(tmp_path / "saved"), tmp_path / "lists.parquet"
    user = dataset.users.id(7)
    with progress.quiet():
        assert recommend(saved, out=out, k=3)["users"] == len(dataset.users)
        assert recommend(saved, users=[user], k=3)["users"] == 1
        assert recommend(saved, history=[dataset.items.id(3)])["recommendations"]
    ranked = RankedItems.read(out, dataset.users, dataset.items, 3)
    assert dataset.items.ids(ranked.items[7]) == [
        item for item, _ in model.recommend([user], 3)[user]
    ]


def test_saved_and_loaded_it_recommends_the_same(fitted, tmp_path):
    model, dataset = fitted
    model.save(tmp_path / "saved")
    loaded = CLLM4Rec.load(tmp_path / "saved")
    users = dataset.users.ids([0, 7])
    assert loaded.recommend(users, k=9) == model.recommend(users, k=9)
    history = dataset.items.ids([3, 5])
    assert loaded.recommend_for_history(history) == model.recommend_for_history(history)


def test_reasons_are_measured_on_the_users_history(fitted):
    model, dataset = fitted
    user = dataset.users.ids([6])[0]
    item = model.recommend([user], k=1)[user][0][0]
    history = dataset.items.ids(dataset.known("recommend").of(6))
    found = model.explain(user, item)
    assert len(found) <= 3
    assert {item_id for item_id, _ in found} <= set(history)
    effects = [effect for _, effect in found]
    assert effects == sorted(effects, reverse=True)
    assert all(effect > 0 for effect in effects)
    with pytest.raises(UnknownId):
        model.explain(user, "no such item")


def test_nothing_saved_is_a_pickle_or_a_backbone(fitted, tmp_path):
    fitted[0].save(tmp_path / "saved")
    suffixes = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".parquet", ".npy", ".md"}


def test_a_saved_folder_is_verified_when_it_is_loaded(fitted, tmp_path):
    saved = tmp_path / "saved"
    fitted[0].save(saved)
    (saved / "README.md").write_text("a page that somebody edited")
    CLLM4Rec.load(saved)
    weights = saved / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    for load in (CLLM4Rec.load, Recommender.load):
        with pytest.raises(IntegrityError, match=r"model\.safetensors is not what was saved"):
            load(saved)
    weights.unlink()
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing"):
        CLLM4Rec.load(saved)
    (saved / "sha256.json").unlink()
    with pytest.raises(IntegrityError, match=r"sha256\.json is missing; copy or download"):
        CLLM4Rec.load(saved)


def test_saved_again_it_is_the_same_folder(fitted, tmp_path):
    fitted[0].save(tmp_path / "saved")
    CLLM4Rec.load(tmp_path / "saved").save(tmp_path / "again")
    once, twice = (
        {x.relative_to(folder): x.read_bytes() for x in folder.rglob("*") if x.is_file()}
        for folder in (tmp_path / "saved", tmp_path / "again")
    )
    assert once == twice


def test_the_card_has_the_table_of_the_model_that_is_saved(fitted, tmp_path):
    model, _ = fitted
    with progress.quiet():
        rows = model.evaluate()["rows"]
    model.save(tmp_path / "saved")
    card = (tmp_path / "saved" / "README.md").read_text()
    for row in rows:
        assert f"| {row_label(row)} | {row['metrics']['recall@20']['mean']:.4f}" in card
    assert (tmp_path / "saved" / "results.json").is_file()
    RunDir(model.run).forget("evaluate")
    model.save(tmp_path / "unmeasured")
    assert "Not measured" in (tmp_path / "unmeasured" / "README.md").read_text()
    assert not (tmp_path / "unmeasured" / "results.json").exists()


def test_everyone_gets_a_list_from_the_run_and_from_the_saved_folder(fitted, tmp_path):
    model, dataset = fitted
    model.save(tmp_path / "saved")
    for each, name in ((model, "one"), (CLLM4Rec.load(tmp_path / "saved"), "other")):
        with progress.quiet():
            assert each.recommend_all(tmp_path / name, k=3)["finished"]
        ranked = RankedItems.read(tmp_path / name, dataset.users, dataset.items, 3)
        user = dataset.users.id(7)
        listed = [item for item, _ in model.recommend([user], k=3)[user]]
        assert dataset.items.ids(ranked.items[7]) == listed
    with progress.quiet():
        model.recommend_all(tmp_path / "some", k=3, exclude=listed[:1], seen=True)
    ranked = RankedItems.read(tmp_path / "some", dataset.users, dataset.items, 3)
    some = model.recommend([user], k=3, exclude=listed[:1], seen=True)[user]
    assert dataset.items.ids(ranked.items[7]) == [item for item, _ in some]


def test_evaluate_returns_the_table(fitted):
    with progress.quiet():
        first = fitted[0].evaluate()["rows"][0]
    assert (first["model"], 0 < first["metrics"]["recall@20"]["mean"] <= 1) == ("hybrid", True)


def test_an_unfitted_model_says_so():
    with pytest.raises(RunError, match=r"call fit\(dataset\)"):
        CLLM4Rec().recommend(["a"])


def test_scores_fall_with_the_rank_for_a_bare_history(fitted):
    model, dataset = fitted
    items = model.recommend_for_history(dataset.items.ids([1]), k=4)
    assert len(items) == 4
    assert np.all(np.diff([score for _, score in items]) <= 0)


def test_a_saved_model_is_fitted_again_elsewhere(fitted, tmp_path):
    model, dataset = fitted
    model.save(tmp_path / "saved")
    again = CLLM4Rec.load(tmp_path / "saved")
    with pytest.raises(RunError, match="is a saved model"):
        again.evaluate()
    with progress.quiet():
        again.fit(dataset)
    user = dataset.users.id(7)
    assert again.recommend([user], k=3) == model.recommend([user], k=3)
    assert CLLM4Rec.load(tmp_path / "saved").recommend([user], k=3)
    with pytest.raises(InputError, match="is a saved model, not a run"):
        CLLM4Rec(model.config_, run=tmp_path / "saved").fit(dataset)


def test_saving_replaces_nothing_but_a_saved_model(fitted, tmp_path):
    model, _ = fitted
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    for folder in (tmp_path / "mine", tmp_path / "mine" / "thesis.tex", model.run):
        with pytest.raises(InputError, match=r"is no saved model|choose a path outside it"):
            model.save(folder)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "mine"
    assert RunDir(model.run).is_done("finetune")


def test_saving_here(fitted, tmp_path, monkeypatch):
    model, dataset = fitted
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    model.save(".")
    user = dataset.users.id(7)
    assert CLLM4Rec.load(here).recommend([user], k=3) == model.recommend([user], k=3)


def test_a_model_on_other_data_is_refused(fitted, tmp_path):
    model, _ = fitted
    run = tmp_path / "run"
    for name in ("data", "model"):
        shutil.copytree(model.run / name, run / name)
    assert Recommender.load(run)
    items = pq.read_table(run / "data" / "items.parquet")
    ids = items["item_id"].to_pylist()
    ids[-1] += "x"
    items = items.set_column(items.column_names.index("item_id"), "item_id", pa.array(ids))
    pq.write_table(items, run / "data" / "items.parquet")
    with pytest.raises(
        IntegrityError, match=r"items\.parquet is not what it was when .* was trained"
    ):
        Recommender.load(run)


def test_settings_of_another_version_are_refused(fitted, tmp_path):
    model, _ = fitted
    run = tmp_path / "run"
    for name in ("data", "model"):
        shutil.copytree(model.run / name, run / name)
    record = json.loads((run / "model" / "model.json").read_text())
    record["config"]["finetune"]["colour"] = "red"
    (run / "model" / "model.json").write_text(json.dumps(record))
    (run / "model" / "sha256.json").unlink()
    seal_model(run / "model")
    with pytest.raises(IntegrityError, match=r"not this version's \(no setting finetune\.colour"):
        Recommender.load(run)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.recommend("196"), "users is one text, '196'; give a list of ids: \\['196'\\]"),
        (lambda m: m.recommend(b"196"), "users is a bytes; give a list of ids"),
        (lambda m: m.recommend(k=2), "give users, a list of ids, or a query or a profile; of a h"),
        (lambda m: m.recommend({"196": 1}), "users is a dict"),
        (lambda m: m.recommend([196]), "users holds 196, an int; ids are text"),
        (lambda m: m.recommend([["196"]]), "users holds .*, a list; ids are text"),
        (lambda m: m.recommend(["a"], k=2.5), "k = 2.5 is no whole number"),
        (lambda m: m.recommend(["a"], k=True), "k = True is no whole number"),
        (lambda m: m.recommend(["a"], k="5"), "k = '5' is no whole number"),
        (lambda m: m.recommend(["a"], include="50"), "include is one text, '50'"),
        (lambda m: m.recommend(["a"], exclude="50"), "exclude is one text, '50'"),
        (lambda m: m.recommend(["a"], where="genre=x"), "where is a str; give a dict"),
        (lambda m: m.recommend(["a"], where={"year": True}), "where holds True, a bool"),
        (lambda m: m.recommend(["a"], seen="no"), "seen is a str; give True or False"),
        (lambda m: m.recommend_for_history("50"), "items is one text, '50'"),
        (lambda m: m.recommend_for_history(["50"], k=1.0), "k = 1.0 is no whole number"),
        (lambda m: m.recommend_for_history([]), "the history is empty"),
        (lambda m: m.similar(["50"]), "unknown item"),
        (lambda m: m.similar("i0", k=2.5), "k = 2.5 is no whole number"),
        (lambda m: m.follow("50"), "items is one text, '50'"),
        (lambda m: m.explain(["a"], "b"), "unknown user"),
        (lambda m: m.fit("dir"), "dataset is a str, not a Dataset; Dataset.from_frames"),
        (lambda m: m.fit(None), "dataset is a NoneType, not a Dataset"),
        (lambda m: m.save(None), "folder is None; give a path"),
        (lambda m: m.save(""), "folder is ''; give a path"),
        (lambda m: m.recommend_all(3), "folder is 3; give a path"),
        (lambda m: m.recommend_all("x", histories=4), "histories is 4; give a path"),
        (lambda m: CLLM4Rec.load(7), "folder is 7; give a path"),
        (lambda m: CLLM4Rec(7), "settings cannot be read from 7; give a preset's name"),
        (lambda m: CLLM4Rec(run=True), "run is True; give a path"),
    ],
)
def test_what_is_no_argument_is_refused_with_a_line(fitted, call, message):
    with pytest.raises(InputError, match=message) as refused:
        call(fitted[0])
    assert "\n" not in str(refused.value)


def test_whatever_holds_ids_is_a_list_of_them(fitted):
    model, dataset = fitted
    users = dataset.users.ids([4, 2])
    wanted = model.recommend(users, k=np.int64(3))
    for given in (tuple(users), np.array(users), iter(users), pa.array(users).to_pylist()):
        assert model.recommend(given, k=3) == wanted
