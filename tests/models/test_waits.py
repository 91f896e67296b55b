"""How often training waits for its device: for the losses of many steps, and in the library."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from cllm4rec.training.readings import TOGETHER

SCRIPT = Path(__file__).parents[1] / "support" / "waits.py"


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch knows no devices written in Python",
)
def test_training_waits_for_many_steps_losses_at_once_and_in_the_library():
    """Before: 35, 33, 43 and 21 times; the library's wait is its look for packed rows.

    Nor does it wait for what is copied to the device.
    """
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["collaborative", "content", "held-out", "next-item"]
    for name, counted in found.items():
        assert counted["operations"] > 500, name
        waits = counted["waits"]
        assert waits.pop("_local_scalar_dense") == counted["batches"], name  # the library's
        assert waits == {"_to_copy": 1}, name
        assert counted["copies"].keys() == {"by itself"}, name
    many = found["content"]["many"]
    assert many["steps"] > TOGETHER
    assert many["waits"] == math.ceil(many["steps"] / TOGETHER)
