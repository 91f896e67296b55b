import torch

from cllm4rec.models.randomness import seeded


def draws(*names) -> list[float]:
    with seeded(*names):
        return torch.rand(3).tolist()


def test_nobody_elses_draws_are_changed():
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    inside = draws(5, "weights")
    assert torch.rand(2).tolist() == expected != inside[:2]


def test_draws_depend_on_the_seed_and_every_name_and_on_nothing_else():
    torch.manual_seed(1)
    first = draws(5, "finetune", 0, 1)
    torch.rand(7)
    assert draws(5, "finetune", 0, 1) == first
    others = [(6, "finetune", 0, 1), (5, "pretrain", 0, 1), (5, "finetune", 1, 0)]
    drawn = [first, *(draws(*names) for names in others)]
    assert len({tuple(each) for each in drawn}) == 4
