"""What travels between the GPU path and its reader processes. Pixels do not: they are in slots."""

from __future__ import annotations

from dataclasses import dataclass

from forgecli.detection import Detection
from forgecli.predict.tasks import Task


@dataclass(frozen=True, slots=True)
class Read:
    """Decode the picture of a task into a slot.

    The answer is ``arrived`` with an `Arrived`, ``needs`` with the bytes of a picture that is
    larger than the slot (it is kept, and a `Place` is to follow), or ``outcome``.

    Attributes:
        slot: name of the slot.
        size: its bytes.
    """

    task: Task
    slot: str
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Put the picture that was too large for its slot into this one; answered as a `Read` is.

    Attributes:
        slot: its name; "" if there is none, which is an ``outcome``: out of memory.
        size: its bytes.
    """

    task: Task
    slot: str
    size: int


@dataclass(frozen=True, slots=True)
class Draw:
    """Make the outcome of a task, mask and overlay included. The answer is ``outcome``.

    Attributes:
        slot: where its picture is, or "" where none is needed.
        spent: seconds since the work on the task began.
    """

    task: Task
    detection: Detection
    slot: str
    spent: float


Job = Read | Place | Draw


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture that is in its slot.

    Attributes:
        shape: (H, W).
        warnings: what was odd about the file.
        seconds: that reading took.
    """

    shape: tuple[int, int]
    warnings: tuple[str, ...]
    seconds: float
