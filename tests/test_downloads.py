import subprocess
import zipfile
from pathlib import Path

import pytest

from cllm4rec import downloads as wheels
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.run import sha256_file

NAME = "planted_wheel-1.0-py3-none-any.whl"
METADATA = "planted_wheel-1.0.dist-info/"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "wheels"


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A package index of one wheel, in a folder; pip is told to look nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("planted/data.txt", "right answer")
        wheel.writestr("../outside.txt", "must stay inside")
        wheel.writestr(
            METADATA + "METADATA", "Metadata-Version: 2.1\nName: planted-wheel\nVersion: 1.0\n"
        )
        wheel.writestr(
            METADATA + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(METADATA + "RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder / NAME


def test_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path))
    assert wheels.cache_dir() == tmp_path
    monkeypatch.delenv("CLLM4REC_CACHE")
    assert wheels.cache_dir() == Path.home() / ".cache" / "cllm4rec"


def test_pip_downloads_and_the_cache_keeps(cache, index, monkeypatch):
    sha256 = sha256_file(index)
    first = wheels.fetch_wheel("planted-wheel==1.0", sha256)
    assert first == cache / NAME
    assert [path.name for path in cache.iterdir()] == [NAME]

    def no_pip(*_, **__):
        raise AssertionError("the cache should have been enough")

    monkeypatch.setattr(subprocess, "run", no_pip)
    assert wheels.fetch_wheel("planted-wheel==1.0", sha256) == first


def test_a_download_with_another_hash_is_not_kept(cache, index):
    with pytest.raises(IntegrityError, match=r"planted_wheel-1\.0.*wrong sha256"):
        wheels.fetch_wheel("planted-wheel==1.0", "0" * 64)
    assert list(cache.iterdir()) == []


def test_a_changed_file_in_the_cache_is_refused(cache, index):
    sha256 = sha256_file(index)
    kept = wheels.fetch_wheel("planted-wheel==1.0", sha256)
    kept.write_bytes(kept.read_bytes() + b"!")
    with pytest.raises(IntegrityError, match=r"remove that file"):
        wheels.fetch_wheel("planted-wheel==1.0", sha256)


def test_pip_failing_is_one_line_with_the_mend(cache, index):
    with pytest.raises(InputError, match=r"absent-wheel==9\.9.*put the wheel into") as caught:
        wheels.fetch_wheel("absent-wheel==9.9", "0" * 64)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_pip_is_asked_for_a_wheel_only(cache, monkeypatch):
    """A source distribution would run its build."""
    commands = []

    def fake_pip(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "")

    monkeypatch.setattr(subprocess, "run", fake_pip)
    with pytest.raises(InputError, match="it said nothing"):
        wheels.fetch_wheel("planted-wheel==1.0", "0" * 64)
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])


def test_extract_writes_the_member_under_its_last_name(index, tmp_path):
    path = wheels.extract_member(index, "planted/data.txt", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.txt"
    assert path.read_text() == "right answer"


def test_extract_never_leaves_its_folder(index, tmp_path):
    target = tmp_path / "to"
    assert wheels.extract_member(index, "../outside.txt", target) == target / "outside.txt"
    assert not (tmp_path / "outside.txt").exists()
    for member in ("..", "", "planted/.."):
        with pytest.raises(IntegrityError):
            wheels.extract_member(index, member, target)


@pytest.mark.parametrize("content", [b"not a zip file", None])
def test_a_damaged_wheel_is_refused(index, tmp_path, content):
    if content is not None:
        index.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"damaged or holds no absent\.txt"):
        wheels.extract_member(index, "absent.txt", tmp_path / "to")
    assert not list((tmp_path / "to").glob("*"))
