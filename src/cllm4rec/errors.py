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
