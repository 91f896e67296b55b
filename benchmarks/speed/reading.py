"""The result as tables that fit a terminal of 80 columns; ``--json`` has everything."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

SHORT = {
    "embedding": "embed",
    "backbone": "forward",
    "head and loss": "head",
    "optimiser": "Adam",
    "measures": "judge",
}
"""Parts whose names would break a line."""


def readable(result: Mapping[str, Any]) -> dict[str, Any]:
    """Facts, then a table each of speed, of work, of where the time goes, and of what is wrong."""
    others = ("rows", "failed", "left_out")
    shown = {name: value for name, value in result.items() if name not in others}
    if result["left_out"]:
        depths = ",".join(map(str, result["left_out"]))
        shown["left out"] = f"--depths {depths}: more than three minutes in all"
    rows = result["rows"]
    products = [
        {name.removesuffix("_per_s"): value for name, value in row.items()}
        for row in result["peak"]["products"]
    ]
    shown["peak"] = {**result["peak"], "products": products}
    shown["speed"] = [_speed(row) for row in rows]
    shown["work"] = [_work(row) for row in rows]
    training = [row for row in rows if "backward" in row["shares"]]
    shown["share of a training step, %"] = _shares(training)
    shown["share of scoring, %"] = _shares([row for row in rows if row not in training])
    wrong = [row for row in rows if row["check"] == "WRONG"]
    shown["distance from the slow path"] = [
        _name(row) | {name.replace("exact_", "f32_"): e for name, e in row["errors"].items()}
        for row in wrong
    ]
    return {name: value for name, value in shown.items() if value != []}


def _speed(row: Row) -> dict[str, Any]:
    return {
        **_name(row),
        "users/s": _rate(row["users_per_s"]),
        "tokens/s": _rate(row["tokens_per_s"]),
        "ms": _rate(row["ms"]),
        "MFU %": _percent(row["mfu"]),
        "busy %": _percent(row["busy"]),
        "check": row["check"],
    }


def _work(row: Row) -> dict[str, Any]:
    return {
        **_name(row),
        "GFLOP": _rate(row["gflops"]),
        "GFLOP/s": _rate(row["gflops_per_s"]),
        "FLOP/byte": _rate(row["flops_per_byte"]),
        "padding %": _percent(row["padding"]),
        "peak MB": round(row["peak_mb"]),
    }


def _shares(rows: Sequence[Row]) -> list[dict[str, Any]]:
    parts = list(dict.fromkeys(part for row in rows for part in row["shares"]))
    parts.sort(key=lambda part: part == "other")
    return [
        _name(row) | {SHORT.get(p, p): _percent(row["shares"].get(p)) for p in parts}
        for row in rows
    ]


def _name(row: Row) -> dict[str, Any]:
    return {"stage, depth": f"{row['stage']} {row['depth']}"}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _rate(value: float) -> float | int:
    return round(value) if value >= 100 else round(value, 1)
