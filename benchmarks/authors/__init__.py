"""Training as the authors' code does it, beside ours, on equal terms.

Theirs is written out in ``tests/reference``, where the losses of both are compared as well.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
