"""Which waiting pictures go to the GPU together.

All pictures of a batch have one frame: the height and width at which the network sees them. It is
the frame that the ordinary path gives them (`forgecli.segment.preprocess.to_input`): each side of
the view rounded up to what the network asks for. So nothing is padded by more than the rest of one
such multiple on each side, whatever else is in the batch, and a picture's logits are those that it
would have on its own. Coarser classes would fill batches faster, and change what the network sees
at the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forgecli.predict.tasks import Task
from forgecli.segment.preprocess import view_shape
from forgecli.stream.slots import Slot

PATIENCE = 0.02
"""Seconds a picture waits for others of its frame while the GPU has nothing to do. When the GPU is
busy pictures wait longer and batches fill by themselves."""

Frame = tuple[int, int]


@dataclass(slots=True, eq=False)
class Waiting:
    """A picture in its slot.

    Attributes:
        slot: where its pixels are; None once nobody needs them any more.
        shape: (H, W).
        view: (h, w) of the part of the frame that holds it.
        frame: (h, w) of the network's input.
        warnings: what was odd about the file, and what came up since.
        began: when the work on it began, on the clock of the pool.
        arrived: when its pixels were there.
        seconds: by stage.
    """

    task: Task
    slot: Slot | None
    shape: tuple[int, int]
    view: tuple[int, int]
    frame: Frame
    warnings: tuple[str, ...]
    began: float
    arrived: float
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """How many it has."""
        return self.shape[0] * self.shape[1]


def view_and_frame(
    shape: tuple[int, int], size: int, multiple: int, fixed: Frame | None
) -> tuple[tuple[int, int], Frame]:
    """How the network sees a picture: as `forgecli.segment.preprocess.to_input` has it.

    Args:
        shape: (H, W) of the picture.
        size: `Preprocess.size`.
        multiple, fixed: `Spec.multiple` and `Spec.size` of the engine.
    """
    view = view_shape(shape, fixed or (size, size))
    return view, fixed or (up(view[0], multiple), up(view[1], multiple))


def up(side: int, multiple: int) -> int:
    """The least multiple that is not below a side."""
    return -(-side // multiple) * multiple


class Queue:
    """Pictures that wait for the GPU, by frame.

    Args:
        now: a clock in seconds.
        patience: see `PATIENCE`.
    """

    def __init__(self, now: Callable[[], float], patience: float = PATIENCE) -> None:
        self._now = now
        self._patience = patience
        self._groups: dict[Frame, list[Waiting]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add(self, picture: Waiting) -> None:
        """One more, behind the others."""
        self._groups.setdefault(picture.frame, []).append(picture)

    def back(self, pictures: Sequence[Waiting]) -> None:
        """Pictures of one frame that were taken and could not go, before all others of it."""
        if pictures:
            group = self._groups.setdefault(pictures[0].frame, [])
            group[:0] = pictures

    def take(self, images: int, pixels: int, *, hurry: bool) -> list[Waiting]:
        """Pictures of one frame, the longest waiting first; none if it is better to wait.

        Args:
            images: at most so many.
            pixels: of all together, at most; one picture alone may have more.
            hurry: whether nothing is gained by waiting for others.
        """
        full, due = [], []
        for group in self._groups.values():
            some = _head(group, images, pixels)
            if len(some) == images or len(some) < len(group):
                full.append(some)
            elif hurry or self._now() - some[0].arrived >= self._patience:
                due.append(some)
        choice = full or due
        if not choice:
            return []
        taken = min(choice, key=lambda some: some[0].arrived)
        group = self._groups[taken[0].frame]
        del group[: len(taken)]
        if not group:
            del self._groups[taken[0].frame]
        return taken

    def due(self) -> float | None:
        """Seconds until a picture has waited long enough; None where there is none."""
        if not self._groups:
            return None
        oldest = min(group[0].arrived for group in self._groups.values())
        return max(0.0, oldest + self._patience - self._now())


def _head(group: Sequence[Waiting], images: int, pixels: int) -> list[Waiting]:
    some: list[Waiting] = []
    total = 0
    for picture in group[:images]:
        total += picture.pixels
        if some and total > pixels:
            break
        some.append(picture)
    return some
