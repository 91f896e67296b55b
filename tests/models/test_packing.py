"""Several documents in a row: every token once, and the states and gradients of padded ones."""

import numpy as np
import pytest
import torch

from cllm4rec.models.backbone import load_backbone
from cllm4rec.models.packing import Packing
from support.tiny_backbone import SIZE, write_tiny_llama
from support.toy_run import PLAIN

LENGTHS = torch.tensor([3, 12, 1, 7, 5, 2, 2])


def packed(lengths: torch.Tensor, length: int) -> Packing:
    packing = Packing.of(lengths, length)
    assert packing is not None
    return packing


@pytest.mark.parametrize("seed", range(20))
def test_rows_hold_every_document_in_one_piece_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.integers(1, 12, int(rng.integers(2, 40))))
    lengths[int(rng.integers(len(lengths)))] = 40
    packing = packed(lengths, 40)
    assert len(packing.positions) < len(lengths)
    tokens = torch.arange(len(lengths) * 40).view(-1, 40)
    rows = tokens.flatten()[packing.source].view(packing.positions.shape)
    found = []
    for row, positions in zip(rows.tolist(), packing.positions.tolist(), strict=True):
        starts = [at for at, position in enumerate(positions) if position == 0]
        for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
            assert positions[start:end] == list(range(end - start))
            found.append(row[start:end])
    documents = [tokens[at, :size].tolist() for at, size in enumerate(lengths.tolist())]
    paddings = [piece for piece in found if piece not in documents]
    assert sorted(piece for piece in found if piece in documents) == documents
    # Padding is a batch's own, at the end of a row.
    assert {token for piece in paddings for token in piece} <= {
        int(tokens[at, -1]) for at, size in enumerate(lengths.tolist()) if size < 40
    }
    states = packing.unpacked(rows[..., None].float())[:, 0].view(tokens.shape)
    for at, size in enumerate(lengths.tolist()):
        assert states[at, :size].tolist() == tokens[at, :size].tolist()


@pytest.mark.parametrize(
    ("lengths", "length"),
    [([5], 5), ([5, 5, 5], 5), ([9, 9, 8, 10], 10), ([6, 6, 6], 9), ([5], 9)],
)
def test_where_it_saves_little_rows_stay_documents(lengths, length):
    assert Packing.of(torch.tensor(lengths), length) is None


def test_half_of_a_step_of_users_need_not_be_padding():
    """Lengths as of MovieLens: half of a padded batch is padding, of a packed one a twentieth."""
    lengths = torch.from_numpy(np.random.default_rng(0).lognormal(3.5, 0.7, 64)).clamp(8, 110)
    lengths = lengths.long()
    padded = 64 * int(lengths.max())
    assert lengths.sum() < 0.5 * padded
    rows = packed(lengths, int(lengths.max())).positions
    assert lengths.sum() > 0.95 * rows.numel()


def test_gradients_are_those_of_documents_by_themselves(tmp_path):
    folder = write_tiny_llama(tmp_path, layers=2)
    config = PLAIN.backbone.changed(depth="all", dtype="float32", mode="full")
    backbone, _ = load_backbone(folder, config, seed=0)
    backbone.layers = None
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(LENGTHS), 12, SIZE, generator=generator)
    drawn[3, 0] = 0  # nobody, in the middle of a row
    weights = torch.randn(drawn.shape, generator=generator)
    assert backbone.packing(LENGTHS, 12) is not None

    def gradients(packed: bool, last: bool) -> list[torch.Tensor]:
        embedded = drawn.clone().requires_grad_()
        backbone.zero_grad()
        batches = [slice(None)] if packed else [slice(at, at + 1) for at in range(len(LENGTHS))]
        for each in batches:
            rows, lengths, weight = embedded[each], LENGTHS[each], weights[each]
            if not packed:
                rows, weight = rows[:, : int(lengths)], weight[:, : int(lengths)]
            if last:
                total = (backbone.last(rows, lengths) * weight[:, 0]).sum()
            else:
                real = torch.arange(rows.shape[1]) < lengths[:, None]
                total = (backbone(rows, lengths) * weight)[real].sum()
            total.backward()
        return [
            embedded.grad,
            *(p.grad.clone() for p in backbone.model.parameters() if p.grad is not None),
        ]

    for last in (False, True):
        together, alone = gradients(True, last), gradients(False, last)
        assert len(together) == len(alone) > 10
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
