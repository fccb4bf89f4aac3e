"""Reading and writing of runs as text: a JSON list of 1-based starts and lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly

_BYTES = readonly("uint8", 1)
_RUNS = readonly("int64", 2)

_LIMIT = 1 << 62  # a start plus a length stays an int64
_MOST_DIGITS = 19

_SPACE, _TAB, _NEWLINE, _RETURN = 32, 9, 10, 13
_COMMA, _MINUS, _POINT, _ZERO, _NINE = 44, 45, 46, 48, 57
_OPEN, _CLOSE, _E, _LOWER_E = 91, 93, 69, 101

_DONE, _NO_LIST, _NO_NUMBER, _NOT_WHOLE, _TOO_LARGE, _NO_COMMA, _NO_END, _ODD = range(8)
_EXPECTED = {
    _NO_LIST: "expected '['",
    _NO_NUMBER: "expected a whole number",
    _NOT_WHOLE: "expected a whole number, not a fraction or a power",
    _TOO_LARGE: "expected a number that an image can hold",
    _NO_COMMA: "expected ',' or ']'",
    _NO_END: "expected nothing more after the list",
    _ODD: "expected a length before the end: the list holds an odd count of numbers,",
}


def write(runs: NDArray[np.int64]) -> str:
    """Runs, int64 (k, 2), 0-based and not negative, as text with 1-based starts."""
    text = np.empty(2 + runs.size * (_MOST_DIGITS + 2), np.uint8)
    return str(text[: _write(runs, text)].data, "ascii")


def read(text: str | bytes) -> NDArray[np.int64]:
    """The inverse of `write`: int64 (k, 2), 0-based, values as they are written.

    Raises:
        ValueError: says what was expected at which character, counted from 1.
    """
    # The first character that is not ASCII is also the first fault, so positions stay right.
    data = np.frombuffer(text.encode("utf-8", "replace") if isinstance(text, str) else text, "u1")
    numbers = np.empty(_count_commas(data) + 2, np.int64)
    state, count, at = _read(data, numbers)
    if state != _DONE:
        found = repr(text[at : at + 12]) if at < len(text) else "the end of the text"
        raise ValueError(f"{_EXPECTED[state]} at character {at + 1}. Got: {found}")
    return numbers[:count].reshape(-1, 2)


@kernel(f"int64({_RUNS}, uint8[::1])")
def _write(runs: NDArray[np.int64], text: NDArray[np.uint8]) -> int:
    """Returns the number of bytes written."""
    ten = np.uint64(10)
    at = 0
    text[at] = _OPEN
    at += 1
    for i in range(runs.shape[0]):
        for k in range(2):
            if i or k:
                text[at] = _COMMA
                text[at + 1] = _SPACE
                at += 2
            value = np.uint64(runs[i, k] + 1 - k)
            digits = 1
            bound = ten
            while digits < _MOST_DIGITS and value >= bound:
                bound *= ten
                digits += 1
            for place in range(at + digits - 1, at - 1, -1):
                rest = value // ten
                text[place] = _ZERO + np.uint8(value - rest * ten)
                value = rest
            at += digits
    text[at] = _CLOSE
    return at + 1


@kernel(f"int64({_BYTES})")
def _count_commas(text: NDArray[np.uint8]) -> int:
    commas = 0
    for i in range(text.size):
        commas += text[i] == _COMMA
    return commas


@kernel()
def _skip_space(text: NDArray[np.uint8], at: int) -> int:
    while at < text.size and (
        text[at] == _SPACE or text[at] == _NEWLINE or text[at] == _TAB or text[at] == _RETURN
    ):
        at += 1
    return at


@kernel(f"UniTuple(int64, 3)({_BYTES}, int64[::1])")
def _read(text: NDArray[np.uint8], numbers: NDArray[np.int64]) -> tuple[int, int, int]:
    """Returns the state (a key of `_EXPECTED`, or done), the count of numbers, the position."""
    end = text.size
    count = 0
    at = _skip_space(text, 0)
    if at == end or text[at] != _OPEN:
        return _NO_LIST, 0, at
    at = _skip_space(text, at + 1)
    if at < end and text[at] == _CLOSE:
        at = _skip_space(text, at + 1)
        return (_DONE, 0, at) if at == end else (_NO_END, 0, at)
    while True:
        first = at
        negative = at < end and text[at] == _MINUS
        at += negative
        digits = at
        value = 0
        while at < end and _ZERO <= text[at] <= _NINE:
            digit = int(text[at]) - _ZERO
            value = min(value * 10 + digit, _LIMIT) if value <= _LIMIT // 10 else _LIMIT
            at += 1
        if at == digits:
            return _NO_NUMBER, count, first
        if at < end and (text[at] == _POINT or text[at] == _E or text[at] == _LOWER_E):
            return _NOT_WHOLE, count, first
        if text[digits] == _ZERO and at > digits + 1:  # JSON has no leading zeros
            return _NO_NUMBER, count, first
        if value >= _LIMIT:
            return _TOO_LARGE, count, first
        numbers[count] = (-value if negative else value) - 1 + (count & 1)
        count += 1
        at = _skip_space(text, at)
        if at < end and text[at] == _COMMA:
            at = _skip_space(text, at + 1)
        elif at < end and text[at] == _CLOSE:
            break
        else:
            return _NO_COMMA, count, at
    if count & 1:
        return _ODD, count, at
    at = _skip_space(text, at + 1)
    return (_DONE, count, at) if at == end else (_NO_END, count, at)
