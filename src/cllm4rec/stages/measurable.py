"""Whether a run has something to measure; loads no library: one without is refused at once."""

from cllm4rec.errors import InputError, RunError
from cllm4rec.run import RunDir, is_sealed


def is_measurable(run: RunDir) -> bool:
    """Whether interactions are held out, as far as is known: of a run that is prepared."""
    source = run.info("prepare").get("refit") if run.is_done("prepare") else None
    return source is None or bool(source["keep_test"])


def refuse_unmeasurable(run: RunDir) -> None:
    """Refuse what has no held-out interactions.

    Raises:
        RunError: a saved model, whose run has them, or a run that is not prepared.
        InputError: a run that `refit` trained on all of them.
    """
    if is_sealed(run.path) and not run.is_done("prepare"):
        raise RunError(
            f"{run.path} is a saved model, which cannot be evaluated; the run that it was saved "
            f"from can: `cllm4rec evaluate --run RUN`"
        )
    run.info("prepare")  # raises where it is not prepared
    if not is_measurable(run):
        raise InputError(
            f"{run.path} was made by refit and trained on everything, the test part too, so "
            f"nothing is left to measure it on; evaluate the run that it was made from, or make "
            f"it with `cllm4rec refit --keep-test`"
        )
