"""Post-training quantisation by NNCF: an ONNX file in FP32 becomes one in INT8."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgecli.build.calibration import Calibration
from forgecli.errors import ForgeError, UsageError

if TYPE_CHECKING:
    import types


def load_nncf() -> types.ModuleType:
    """The module nncf, which sends nothing anywhere, with all that it needs here.

    Raises:
        UsageError: a package is missing.
    """
    from engines.openvino import silent_openvino

    # NNCF imports a part of PyTorch that warns where there is no CUDA, which is not needed here.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        silent_openvino()  # before NNCF, which would report as well
        import nncf
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"INT8 needs NNCF, onnx and onnxruntime, and one cannot be imported: {error}.",
            mend="pip install 'forgecli[train,int8]'",
        ) from error
    module: types.ModuleType = nncf
    return module


def quantised_bytes(nncf: Any, source: Path, calibration: Calibration) -> bytes:
    """The quantised network as an ONNX file; at least one picture of the calibration can be read.

    Convolutions and matrix products become INT8, with a scale for each channel of the weights and
    one for the activations; the rest stays FP32. The range of activations is the widest of all
    pictures, not the mean of theirs as NNCF would have it: most pictures are authentic, and what
    lights up where a region is copied would be cut off.

    Raises:
        ForgeError: NNCF cannot quantise it.
    """
    import onnx

    model = onnx.load(source)
    name = model.graph.input[0].name
    count = len(calibration)
    kinds = {node.op_type for node in model.graph.node}
    widest = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    attention = bool(kinds & {"Softmax", "LayerNormalization"})
    nncf.common.logging.logger.disable_logging()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bar is no data
            made = nncf.quantize(
                model,
                nncf.Dataset(calibration, lambda array: {name: array}),
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=count,
                model_type=nncf.ModelType.TRANSFORMER if attention else None,
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=widest
                ),
            )
    except (RuntimeError, ValueError, nncf.errors.ValidationError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ForgeError(f"NNCF cannot quantise it: {first}", file=source) from error
    return bytes(made.SerializeToString())
