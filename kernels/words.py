"""Eight bytes at once, wherever they stand in an array of bytes. For use inside kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

_declare: Any = intrinsic


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(
        builder.gep(data, [at]), context.get_value_type(types.uint64).as_pointer()
    )


def _load(typing_context: Any, array: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = builder.load(_address(context, builder, signature.args[0], *args))
        word.align = 1
        return word

    return types.uint64(array, types.uint64), generate


def _store(typing_context: Any, array: Any, at: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], address).align = 1
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64), generate


load_word: Callable[[NDArray[np.uint8], np.uint64], np.uint64] = _declare(_load)
"""The eight bytes from a place on, in the machine's order. The array must reach that far."""

store_word: Callable[[NDArray[np.uint8], np.uint64, np.uint64], None] = _declare(_store)
"""Write eight bytes from a place on. The array must reach that far."""
