"""``python -m cllm4rec``: the same program as ``cllm4rec``."""

from cllm4rec.cli import main

if __name__ == "__main__":
    main()
