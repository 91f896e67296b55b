"""Runs one command of the program and leaves what it took: ``child.py FACTS.json ARGUMENTS``.

A process that was started by a large one inherits its peak, as ``ru_maxrss`` counts; ``VmHWM``
does not.
"""

import importlib
import json
import re
import sys
import time
from pathlib import Path

LATE = (
    "torch._dynamo",
    "transformers.models.llama.modeling_llama",
    "sklearn.feature_extraction.text",
)
"""What a stage loads late: for a model, its optimiser and an index of words."""


def main() -> None:
    """Leave processor seconds (all threads) and peak memory; without the time of the imports."""
    facts, arguments = Path(sys.argv[1]), sys.argv[2:]
    stage = "recommend_all" if arguments[0] == "recommend" else arguments[0]
    importlib.import_module(f"cllm4rec.stages.{stage}")
    cli = importlib.import_module("cllm4rec.cli")
    if stage != "prepare":
        for name in LATE:
            importlib.import_module(name)
    started_s = time.process_time()
    try:
        cli.main(arguments)
    finally:
        seconds = time.process_time() - started_s
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
        peak_mb = int(peak[1]) * 1024 / 1e6 if peak else None
        facts.write_text(json.dumps({"cpu_s": round(seconds, 2), "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
