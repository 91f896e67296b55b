"""Errors into exit codes and one line on standard error."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cllm4rec import interrupts
from cllm4rec.errors import CLLM4RecError, InputError, no_space_left, unusable_place
from cllm4rec.interrupts import interruption, termination
from cllm4rec.run.processes import may_speak

DONE, OUR_FAULT, WRONG_INPUT = 0, 1, 2

_NO_DEVICE_MEMORY = (
    "the GPU has no memory left; end what else uses it, or compute on the processor: "
    "CUDA_VISIBLE_DEVICES= before the command"
)


def exit_code(action: Callable[[], None]) -> int:
    """Do it, and say in one line what the caller can mend; anything else is our fault."""
    try:
        with termination(), interruption():
            action()
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message(), err=True)
        return WRONG_INPUT
    except click.NoSuchOption as usage:
        takes_ids = usage.ctx is not None and any(
            each.nargs == -1 for each in usage.ctx.command.params
        )
        hint = "; an id that begins with a dash comes after a bare --"
        said = hint if takes_ids and not usage.option_name.startswith("--") else ""
        return _refused(f"{usage.format_message()} (--help lists what there is{said})")
    except click.ClickException as usage:
        return _refused(f"{usage.format_message()} (--help lists what there is)")
    except CLLM4RecError as error:
        return _refused(str(error))
    except (KeyboardInterrupt, click.Abort):
        _say(interrupts.SAID)
        return interrupts.exit_code()
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's: not to be imported for this
            return _refused(_NO_DEVICE_MEMORY)
        mendable = unusable_place(error)
        if mendable is not None:
            return _refused(mendable)
        fault = "This is a fault of cllm4rec: please report it with the lines above."
        _say(f"{traceback.format_exc()}{fault}")
        return OUR_FAULT
    return DONE


@contextmanager
def full_disk_refused(folder: Path | None, option: str = "run") -> Iterator[None]:
    """A full disk becomes an InputError, in whatever library's words it is reported.

    Args:
        folder: where the command writes, for errors that name no file.
        option: by which it was given.

    Raises:
        InputError: a write failed because no space was left, or the user's quota was used up.
    """
    try:
        yield
    except Exception as error:
        if not no_space_left(error):
            raise
        named = getattr(error, "filename", None)
        place = Path(os.fsdecode(named)).absolute().parent if named else folder
        raise InputError(
            f"no space left on {place or 'the disk'}; free some or choose another --{option}"
        ) from error


def _refused(message: str) -> int:
    _say(f"error: {' '.join(message.split())}")
    return WRONG_INPUT


def _say(words: str) -> None:
    """Once, where several processes train together and all end for it."""
    if may_speak():
        click.echo(words, err=True)
