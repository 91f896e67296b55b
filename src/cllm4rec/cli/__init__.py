"""The command line: it translates, and does nothing else.

``app`` holds the commands, ``output`` prints results, ``failures`` turns errors into exit codes.
"""

from cllm4rec.cli.app import cllm4rec, main

__all__ = ["cllm4rec", "main"]
