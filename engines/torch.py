"""A PyTorch network on the CPU, an NVIDIA GPU or an Apple GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from engines.base import Engine, Images, Logits, Precision, Spec

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class TorchEngine(Engine):
    """Runs a network as it is: its weights stay what they are, training can go on with them.

    Lower precision is autocast: convolutions and matrix products in it, what needs the range
    (normalisation, softmax) in float32.

    Where a GPU's memory does not suffice, the batch is halved and tried again, and stays that
    small. Results do not depend on how a batch is cut.

    Args:
        network: maps (N, channels, H, W) to (N, outputs, H, W), and names its ``channels``,
            ``multiple``, ``size`` and ``outputs`` as `Spec` does. It is moved to the device.
        device: as torch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: of the arithmetic.
        note: told, in a sentence, when the batch was halved.

    Raises:
        RuntimeError: there is no such device.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.spec = Spec(
            channels=_whole(network, "channels"),
            multiple=_whole(network, "multiple"),
            size=_size(network),
            outputs=_whole(network, "outputs"),
            device=device,
            precision=precision,
        )
        self._device = torch.device(device)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._note = note
        self._batch: int | None = None  # no limit is known

    def _infer(self, images: Images) -> Logits:
        training = self._network.training
        if training:
            self._network.eval()
        try:
            return self._in_batches(images)
        finally:
            if training:
                self._network.train()

    def _in_batches(self, images: Images) -> Logits:
        logits = np.empty((len(images), self.spec.outputs, *images.shape[2:]), np.float32)
        start = 0
        while start < len(images):
            step = min(self._batch or len(images), len(images) - start)
            try:
                logits[start : start + step] = self._forward(images[start : start + step])
            except torch.OutOfMemoryError:
                if step == 1:
                    raise
                self._halve(step)
                continue
            start += step
        return logits

    def _halve(self, step: int) -> None:
        self._batch = step // 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self._note is not None:
            self._note(f"the GPU's memory does not hold {step} images at once: {self._batch} now")

    def _forward(self, images: Images) -> Logits:
        dtype = _DTYPES.get(self.spec.precision)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=dtype, enabled=dtype is not None),
        ):
            # PyTorch warns of arrays that cannot be written to.
            owned = images if images.flags.writeable else images.copy()
            batch = torch.from_numpy(owned).to(self._device)  # (N, C, H, W)
            batch = batch.contiguous(memory_format=torch.channels_last)
            logits = self._network(batch)  # (N, K, H, W)
            result: Logits = logits.float().contiguous().cpu().numpy()
        if result.shape[0] != len(images) or result.shape[2:] != images.shape[2:]:
            raise ValueError(f"the network gave {result.shape} for images of {images.shape}")
        return result

    def close(self) -> None:
        """Forget the network."""
        del self._network
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _whole(network: nn.Module, name: str) -> int:
    value = getattr(network, name)
    if not isinstance(value, int):
        raise TypeError(f"a network's {name} is a whole number. Got: {value!r}")
    return value


def _size(network: nn.Module) -> tuple[int, int] | None:
    size: object = network.size
    if size is None:
        return None
    if not (isinstance(size, tuple) and len(size) == 2):
        raise TypeError(f"a network's size is (H, W) or None. Got: {size!r}")
    return int(size[0]), int(size[1])
