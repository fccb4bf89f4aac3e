"""What is recorded of an image that could not be judged."""

from __future__ import annotations

from forgecli.detection import Case, Detection, Status

_NO_MEMORY = ("Insufficient memory", "out of memory", "can't allocate memory")


def is_memory_error(error: BaseException) -> bool:
    """Whether Python, NumPy, OpenCV or PyTorch, on whatever device, say that memory ran out."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _NO_MEMORY)


def reason_of(stage: str, error: BaseException) -> str:
    """A sentence for the details file; only the first line of a long message.

    Args:
        stage: what was being done: ``reading``, ``detecting``, ``drawing``.
    """
    if is_memory_error(error):
        where = " on the GPU" if isinstance(error, MemoryError) and "GPU" in str(error) else ""
        return f"out of memory{where} while {stage}"
    message = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__} while {stage}" + (f": {message[:300]}" if message else "")


def without_result(
    case: Case,
    status: Status,
    reason: str,
    shape: tuple[int, int] = (0, 0),
    warnings: tuple[str, ...] = (),
) -> Detection:
    """The detection of an image that was not looked at to the end."""
    return Detection(case.case_id, shape, status=status, reason=reason, warnings=warnings)
