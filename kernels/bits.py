"""Machine instructions on 64-bit words that Python has no word for. For use inside kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

_declare: Any = intrinsic


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], context.get_constant(types.boolean, 0))

    return types.int64(types.uint64), generate


def _count_ones(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


trailing_zeros: Callable[[np.uint64], int] = _declare(_trailing_zeros)
"""The number of the lowest set bit, 0 to 63; 64 for zero."""

count_ones: Callable[[np.uint64], int] = _declare(_count_ones)
"""The number of set bits."""
