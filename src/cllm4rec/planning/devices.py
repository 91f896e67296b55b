"""Devices by name: peak figures of their makers, and how much of the peak is reached today."""

from dataclasses import dataclass

from cllm4rec.errors import InputError


@dataclass(frozen=True, slots=True)
class Device:
    """What a device can do.

    Attributes:
        name: of the device.
        flops: bfloat16 operations per second of dense products.
        bandwidth: bytes per second.
        memory: bytes.
        utilisation: part of ``flops`` that finetuning reaches.
        source: of the figures.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    utilisation: float
    source: str


_TODAY = "utilisation: the 1 % measured on an H200 on 2026-11-28 (docs/performance.md)"

DEVICES = {
    "A100": Device(
        "A100", 312e12, 2.04e12, 80e9, 0.01, f"NVIDIA's data sheet, SXM 80 GB; {_TODAY}"
    ),
    "H100": Device("H100", 989e12, 3.35e12, 80e9, 0.01, f"NVIDIA's data sheet, SXM; {_TODAY}"),
    "H200": Device("H200", 989e12, 4.8e12, 141e9, 0.01, f"NVIDIA's data sheet, SXM; {_TODAY}"),
    "L4": Device("L4", 121e12, 0.3e12, 24e9, 0.01, f"NVIDIA's data sheet; {_TODAY}"),
}


def device_named(name: str) -> Device:
    """A device by name, whatever its capitals.

    Raises:
        InputError: it is not known.
    """
    found = DEVICES.get(name.upper())
    if found is None:
        raise InputError(f"--device {name}: no figures; there are {', '.join(DEVICES)}")
    return found
