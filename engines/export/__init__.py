"""Networks as ONNX files: made from torch, brought to half precision, and compared."""
