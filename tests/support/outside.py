"""An installed package that brings a baseline: a module and its dist-info, in a folder."""

from pathlib import Path

MODULE = '''
from cllm4rec.baselines import Baseline
from cllm4rec.baselines.popularity import PopularityScorer

class Damped(Baseline):
    """Popularity, of which the most popular items lose most."""

    def __init__(self, powers=(1.0,), *, lift=0):
        if not all(power > 0 for power in powers):
            raise ValueError("powers must be above 0,\\n and are not")
        self.powers, self.lift = powers, lift

    def grid(self, num_items):
        return [{"power": power} for power in self.powers]

    def candidates(self, train, context):
        for settings in self.grid(context.num_items):
            yield settings, PopularityScorer(train.item_counts().astype("f4") ** settings["power"])
'''


def install(folder: Path, name: str, module: str, value: str, source: str = MODULE) -> None:
    """Put a package into a folder that is, or comes to be, on ``sys.path``.

    Args:
        folder: that.
        name: of the baseline.
        module: file to write.
        value: of the entry point: ``module:Class``.
        source: of the module.
    """
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cllm4rec.baselines]\n{name} = {value}\n")
