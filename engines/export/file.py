"""An ONNX graph as the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

LARGEST = 2**31 - 1
"""Bytes of a protobuf message. A larger network would need files beside its own."""

PRODUCER = "forge"


def file_of(model: onnx.ModelProto, metadata: Mapping[str, str], *, version: str) -> bytes:
    """What is written: the graph, its weights and what is said of it, in one file.

    What the exporter notes at every node, lines of source and paths among it, is left out, and so
    is what it knows of shapes: readers find them by themselves. Equal models give equal bytes.

    Args:
        model: is left as it is.
        metadata: by key.
        version: of the program that writes it.

    Raises:
        ValueError: it is too large for one file.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    plain.producer_name, plain.producer_version = PRODUCER, version
    plain.doc_string = ""
    graph = plain.graph
    graph.name, graph.doc_string = "network", ""
    del graph.value_info[:], graph.metadata_props[:], plain.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for key, value in metadata.items():
        entry = plain.metadata_props.add()
        entry.key, entry.value = key, value
    if plain.ByteSize() > LARGEST:
        raise ValueError(f"the network has more than {LARGEST >> 30} GB, the most of an ONNX file")
    data: bytes = plain.SerializeToString(deterministic=True)
    return data
