"""Seconds and memory of a device, which goes on computing when the host has asked for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from cllm4rec.models.device import PROCESSOR


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


@dataclass(frozen=True)
class Clock:
    """Of one device; for the processor nothing is waited for.

    Args:
        device: that is timed.
    """

    device: torch.device = PROCESSOR

    def wait(self) -> None:
        """Until the device has done all that it was asked for."""
        synchronize = self._function("synchronize")
        if synchronize is not None:
            synchronize(*self._named)

    def seconds_of(self, call: Callable[[], Any]) -> float:
        """Wall-clock seconds of a call, from an idle device to an idle device."""

        def done() -> None:
            call()
            self.wait()

        self.wait()
        return seconds_of(done)

    def forget_peak(self) -> None:
        """Give free memory back, and let the peak begin at what is in use."""
        for name, given in (("empty_cache", ()), ("reset_peak_memory_stats", self._named)):
            function = self._function(name)
            if function is not None:
                function(*given)

    def peak_mb(self) -> float | None:
        """Most memory in use since `forget_peak`, in MB (10⁶ bytes); None where nobody counts."""
        function = self._function("max_memory_allocated")
        return None if function is None else function(self.device) / 1e6

    @property
    def _named(self) -> tuple[torch.device, ...]:
        """The device where there may be several of a kind; MPS takes no argument."""
        return () if self.device.type == "mps" else (self.device,)

    def _function(self, name: str) -> Any:
        if self.device.type == "cpu":
            return None
        return getattr(torch.get_device_module(self.device), name, None)
