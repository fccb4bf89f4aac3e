"""The bytes of an ONNX file."""

from __future__ import annotations

import onnx
import pytest

from engines.export import file
from engines.export.file import file_of
from tests.engines.export.graphs import kernel, model, node


def noted() -> onnx.ModelProto:
    """A graph with what the exporter leaves in it."""
    graph = model([node("Conv", "images w", "logits", scope="body")], w=kernel())
    for part in (graph.graph.node[0], graph.graph.input[0], graph.graph.initializer[0], graph):
        entry = part.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.stack_trace", 'File "/home/someone/net.py"'
    graph.graph.doc_string = "of /home/someone"
    return graph


def test_nothing_is_left_of_the_machine_that_made_it() -> None:
    data = file_of(noted(), {"forge.card": "{}"}, version="1.2")
    assert b"/home/" not in data and b"pkg.torch" not in data
    loaded = onnx.load_from_string(data)
    onnx.checker.check_model(loaded, full_check=True)
    assert {entry.key: entry.value for entry in loaded.metadata_props} == {"forge.card": "{}"}
    assert (loaded.producer_name, loaded.producer_version) == ("forge", "1.2")


def test_equal_models_give_equal_bytes_and_stay_as_they_are() -> None:
    graph = noted()
    first = file_of(graph, {"a": "1", "b": "2"}, version="1")
    assert file_of(graph, {"a": "1", "b": "2"}, version="1") == first
    assert graph.graph.node[0].metadata_props


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "LARGEST", 100)
    with pytest.raises(ValueError, match="the most of an ONNX file"):
        file_of(noted(), {}, version="1")
