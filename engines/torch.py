"""A PyTorch network on the CPU, an NVIDIA GPU or an Apple GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from engines.base import Engine, Images, Logits, Precision
from engines.torch_forward import Forward, Mixed, check_precision, halve_weights, spec_of_network
from engines.torch_graphs import Graphs


class TorchEngine(Engine):
    """Runs a network as it is: its weights stay what they are, training can go on with them, unless
    they are the engine's `own`.

    Lower precision is autocast: convolutions and matrix products in it, what needs the range
    (normalisation, softmax) in float32.

    Where a GPU's memory does not suffice, the batch is halved and tried again, and stays that
    small. Results do not depend on how a batch is cut.

    `compile` and `graphs` have not run on a GPU.

    Args:
        network: maps (N, channels, H, W) to (N, outputs, H, W), and names its ``channels``,
            ``multiple``, ``size`` and ``outputs`` as `Spec` does. It is moved to the device.
        device: as torch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: of the arithmetic; not ``int8``.
        note: told, in a sentence, when the batch was halved.
        own: whether nobody else uses the network; then its weights are kept in `precision` where
            they would be cast to it anyway. Logits are the same.
        compile: make kernels for the network with `torch.compile`, for all sizes at once. The first
            batch takes a minute or more. GPU only.
        graphs: record a CUDA graph for each shape of a batch, see `Graphs`. GPU only.

    Raises:
        RuntimeError: there is no such device.
        ValueError: a precision or an option that the device does not have.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        note: Callable[[str], None] | None = None,
        own: bool = False,
        compile: bool = False,
        graphs: bool = False,
    ) -> None:
        check_precision(precision)
        self._device = torch.device(device)
        if self._device.type != "cuda" and (compile or graphs):
            raise ValueError(f"compile and graphs are for NVIDIA GPUs, and this is {device}")
        self.spec = spec_of_network(network, device, precision)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._note = note
        self._batch: int | None = None  # no limit is known
        if own:
            height, width = self.spec.size or (self.spec.multiple * 2,) * 2
            example = torch.zeros(1, self.spec.channels, height, width, device=self._device)
            halve_weights(self._network.eval(), example, precision)
        passed: Forward = torch.compile(self._network, dynamic=True) if compile else self._network
        self._pass: Forward = Mixed(passed, self._device, precision, keep_casts=not graphs)
        self._graphs = Graphs(self._pass) if graphs else None

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
        if self._graphs is not None:
            self._graphs.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self._note is not None:
            self._note(f"the GPU's memory does not hold {step} images at once: {self._batch} now")

    def _forward(self, images: Images) -> Logits:
        # PyTorch warns of arrays that cannot be written to.
        owned = images if images.flags.writeable else images.copy()
        batch = torch.from_numpy(owned).to(self._device)  # (N, C, H, W)
        logits = (self._graphs or self._pass)(batch)  # (N, K, H, W)
        result: Logits = logits.cpu().numpy()
        if result.shape[0] != len(images) or result.shape[2:] != images.shape[2:]:
            raise ValueError(f"the network gave {result.shape} for images of {images.shape}")
        return result

    def close(self) -> None:
        """Forget the network."""
        del self._network, self._pass, self._graphs
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
