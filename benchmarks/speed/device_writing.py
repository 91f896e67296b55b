"""What was measured on a device: tables for a terminal, and a folder with JSON and Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cllm4rec.run import atomic_write, make_folder, write_json

Row = Mapping[str, Any]

PARTS = {
    "embedding": "forward",
    "backbone": "forward",
    "head and loss": "forward",
    "backward": "backward",
    "optimiser": "optimiser",
    "batches": "batches",
}
"""Parts of the stopwatch as the issue of speed on a GPU has them; any else is ``other``."""
OTHER = "other"
FACTS = (
    "device",
    "card",
    "memory_gb",
    "torch",
    "cuda",
    "dtype",
    "tf32",
    "backbone",
    "settings",
    "data",
)


def write_folder(result: Mapping[str, Any], folder: Path) -> None:
    """Write ``speed.json``, which has everything, and ``speed.md``."""
    make_folder(folder)
    write_json(folder / "speed.json", dict(result))
    with atomic_write(folder / "speed.md") as temporary:
        temporary.write_text(markdown(result), encoding="utf-8")


def readable(result: Mapping[str, Any]) -> dict[str, Any]:
    """Facts, then tables of speed, of parts and of distances, for 80 columns."""
    shown = {name: result[name] for name in FACTS if name in result}
    shown["peak GFLOP/s"] = result["peak"]["gflops_per_s"]
    measured = [row for row in result["rows"] if "ms" in row]
    return {
        **shown,
        "speed": [_speed(row) for row in result["rows"]],
        "share of a step, %": [_name(row) | _percents(row) for row in measured],
        "distance from the slow path": [
            {"stage": check["stage"], "check": check["check"]}
            | {name: error for name, error in check.items() if isinstance(error, float)}
            for check in result["checks"]
        ],
    }


def markdown(result: Mapping[str, Any]) -> str:
    """A page: facts in a list, one table."""
    lines = [f"# Speed: {result['card']}", ""]
    lines += [f"- {name}: {result[name]}" for name in FACTS if name in result]
    lines.append(f"- best matrix product: {result['peak']['gflops_per_s']:,.0f} GFLOP/s")
    equal = "differs in " + ", ".join(result["failed"]) if result["failed"] else "all stages equal"
    lines += [f"- compared with the slow path: {equal}", ""]
    rows = [_speed(row) | (_percents(row) if "ms" in row else {}) for row in result["rows"]]
    return "\n".join([*lines, *_table(rows), ""])


def _speed(row: Row) -> dict[str, Any]:
    if "ms" not in row:
        return _name(row) | {"tokens/step": row["asked_tokens"] or "default"}
    return {
        **_name(row),
        "tokens/step": round(row["tokens_per_step"]),
        "tokens/s": round(row["tokens_per_s"]),
        "ms": round(row["ms"], 1),
        "MFU %": round(100 * row["mfu"], 1),
        "padding %": round(100 * row["padding"], 1),
        "peak MB": round(row["peak_mb"]),
    }


def _name(row: Row) -> dict[str, Any]:
    why = f" ({row['not_measured']})" if "not_measured" in row else ""
    return {"stage, depth": f"{row['stage']} {row['depth']}{why}"}


def _percents(row: Row) -> dict[str, Any]:
    """Shares of the parts; all of them, in one order."""
    parts = dict.fromkeys([*PARTS.values(), OTHER], 0.0)
    for part, share in row["shares"].items():
        parts[PARTS.get(part, OTHER)] += share
    return {part: round(100 * share, 1) for part, share in parts.items()}


def _table(rows: Sequence[Row]) -> list[str]:
    heads = list(dict.fromkeys(head for row in rows for head in row))
    cells = [[_cell(row.get(head, "")) for head in heads] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells)]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,}"
