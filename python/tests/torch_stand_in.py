"""What the tests of batches of tensors need of torch, over NumPy, with a GPU that is none.

It says where a tensor is, and which thread moved it there; it computes nothing. Conversions of
values are tested with torch itself.
"""

from __future__ import annotations

import threading
import types

import numpy as np


class Device:
    """A device by its name."""

    def __init__(self, name):
        self.type = str(name).partition(":")[0]

    def __str__(self):
        return self.type


class Tensor:
    """An array on a device."""

    def __init__(self, array, device="cpu", history=()):
        self.array = array
        self.device = Device(device)
        # What was done to it, and the thread that did it.
        self.history = list(history)

    def __len__(self):
        return len(self.array)

    def _with(self, what, device):
        return Tensor(self.array, device, [*self.history, (what, threading.current_thread())])

    def pin_memory(self):
        return self._with("pinned", self.device)

    def to(self, device, non_blocking=False):
        return self._with("moved, non-blocking" if non_blocking else "moved", device)


def module(*, has_gpu):
    """A module in place of torch."""
    torch = types.ModuleType("torch")
    torch.Tensor = Tensor
    torch.device = Device
    torch.as_tensor = lambda array, dtype=None: Tensor(np.asarray(array, dtype))
    torch.cat = lambda tensors: Tensor(np.concatenate([one.array for one in tensors]))
    torch.cuda = types.SimpleNamespace(is_available=lambda: has_gpu)
    return torch
