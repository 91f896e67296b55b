"""Items that come with a text alone, in a trained run: what they get, and what stays as it was."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, IntegrityError, RunError, UnknownId
from cllm4rec.models.reading import Reader
from cllm4rec.recommender.added import AddedItems
from cllm4rec.recommender.intact import model_fingerprint
from cllm4rec.recommender.placing import Placing, ReadTexts
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.run.added import Current
from cllm4rec.stages.add_items import add_items, remove_items, share_of_lists
from cllm4rec.stages.evaluate import model_rankings
from support.trained import served_run

TEXTS = ["a tale of a robot", "the galaxy", "a detective and a suspect"]
TWIN = "item_000001"
ROWS = [
    {"item_id": "n2", "title": "The Autumn of the Robot", "text": "A tale of a rocket."},
    {"item_id": "a1", "title": "A Mystery", "text": "Of a detective and a suspect."},
    {"item_id": "zz", "title": "The Summer of the Galaxy", "text": "A tale of an orbit."},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone) -> Path:
    return served_run(tmp_path_factory, backbone).path


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    shutil.copytree(trained, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.fixture(scope="module")
def before(trained) -> Recommender:
    return Recommender.load(trained)


def add(run: RunDir, rows, **options):
    source = run.path.parent / "new.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    with progress.quiet():
        return add_items(run, source, **{"measure": False, **options})


def scores_of(recommender: Recommender, histories=None) -> np.ndarray:
    size = recommender.scorer.num_items
    if histories is None:
        known = recommender.dataset.known("recommend")
        return recommender.scorer.score(np.arange(known.num_users, dtype=np.int32), known)
    numbers = [recommender.dataset.items.numbers(each).tolist() for each in histories]
    users = np.full(len(numbers), -1, np.int32)
    return recommender.scorer.score(users, Interactions.from_lists(numbers, size))


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_scores_of_the_others_are_the_same_to_the_bit(run, before):
    assert add(run, ROWS)["items"] == 63
    after = Recommender.load(run.path)
    found, wanted = scores_of(after), scores_of(before)
    assert found.shape == (wanted.shape[0], wanted.shape[1] + 3)
    np.testing.assert_array_equal(found[:, :60], wanted)
    assert after.dataset.items.ids(range(60)) == before.dataset.items.ids(range(60))
    # Also beside histories that hold an added item.
    items = after.dataset.items.ids([3, 7])
    found = scores_of(after, [items, ["zz", items[0]], items[1:]])
    # A batch of the same shape: products of another shape differ in their last bits.
    wanted = scores_of(before, [items, items[::-1], items[1:]])
    np.testing.assert_array_equal(found[[0, 2], :60], wanted[[0, 2]])


def test_lists_without_the_added_ones_are_those_of_before(run, before):
    add(run, ROWS)
    after = Recommender.load(run.path)
    for user in after.dataset.users.ids(range(5)):
        listed = [after.recommend([user], k=63).items[0], before.recommend([user], k=60).items[0]]
        assert [item for item in listed[0] if item < 60] == listed[1].tolist()


def test_an_added_items_score_is_its_neighbours_mean_its_texts_own_and_an_offset(run, before):
    add(run, ROWS)
    after = Recommender.load(run.path)
    placing, train = Placing.read(run.path), before.dataset.part("train")
    rule, vectors = placing.rule, placing.texts.items
    known = np.flatnonzero(train.item_counts())
    histories = [before.dataset.items.ids([2, 5, 9]), before.dataset.items.ids([40])]
    wanted, found = scores_of(before, histories), scores_of(after, histories)
    for row in ROWS:
        [vector] = placing.texts.vectors([f"{row['title']}. {row['text']}"])
        cosines = np.maximum(vectors[known] @ vector, 0)
        last = np.sort(cosines)[-min(rule.k, len(known))]
        weights = np.where(cosines >= last, cosines, 0) ** rule.power
        column = after.dataset.items.number(row["item_id"])
        for at, numbers in enumerate([[2, 5, 9], [40]]):
            mean = weights @ wanted[at, known] / weights.sum()
            own = np.mean([vectors[number] @ vector for number in numbers])
            score = rule.scale * (mean + rule.text_weight * own) + rule.offset
            assert found[at, column] == pytest.approx(score, abs=1e-4)


def test_adding_in_two_calls_is_adding_in_one(run, trained, tmp_path):
    add(run, ROWS)
    other = RunDir(shutil.copytree(trained, tmp_path / "other"))
    add(other, ROWS[2:])
    alone = Recommender.load(other.path)
    add(other, ROWS[:2])
    both, one = Recommender.load(other.path), Recommender.load(run.path)
    np.testing.assert_array_equal(scores_of(both), scores_of(one))
    assert both.dataset.items.external == one.dataset.items.external
    assert bytes_of(other.path / "added") == bytes_of(run.path / "added")
    # An added item is one of the others for those that come later.
    np.testing.assert_array_equal(
        scores_of(alone)[:, 60], scores_of(one)[:, one.dataset.items.number("zz")]
    )


@pytest.mark.parametrize("ids", [None, ["n2", "a1", "zz"]])
def test_added_and_removed_all_is_as_it_was_to_the_byte(run, ids):
    was = bytes_of(run.path)
    add(run, ROWS)
    assert remove_items(run, ids) == {"removed": 3, "items_added": 0, "items": 60}
    assert bytes_of(run.path) == was
    assert remove_items(run, None)["removed"] == 0


def test_one_added_and_removed_leaves_the_others_that_were_added(run):
    add(run, ROWS[:2])
    was, fingerprint = bytes_of(run.path), model_fingerprint(run.path)
    add(run, ROWS[2:])
    assert model_fingerprint(run.path) != fingerprint
    assert remove_items(run, ["zz"])["items_added"] == 2
    assert bytes_of(run.path) == was
    assert model_fingerprint(run.path) == fingerprint


def test_a_text_that_the_run_has_under_another_id_gets_that_items_scores(run, before):
    number = before.dataset.items.number(TWIN)
    title, text = (
        before.dataset.texts.item_titles[number],
        before.dataset.texts.item_texts[number],
    )
    report = add(run, [{"item_id": "copy", "title": f" {title.upper()} ", "text": text}, *ROWS])
    assert report["same_text"] == 1
    after = Recommender.load(run.path)
    known = scores_of(after)
    twins = [
        at
        for at, words in enumerate(before.dataset.texts.described(()))
        if words.casefold() == f"{title}. {text}".casefold()
    ]
    copied = known[:, after.dataset.items.number("copy")]
    np.testing.assert_allclose(copied, known[:, twins].mean(axis=1), rtol=1e-5)


def test_markup_is_no_part_of_a_text(run, before):
    texts, number = before.dataset.texts, before.dataset.items.number(TWIN)
    title, text = texts.item_titles[number], texts.item_texts[number]
    row = {"item_id": "copy", "title": f"<b>{title}</b>", "text": f"<p>{text}</p>"}
    assert add(run, [row])["same_text"] == 1
    assert Recommender.load(run.path).dataset.texts.item_titles[-1] == title


def test_an_added_item_in_a_history_counts(run, before):
    number = before.dataset.items.number(TWIN)
    texts = before.dataset.texts
    copy = {"item_id": "copy", "title": texts.item_titles[number], "text": texts.item_texts[number]}
    add(run, [copy])
    after = Recommender.load(run.path)
    [found] = scores_of(after, [["copy", "item_000020"]])
    [wanted] = scores_of(before, [[TWIN, "item_000020"]])
    np.testing.assert_allclose(found[:60], wanted, atol=5e-3)  # sets are read in another order
    [without] = scores_of(before, [["item_000020"]])
    assert np.abs(found[:60] - without).max() > 0.1
    listed = after.recommend_for_history(["copy"], k=61).items[0]
    assert after.dataset.items.number("copy") not in listed


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"item_id": TWIN, "title": "robot"}], f"that the run was trained with: '{TWIN}'"),
        ([{"item_id": "n", "title": "robot"}] * 2, "repeated item_id: 'n'"),
        ([{"item_id": "n", "title": " ", "text": ""}], "no title or text: 'n'"),
        ([{"item_id": "n", "title": "robot " * 17_000}], "more than 100,000 bytes: 'n'"),
        ([{"item_id": "n", "title": "история робота"}], "no word that two items .*: 'n'"),
        ([{"item_id": None, "title": "robot"}], "no item_id: 1 row"),
        ([{"item_id": f"m{n}", "title": ""} for n in range(5)], "'m0', 'm1', 'm2' and 2 more"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(run, rows, why):
    was = bytes_of(run.path)
    with pytest.raises(InputError, match=why) as refused:
        add(run, [*ROWS, *rows])
    assert "\n" not in str(refused.value)
    assert "nothing was added" in str(refused.value)
    assert bytes_of(run.path) == was
    report = add(run, [*ROWS, *rows], skip=True)
    assert report["added"] == 3 + (why.startswith("repeated"))
    assert sum(report["skipped"].values()) == len(rows) - (why.startswith("repeated"))


def test_what_is_read_places_items_and_words_decide_which(run, backbone, monkeypatch):
    placing = Placing.read(run.path)
    reader = {"backbone": str(backbone), "depth": 1}
    words = [f"{TEXTS[n % 3]} number {n}" for n in range(placing.texts.space.num_items)]
    read = ReadTexts.of(reader, Reader(**reader).vectors(words))
    reads = replace(placing, texts=replace(placing.texts, read=read))
    monkeypatch.setattr(Placing, "read", lambda folder: reads)
    strange = {"item_id": "n", "title": "история робота"}  # a reader reads any script
    with pytest.raises(InputError, match=r"no word that two items .*: 'n'"):
        add(run, [*ROWS, strange])
    assert add(run, [*ROWS, strange], skip=True)["added"] == 3
    added = AddedItems.of(run.path)
    texts = [f"{row['title']}. {row['text']}" for row in sorted(ROWS, key=lambda x: x["item_id"])]
    np.testing.assert_allclose(added.vectors, reads.texts.vectors(texts), atol=1e-5)
    assert added.vectors.shape[1] > placing.texts.items.shape[1]


def test_a_file_without_ids_names_what_it_has_and_no_setting_that_there_is_not(run, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("sku,title\n7,robot\n")
    with pytest.raises(InputError) as refused:
        add_items(run, path)
    assert str(refused.value) == (
        f"{path} has no column 'item_id' (it has sku, title); rename the column that is meant"
    )


def test_an_id_that_was_added_is_refused_too(run):
    add(run, ROWS)
    was = bytes_of(run.path)
    with pytest.raises(InputError, match=r"added before: 'a1'; mend them"):
        add(run, [ROWS[1], {"item_id": "n9", "title": "robot"}])
    assert bytes_of(run.path) == was


def test_an_item_of_the_training_or_of_nowhere_is_not_removed(run):
    add(run, ROWS)
    was = bytes_of(run.path)
    with pytest.raises(InputError, match=f"'{TWIN}' was not added: the run was trained with it"):
        remove_items(run, ["a1", TWIN])
    why = "^unknown item 'nobody': no item of this id was added; 3 items are$"
    with pytest.raises(UnknownId, match=why):
        remove_items(run, ["a1", "nobody"])
    assert bytes_of(run.path) == was


KILLED = """
import os, signal, sys
from cllm4rec.run import added, RunDir
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
added.write_json = kill
from cllm4rec.stages.add_items import add_items
from pathlib import Path
add_items(RunDir(sys.argv[1]), Path(sys.argv[2]), measure=False)
"""


def test_killed_between_writing_and_the_pointer_the_old_catalogue_stays(run):
    add(run, ROWS[:1])
    was, pointer = scores_of(Recommender.load(run.path)), Current.read(run.path)
    source = run.path.parent / "more.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS[1:]), source)
    ended = subprocess.run([sys.executable, "-c", KILLED, run.path, source], capture_output=True)
    assert ended.returncode == -9, ended.stderr
    assert len([each for each in (run.path / "added").iterdir() if each.is_dir()]) == 2
    assert Current.read(run.path) == pointer
    np.testing.assert_array_equal(scores_of(Recommender.load(run.path)), was)
    with progress.quiet():
        add_items(run, source, measure=False)
    assert len(AddedItems.of(run.path)) == 3
    assert {each.name for each in (run.path / "added").iterdir()} == {
        "current.json",
        Current.read(run.path).path.name,
    }


HOLDING = """
import sys, time
from cllm4rec.run import RunDir
with RunDir(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_adder_is_refused_while_the_first_is_at_work(run):
    command = [sys.executable, "-c", HOLDING, run.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        was = bytes_of(run.path)
        for change in (lambda: add(run, ROWS), lambda: remove_items(run, None)):
            with pytest.raises(RunError, match="another process is at work"):
                change()
        assert bytes_of(run.path) == was
        other.stdin.close()
    assert add(run, ROWS)["added"] == 3


def test_what_was_added_and_damaged_is_refused_by_name_and_can_be_removed(run):
    add(run, ROWS)
    path = Current.read(run.path).path / "rows.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"rows\.safetensors is not what was saved"):
        Recommender.load(run.path)
    remove_items(run, None)
    assert len(Recommender.load(run.path).dataset.items) == 60


def test_the_test_part_is_measured_without_them(run, before):
    wanted = [ranked.items for *_, ranked in model_rankings(before, before.dataset)]
    add(run, ROWS)
    again = Recommender.load(run.path, added=False)
    found = [ranked.items for *_, ranked in model_rankings(again, again.dataset)]
    np.testing.assert_array_equal(found, wanted)


def test_their_share_of_the_lists_is_said_beside_their_share_of_the_items(run):
    report = add(run, ROWS, measure=True)
    recommender = Recommender.load(run.path)
    items = recommender.recommend(None, k=20).items
    assert report["share_of_lists"] == pytest.approx((items >= 60).mean(), abs=1e-4)
    first = items[:, :5]
    assert report["share_of_first_5"] == pytest.approx((first >= 60).mean(), abs=1e-4)
    assert report["share_of_first_5"] != report["share_of_lists"]
    assert report["share_of_items"] == pytest.approx(3 / 63, abs=1e-4)
    assert report["sample"] == {"users": 120, "k": 20}
    assert share_of_lists(recommender)["share_of_lists"] == report["share_of_lists"]
