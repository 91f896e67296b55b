"""What each part contributes: the default beside itself with one part taken away, over seeds.

    python benchmarks/ablation.py --data DATA --split SPLIT.parquet --out runs/ablation

A finished cell (variant, seed) is never computed twice: kill it and call it again, or let one
process per seed fill the cells and a last call write the table. Writes ``table.md`` and
``table.json`` under ``--out``; prints the table.
"""

import argparse
import json
import math
from pathlib import Path
from statistics import mean, stdev

from cllm4rec import stages
from cllm4rec.config import load_config
from cllm4rec.rundir import RunDir, write_json

VARIANTS: dict[str, list[str]] = {
    "full": [],
    "without pretraining": ["pretrain.enabled=false"],
    "without content": ["model.content=false"],
    "random transformer weights": ["backbone.weights=random"],
}
METRICS = ("recall@20", "recall@40", "ndcg@100")
# Student's t, 97.5 %, by number of seeds: three seeds deserve a wide interval.
T_975 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}


def main() -> None:
    """Run the missing cells, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    cells = [cell(arguments, variant, seed) for seed in arguments.seeds for variant in VARIANTS]
    rows = table(cells, len(arguments.seeds))
    write_json(arguments.out / "table.json", {"cells": cells, "rows": rows})
    text = markdown(rows)
    (arguments.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


def cell(arguments: argparse.Namespace, variant: str, seed: int) -> dict[str, object]:
    """One run of one variant, or what it left when it was run before."""
    folder = arguments.out / f"{variant.replace(' ', '-')}-{seed}"
    done = folder / "cell.json"
    if done.is_file():
        found: dict[str, object] = json.loads(done.read_text())
        return found
    config = load_config(
        None,
        [*arguments.overrides, *VARIANTS[variant], f"seed={seed}", "evaluate.baselines=[]"],
    )
    run = RunDir(folder)
    if not run.is_done("prepare"):
        stages.prepare(arguments.data, run, split=arguments.split, protocol="paper", config=config)
    trained = stages.train(run, config)
    result = {
        "variant": variant,
        "seed": seed,
        "blend": trained["finetune"]["blend"],
        "best_epoch": trained["finetune"]["best_epoch"],
        "seconds": trained["pretrain"]["seconds"] + trained["finetune"]["seconds"],
        "models": {
            row["model"]: {name: row["metrics"][name]["mean"] for name in METRICS}
            for row in stages.evaluate(run)["rows"]
        },
    }
    write_json(done, result)
    return result


def table(cells: list[dict], seeds: int) -> list[dict]:  # type: ignore[type-arg]
    """Mean and 95 % interval over seeds of every variant's every model."""
    rows = []
    for variant in VARIANTS:
        own = [c for c in cells if c["variant"] == variant]
        for model in own[0]["models"]:
            values = {m: [c["models"][model][m] for c in own] for m in METRICS}
            rows.append({
                "variant": variant,
                "model": model,
                "seconds": mean(c["seconds"] for c in own),
                "metrics": {m: (mean(v), half_width(v, seeds)) for m, v in values.items()},
            })
    return rows


def half_width(values: list[float], seeds: int) -> float:
    """Half of the 95 % interval of a mean over a few seeds."""
    return T_975[seeds] * stdev(values) / math.sqrt(seeds) if seeds in T_975 else 0.0


def markdown(rows: list[dict]) -> str:  # type: ignore[type-arg]
    """The table for people."""
    lines = [
        f"| variant | scores of | {' | '.join(METRICS)} | seconds |",
        "|---" * (len(METRICS) + 3) + "|",
    ]
    for row in rows:
        scores = [f"{m:.4f} ± {h:.4f}" for m, h in row["metrics"].values()]
        model = row["model"].lstrip("· ")
        lines.append(
            f"| {row['variant']} | {model} | {' | '.join(scores)} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
