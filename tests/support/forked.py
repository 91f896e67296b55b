"""The program in processes of their own that start at once.

Loading what trains takes a process five seconds. These are forked from one that has loaded it, once
for each worker of pytest. They are killed like any other; how an interpreter starts the program is
tested by the pages, the services and torchrun.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

LOADED = [
    "cllm4rec.stages.train",
    "cllm4rec.stages.recommend_all",
    "transformers.models.llama.modeling_llama",
    "torch._dynamo",
]
"""What the processes would load, each for itself."""


def from_a_loaded_process() -> ForkServerContext:
    """Its processes are forked from one that has loaded the stages and a backbone's code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    return context


def forked(said: Path, *arguments: object, **environment: str) -> ForkServerProcess:
    """``cllm4rec ARGUMENTS`` in a process that has just started; what it says goes to a file."""
    given = str(said), [str(each) for each in arguments], environment
    process = from_a_loaded_process().Process(target=_program, args=given)
    process.start()
    return process


def say_into(path: str) -> None:
    """This process's standard output and error, from now on."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())


def _program(said: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    say_into(said)
    os.environ |= environment
    from cllm4rec.cli import main

    main(arguments)
