"""Arrays of the host on a GPU and back, for steps that are called as on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Stream

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Transfers:
    """What a step takes is uploaded, what it makes is waited for; on one device and stream.

    For one thread.

    Args:
        device: a `kernels.cuda.cupy_device.CupyDevice`.
        stream: that all is done on; a new one, if None.
    """

    def __init__(self, device: Device, stream: Stream | None = None) -> None:
        self._device = device
        self._stream = device.stream() if stream is None else stream
        self._held: list[tuple[Floats, Buffer]] = []
        # What the stream may still use, on either side: memory that is given back is used again.
        self._alive: list[Buffer | NDArray[Any]] = []

    def hold(self, *images: Floats) -> None:
        """Keep images on the GPU until `release`, so that calls do not bring them each time.

        They are known again by being the same array, and must not change until then.
        """
        for image in images:
            if all(image is not other for other, _ in self._held):
                self._held.append((image, self._upload(as_image(image))))

    def release(self) -> None:
        """Forget all images that are held, and what a call that failed may have left there."""
        self._device.event(self._stream).wait()
        self._held.clear()
        self._alive.clear()

    def _there(self, image: Floats) -> Buffer:
        for other, buffer in self._held:
            if other is image:
                return buffer
        return self._upload(as_image(image))

    def _room(self, size: int) -> Buffer:
        buffer = self._device.allocate(size)
        self._alive.append(buffer)
        return buffer

    def _upload(self, array: NDArray[Any]) -> Buffer:
        buffer = self._room(array.nbytes)
        self._alive.append(array)
        self._device.upload(array, buffer, self._stream)
        return buffer

    def _take(self, *made: tuple[Buffer, NDArray[Any]]) -> None:
        """Download results, and wait until they are here."""
        for buffer, array in made:
            self._device.download(buffer, array, self._stream)
        self._device.event(self._stream).wait()
        self._alive.clear()


def as_image(image: Floats) -> Floats:
    """An image as the device takes it: float32 (H, W), C-contiguous.

    Raises:
        TypeError: it is not float32 (H, W).
    """
    if image.ndim != 2 or image.dtype != np.float32:
        raise TypeError(f"an image is float32 (H, W). Got: {image.dtype} {image.shape}")
    return np.ascontiguousarray(image)


def shape_of(image: Floats) -> tuple[int, int]:
    """H and W."""
    return int(image.shape[0]), int(image.shape[1])


def parts(count: int, most: int) -> list[slice]:
    """Of so many things, one part after the other, no more than `most` each."""
    return [slice(start, min(start + most, count)) for start in range(0, count, most)]
