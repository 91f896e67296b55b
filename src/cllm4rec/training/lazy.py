"""Adam on a table of which a step reads few rows, without passes over the others.

Adam (Kingma and Ba, ICLR 2015) goes on moving a row while its gradient is zero. After a gradient at
step s, step j without one does

    p ← p − rate_j · β1^(j−s) m / (1 − β1^j) / (√(β2^(j−s) v / (1 − β2^j)) + ε)

with the moments m and v of step s. A row does these steps when it is read next, so the result is
that of Adam on the whole table, and does not depend on when rows catch up.
"""

from array import array
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.adam import adam as adam_of_tensors

LASTS = 150
"""Steps for which a gradient moves its row: β1^150 of the first is 1.4e-7, what float32 rounds."""
SMALLEST = 1e-20
"""Smaller factors of a moment are 0; products with them could be denormal, which are slow."""
BLOCK_ROWS = 64
"""Rows that catch up at once: moments and all stay in the processor's cache."""


class LazyTable(nn.Parameter):
    """A table whose optimiser does a row's steps when the row is read.

    Args:
        data: the rows.
        requires_grad: always true.
    """

    def __init__(self, data: Float[Tensor, "rows size"], requires_grad: bool = True) -> None:
        self.reached: tuple[Tensor, Tensor] | None = None
        """Rows that a step has read, each once, and their gradients; no others have one."""
        self.state: dict[str, Any] = {}
        """As of `torch.optim.Adam`, with moments as of the step ``touched``: each row's last one
        with a gradient, 0 without any."""
        self.steps = 0
        self._group: dict[str, Any] = {}
        self._rates, self._rates_from = array("d"), 0
        self._done = torch.zeros(len(data), dtype=torch.int64)

    def take_state(self, optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> None:
        """Use the state that an optimiser has for the table, such as a restored one."""
        self._group, state = group, optimizer.state[self]
        if "step" not in state:
            moments = {name: torch.zeros_like(self.data) for name in ("exp_avg", "exp_avg_sq")}
            state |= {"step": torch.zeros(()), **moments}
        self.state, self.steps = state, int(state["step"])
        # Of a table that was trained whole, every moment is as of now.
        touched = state.get("touched", torch.full((len(self),), self.steps))
        state["touched"] = touched.long()
        self._done.fill_(self.steps)
        self._rates, self._rates_from = array("d"), self.steps

    @torch.no_grad()
    def update(self) -> None:
        """One step with the gradients of what was reached; does nothing where there are none."""
        if self.reached is None:
            return
        (rows, gradient), self.reached = self.reached, None
        state, group, rate = self.state, self._group, float(self._group["lr"])
        beta1, beta2 = group["betas"]
        since = self.steps - state["touched"][rows]
        row = self.data[rows]
        mean = state["exp_avg"][rows] * _powers(beta1, since)
        square = state["exp_avg_sq"][rows] * _powers(beta2, since)
        adam_of_tensors(
            *([row], [gradient], [mean], [square], [], [state["step"]]),
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=rate,
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
            fused=True,
        )
        self.steps += 1
        self._rates.append(rate)
        for table, values in (
            (self.data, row),
            (state["exp_avg"], mean),
            (state["exp_avg_sq"], square),
        ):
            table[rows] = values
        state["touched"][rows] = self._done[rows] = self.steps

    @torch.no_grad()
    def catch_up(self, rows: Int[Tensor, " n"] | None = None) -> None:
        """Do the steps that rows have missed; each row once, None for all."""
        if not self.state:
            return
        done, touched = self._done, self.state["touched"]
        if rows is not None:
            done, touched = done[rows], touched[rows]
        late = (done < (touched + LASTS).clamp(max=self.steps)) & (touched > 0)
        missing = late.nonzero().flatten() if rows is None else rows[late]
        for start in range(0, len(missing), BLOCK_ROWS):
            self._do_missed(missing[start : start + BLOCK_ROWS])
        if rows is None:
            self._done.fill_(self.steps)
            self._rates, self._rates_from = array("d"), self.steps

    def _do_missed(self, rows: Int[Tensor, " n"]) -> None:
        (beta1, beta2), epsilon = self._group["betas"], self._group["eps"]
        touched = self.state["touched"][rows].numpy()[:, None]
        first = self._done[rows].numpy()[:, None] + 1
        last = np.minimum(touched + LASTS, self.steps)
        step = first + np.arange((last - first).max() + 1)
        is_missed, step = step <= last, np.minimum(step, last)
        rates = np.frombuffer(self._rates)[step - self._rates_from - 1]
        since = step - touched
        factors = is_missed * rates * beta1**since / (1 - beta1**step)
        scales = np.sqrt(beta2**since / (1 - beta2**step))
        row, mean = self.data[rows], self.state["exp_avg"][rows]
        root = self.state["exp_avg_sq"][rows].sqrt()
        by_step = (
            torch.from_numpy(each.T.astype(np.float32))[..., None] for each in (factors, scales)
        )
        for factor, scale in zip(*by_step, strict=True):
            row.addcdiv_(mean * factor, (root * scale).add_(epsilon), value=-1)
        self.data[rows] = row
        self._done[rows] = self.steps


def catch_up(optimizer: torch.optim.Optimizer) -> None:
    """Do all steps that rows of its tables have missed, before a whole table is read."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if isinstance(parameter, LazyTable):
                parameter.catch_up()


def gradient_of(parameter: nn.Parameter) -> Tensor | None:
    """All of its gradient that is not zero; None without one."""
    if isinstance(parameter, LazyTable):
        return None if parameter.reached is None else parameter.reached[1]
    return parameter.grad


def as_whole(state: dict[str, Any], betas: tuple[float, float]) -> None:
    """Bring the moments of a lazy table to now, in place: what an optimiser of all rows needs."""
    since = state["step"].long() - state.pop("touched").long()
    for name, beta in zip(("exp_avg", "exp_avg_sq"), betas, strict=True):
        state[name] *= _powers(beta, since)


def _powers(base: float, exponents: Int[Tensor, " n"]) -> Float[Tensor, "n 1"]:
    powers = base ** exponents.double()
    return powers.where(powers > SMALLEST, 0.0).float()[:, None]
