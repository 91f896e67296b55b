"""``python -m cllm4rec``: the same program as ``cllm4rec``."""

import sys

from cllm4rec.interrupts import SAID, exit_code, interruption, termination


def main() -> None:
    """Load the command line and run it; Ctrl-C or SIGTERM meanwhile is one line, too."""
    try:
        with termination(), interruption():
            from cllm4rec.cli import main as program

            program()
    except KeyboardInterrupt:
        print(SAID, file=sys.stderr)
        sys.exit(exit_code())


if __name__ == "__main__":
    main()
