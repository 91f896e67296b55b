"""``python -m cllm4rec``: the same program as ``cllm4rec``."""

import sys

from cllm4rec.interrupts import EXIT_CODE, SAID, interruption


def main() -> None:
    """Load the command line and run it; Ctrl-C while it is loaded is one line, too."""
    try:
        with interruption():
            from cllm4rec.cli import main as program

            program()
    except KeyboardInterrupt:
        print(SAID, file=sys.stderr)
        sys.exit(EXIT_CODE)


if __name__ == "__main__":
    main()
