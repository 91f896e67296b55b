"""Speed on the pretended device, with what a machine without an index has: pretended_speed.py LM.

Prints the result as JSON. A process of its own: see `pretend_device`.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    """One trained and one scoring stage."""
    sys.modules["matplotlib"] = None  # type: ignore[assignment]  # `gpu_bundle.sh` has none
    from support import pretend_device

    pretend_device.install()
    from benchmarks.speed.device import measure_device

    result = measure_device(
        pretend_device.NAME,
        quick=True,
        depths=[1],
        stages=["finetune-holdout", "recommend"],
        tokens=[60],
        overrides=[f'backbone.name="{sys.argv[1]}"', "threads=1"],
        seconds=0.0,
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
