"""``add-items`` and ``remove-items`` on a trained run, as a shell calls them."""

import json
from pathlib import Path

import pytest

from cllm4rec.cli import main
from support.trained import served_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone) -> Path:
    return served_run(tmp_path_factory, backbone).path


def test_items_of_a_file_are_listed_until_they_are_removed(run, tmp_path, capsys):
    source, ids = tmp_path / "new.csv", tmp_path / "ids"
    source.write_text("item_id,title,genre\nn1,A robot,<new>\nn2,The galaxy,\nn3,,\n")
    ids.write_text("n2\n\n")

    def result_of(*arguments: object) -> dict:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--run", str(run), "--json"])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return json.loads(out)

    with pytest.raises(SystemExit) as ended:
        main(["add-items", "--run", str(run), "--items", str(source)])
    assert ended.value.code == 2
    assert "nothing was added, for some rows cannot be: no title or text: 'n3'" in (
        capsys.readouterr().err
    )
    added = result_of("add-items", "--items", source, "--skip")
    assert (added["added"], added["skipped"], added["items"]) == (2, {"no title or text": 1}, 62)
    assert added["share_of_items"] == pytest.approx(2 / 62, abs=1e-4)
    assert 0 <= added["share_of_lists"] <= 1
    near = result_of("similar", "n1", "item_000001", "--k", 61)["similar"]
    assert near["n1"][0]["title"]
    assert "n2" in {item["item_id"] for item in near["item_000001"]}
    listed = result_of("recommend", "--history", "n1", "--k", 62)["recommendations"]["history"]
    assert {"item_id": "n2", "title": "The galaxy"}.items() <= next(
        item.items() for item in listed if item["item_id"] == "n2"
    )
    assert "n1" not in {item["item_id"] for item in listed}
    # An attribute that an added item alone has is there at sight too.
    of_it = result_of("recommend", "--history", "n2", "--where", "genre=<new>")
    assert [item["item_id"] for item in of_it["recommendations"]["history"]] == ["n1"]
    assert result_of("remove-items", "--items", ids)["items_added"] == 1
    assert result_of("remove-items", "n1") == {"removed": 1, "items_added": 0, "items": 60}
    assert result_of("remove-items", "--all")["removed"] == 0
    assert not (run / "added").exists()


@pytest.mark.parametrize("given", [[], ["7", "--all"], ["--all", "--items", "ids"]])
def test_what_is_to_be_removed_is_given_in_one_way(given, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["remove-items", "--run", "R", *given])
    assert ended.value.code == 2
    assert "give the ids, --items FILE or --all, one of the three" in capsys.readouterr().err
