"""Errors that are the caller's to mend, and nothing else.

    CLLM4RecError
    ├─ InputError          a file, a column or a value the user gave is not usable
    │  ├─ UnknownId        a user or an item that the run does not know
    │  └─ ConfigError      a setting that does not exist or is out of range
    ├─ IntegrityError      a file is not what its recorded hash says
    └─ RunError            the run directory lacks the stage that is needed first

Every message is one line: what was wrong, where, and the mend. The command line turns each of
these into exit code 2 without a traceback; anything else is our fault and exits with 1.
"""

import errno
import os

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_NAME = {errno.ENAMETOOLONG, errno.ELOOP}
_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)


class CLLM4RecError(Exception):
    """Root of all errors a caller can mend."""


class InputError(CLLM4RecError):
    """A file, a column or a value given by the user is not usable."""


class UnknownId(InputError):
    """A user or an item that the run does not know."""


class ConfigError(InputError):
    """A setting that does not exist or is out of range."""


class IntegrityError(CLLM4RecError):
    """A file is not what its recorded hash says it is."""


class RunError(CLLM4RecError):
    """The run directory lacks what this stage needs."""


def shortened(text: str, most: int = 80) -> str:
    """A text for a message, cut to so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def no_space_left(error: Exception) -> bool:
    """Whether a write failed on a full disk or a used quota, in whatever library's words."""
    number = getattr(error, "errno", None)
    return number in _NO_SPACE or any(os.strerror(each) in str(error) for each in _NO_SPACE)


def is_forbidden(error: Exception) -> bool:
    """Whether a place may not be written: by its rights, or on a disk that is read-only."""
    return isinstance(error, OSError) and error.errno in _NOT_ALLOWED


def unusable_place(error: Exception) -> str | None:
    """A forbidden place, or one that something else takes, in one line; None for anything else."""
    if not isinstance(error, OSError) or not error.filename:
        return None
    reason = (error.strerror or type(error).__name__).lower()
    if is_forbidden(error):
        mend = "mount it to be written" if error.errno == errno.EROFS else "change its rights"
        return f"{error.filename}: {reason}; {mend} or choose another place"
    if error.errno in _NO_NAME:
        return f"{error.filename}: {reason}; choose another path"
    if isinstance(error, _IN_THE_WAY):
        # Of a renaming the second name is the one that was asked for.
        return f"{error.filename2 or error.filename}: {reason}; choose another path to write"
    return None
