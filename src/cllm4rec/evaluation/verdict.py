"""Whether a model's lead over the best baseline can be told from chance, in one line."""

from collections.abc import Mapping, Sequence

import numpy as np

from cllm4rec.evaluation.intervals import paired_bootstrap_p
from cllm4rec.evaluation.protocol import Report

LEVEL = 0.05
"""p-values below tell two models apart."""


def verdict(
    name: str,
    ours: Report,
    baselines: Mapping[str, Report],
    measures: Sequence[str],
    resamples: int,
) -> str | None:
    """The model beside the baseline with the best mean, on each measure, over the same users.

    The best baseline is picked on the part that is reported, to its advantage; p-values are of a
    paired bootstrap (`paired_bootstrap_p`) and not corrected for several measures.

    Args:
        name: of the model.
        ours: its report.
        baselines: reports by name.
        measures: that choose on validation.
        resamples: of the bootstrap; 0: none.

    Returns:
        One line; None without baselines, users or a bootstrap.
    """
    if not baselines or not len(ours.users) or not resamples:
        return None
    parts = []
    for measure in measures:
        best = max(baselines, key=lambda other: baselines[other].mean[measure])
        other = baselines[best]
        assert np.array_equal(other.users, ours.users)
        p = paired_bootstrap_p(ours.per_user[measure], other.per_user[measure], resamples)
        lead = ours.mean[measure] - other.mean[measure]
        if not lead:
            parts.append(f"{measure} level with {best}")
            continue
        size = f"{abs(lead):.4f} {'above' if lead > 0 else 'below'} {best}"
        told = "" if p < LEVEL else ", not to be told apart"
        parts.append(f"{measure} {size} (p {_rounded(p)}{told})")
    return f"{name} beside the best baseline, over {len(ours.users):,} users: {'; '.join(parts)}"


def _rounded(p: float) -> str:
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
