"""How pictures of measurements look."""

from typing import Any

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cllm4rec",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
