"""The picture of a case, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case, Detection, Picture, Status
from forgecli.predict.failures import is_memory_error, reason_of, without_result


@dataclass(frozen=True, slots=True)
class NotRead:
    """A case without a picture.

    Attributes:
        detection: what is said of it.
        out_of_memory: whether it may be read when there is more memory.
    """

    detection: Detection
    out_of_memory: bool = False


def read_case(case: Case, max_pixels: int) -> tuple[Picture, tuple[str, ...]] | NotRead:
    """Read a picture, whatever the file is: the picture and warnings, or why there is none.

    Args:
        max_pixels: larger pictures are not decoded.
    """
    try:
        picture, warnings = read_picture(case, max_pixels=max_pixels)
    except TooLarge as error:
        return NotRead(without_result(case, Status.TOO_LARGE, error.what))
    except Unreadable as error:
        return NotRead(without_result(case, Status.UNREADABLE, error.what))
    except Exception as error:  # noqa: BLE001 - one file never ends the batch
        failed = without_result(case, Status.FAILED, reason_of("reading", error))
        return NotRead(failed, is_memory_error(error))
    return picture, tuple(warnings)
