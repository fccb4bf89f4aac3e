"""From a checkpoint to ONNX files and engines, checked against it."""
