"""Pages of the documentation as programs: their blocks, and a place to run them in.

Blocks of a page run in order, in one folder. ``python`` blocks share their names; ``console``
blocks are bash scripts, with or without ``$`` before each command. A block runs unless the line
before it is ``<!-- not run: reason -->``; a ``toml`` block after ``<!-- file: NAME -->`` becomes
that file.

Capitals stand for the reader's own things, which the folder holds: ``DATA`` an input directory,
``RUN`` a trained run (where the page does not prepare it), ``new.parquet`` histories. The default
backbone is a toy one, in a cache of its own.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cllm4rec.cli import cllm4rec
from support.ports import ReservedPort
from support.server import Server

SHELL = set("&|;$<>`(")
"""Characters of a command that needs a shell."""
BASH_S = 300
"""A script that takes longer has failed."""
PORT = re.compile(r"(?<=localhost:)\d+|(?<=--port )\d+")
_FENCE = re.compile(r"^ *```(.*)$")
_NOTE = re.compile(r"^ *<!-- (not run|file): (.+) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    line: int
    """Of its fence, from 1."""
    kind: str
    text: str
    not_run: str | None
    file: str | None

    @property
    def runs(self) -> bool:
        return self.kind in {"console", "python"} and self.not_run is None


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.splitlines()
    inside: int | None = None
    for number, line in enumerate(lines):
        if not _FENCE.match(line):
            continue
        if inside is None:
            inside = number
            continue
        note = _NOTE.match(lines[inside - 1]) if inside else None
        what, said = note.groups() if note else (None, "")
        yield Block(
            line=inside + 1,
            kind=_FENCE.sub(r"\1", lines[inside]).strip(),
            text="\n".join(lines[inside + 1 : number]) + "\n",
            not_run=said if what == "not run" else None,
            file=said if what == "file" else None,
        )
        inside = None
    assert inside is None, f"the fence of line {inside} is not closed"


def commands(block: str) -> str:
    """A console block as a bash script: with prompts, what follows no prompt is output."""
    lines = block.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return block
    script, goes_on = [], False
    for line in lines:
        if line.startswith("$ ") or goes_on:
            script.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return "\n".join(script) + "\n"


@dataclass
class PageRun:
    """Runs the blocks of one page; the current folder and the environment are the caller's."""

    page: str
    names: dict[str, Any] = field(default_factory=dict)
    reserved: ReservedPort = field(default_factory=ReservedPort)
    servers: list[Server] = field(default_factory=list)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = self.reserved.number

    def run(self, block: Block) -> None:
        if block.kind == "python":
            # Lines before it are empty, so that a traceback has the page's own line numbers.
            code = "\n" * block.line + block.text
            exec(compile(code, self.page, "exec"), self.names)
            return
        script = PORT.sub(str(self.port), commands(block.text))
        lines = script.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        simple = [each for each in words if each]
        plain = not any(SHELL & set(word) for line in lines for word in _unquoted(line))
        if plain and all(each[0] == "cllm4rec" for each in simple):
            for each in simple:
                self.command(each[1:])
        else:
            bash(script)

    def command(self, arguments: list[str]) -> None:
        """One call of the program, in this process: it is loaded already."""
        if arguments[0] == "serve":
            self.serve(arguments)
            return
        cllm4rec.main(arguments, standalone_mode=False)

    def serve(self, arguments: list[str]) -> None:
        """A service that answers until the page ends, as one in a terminal of its own would."""
        run, options = arguments[arguments.index("--run") + 1], arguments[1:]
        server = Server(Path(run), Path(".server"), *options)
        self.servers.append(server)
        self.port = server.port

    def close(self) -> None:
        """End what the page started."""
        self.reserved.close()
        for server in self.servers:
            assert server.end() == 0


def _unquoted(line: str) -> list[str]:
    """The words of a line that a shell looks into: all but those within single quotes."""
    words = shlex.split(line, comments=True, posix=False)
    return [word for word in words if not word.startswith("'")]


def bash(script: str) -> None:
    """Run a script; any command that fails ends it and the test."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    with tempfile.TemporaryFile("w+") as said:
        # Not through a pipe, which whatever the script leaves running would keep open.
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            code = process.wait(timeout=BASH_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # what it left running, or itself
        said.seek(0)
        assert code == 0, f"exit code {code}\n{script}\n{said.read()}"


def write_programs(folder: Path) -> str:
    """``cllm4rec`` and ``python`` of this environment; the PATH on which they come first."""
    folder.mkdir(parents=True)
    for name, arguments in (("python", ""), ("cllm4rec", "-m cllm4rec ")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments}"$@"\n')
        program.chmod(0o755)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
