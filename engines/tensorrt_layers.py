"""What an engine consists of, as text: one line per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.tensorrt_library import Library, gpu_capability

OF_THE_ENGINE = "# layers of the engine, as its inspector lists them"
OF_THE_NETWORK = (
    "# layers of the network, before they are joined: "
    "the engine's own can only be listed where a GPU loads it"
)


def layers_of(library: Library, network: Any, plan: bytes, capabilities: Sequence[int]) -> str:
    """The engine's layers where this machine can load it, else the network's.

    Args:
        library: that built it.
        network: that it was built from.
        plan: the engine.
        capabilities: of the GPUs that it is for, times ten.

    Returns:
        Lines; the first is `OF_THE_ENGINE` or `OF_THE_NETWORK`.
    """
    if gpu_capability() in capabilities:
        engine = library.module.Runtime(library.logger).deserialize_cuda_engine(plan)
        if engine is not None:
            return f"{OF_THE_ENGINE}\n{inspected(library, engine)}"
    return "\n".join([OF_THE_NETWORK, *(_line(network.get_layer(index))
                                         for index in range(network.num_layers))])  # fmt: skip


def inspected(library: Library, engine: Any) -> str:
    """The inspector's text on a loaded engine. Has not run on a GPU."""
    form = library.module.LayerInformationFormat.ONELINE
    text: str = engine.create_engine_inspector().get_engine_information(form)
    return text.strip()


def _line(layer: Any) -> str:
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    given = ", ".join(f"{tensor.dtype.name.lower()} {_shape(tensor)}" for tensor in outputs)
    return f"{layer.name}  {layer.type.name.lower()}  {given}"


def _shape(tensor: Any) -> str:
    try:
        return " x ".join("?" if side < 0 else str(side) for side in tensor.shape)
    except ValueError:  # the library does not know the rank
        return "?"
