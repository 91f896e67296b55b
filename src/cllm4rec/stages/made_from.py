"""Which run `refit` made a run from; loads no library, so that a wrong place is refused at once."""

from typing import Any

from cllm4rec.errors import InputError
from cllm4rec.run import RunDir


def made_from(run: RunDir, *, keep_test: bool) -> dict[str, Any]:
    """What is recorded of a trained run in one that is made from it.

    Raises:
        RunError: it is not trained.
    """
    files, identity = run.info("prepare")["files"], run.info("finetune")["identity"]
    return {"files": files, "identity": identity, "keep_test": keep_test}


def is_made_from(to: RunDir, run: RunDir, *, keep_test: bool, named: str = "--to") -> bool:
    """Whether one run, ``named`` so in errors, was made from another; false if there is none yet.

    Raises:
        RunError: ``run`` is not trained.
        InputError: ``to`` is ``run``, or another run, or can be none.
    """
    wanted = made_from(run, keep_test=keep_test)
    if to.path.resolve() == run.path.resolve():
        raise InputError(
            f"{named} {to.path} is the trained run itself, which stays; give a new folder"
        )
    to.refuse_place(named)
    if not to.is_done("prepare"):
        return False
    if to.info("prepare").get("refit") != wanted:
        raise InputError(
            f"{named} {to.path} is another run, or of another training; choose another folder"
        )
    return True
