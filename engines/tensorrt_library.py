"""Which TensorRT is installed, what it says when something fails, and what to do about it.

There are two with one interface: ``tensorrt`` for data centres, which builds an engine on the GPU
that will run it, and ``tensorrt_rtx`` for RTX cards, which also builds on a machine without a GPU.
Networks are strongly typed in both: the precision is that of the ONNX file.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

Flavor = Literal["tensorrt", "rtx"]
"""``tensorrt``: the data-centre library. ``rtx``: TensorRT for RTX."""

_MODULES: dict[Flavor, str] = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
_TITLES: dict[Flavor, str] = {"tensorrt": "TensorRT", "rtx": "TensorRT for RTX"}
_EXTRAS: dict[Flavor, str] = {"tensorrt": "forgecli[gpu]", "rtx": "forgecli[gpu-rtx]"}


class TensorRtError(RuntimeError):
    """TensorRT cannot do what was asked.

    Attributes:
        what: is wrong, a sentence.
        mend: what to do about it, a sentence; empty where nobody knows.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        self.what = what
        self.mend = mend
        super().__init__(f"{what} {mend}".strip())


MOST_SAID = 1000
"""Messages that are kept: an engine may run for days."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Said:
    """What the library says as long as this exists; what comes after `MOST_SAID` is dropped.

    Attributes:
        errors: of which it gives several for one failure, the cause first.
        warnings: for whoever wants to know more.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _Voice:
    """The one logger of a library in this process.

    While objects of the library exist, it ignores any logger but the first of them was made with.
    So all are made with this one, and whoever wants to know what is said listens.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self._listeners: weakref.WeakSet[Said] = weakref.WeakSet()
        self._lock = threading.Lock()  # the library speaks from threads of its own
        self.logger = _logger(module, self.say)

    def listen(self) -> Said:
        said = Said()
        with self._lock:
            self._listeners.add(said)
        return said

    def say(self, kind: str, message: str) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for said in listeners:
            kept: list[str] = getattr(said, kind)
            if len(kept) < MOST_SAID:
                kept.append(message)


def _logger(module: Any, say: Callable[[str, str], None]) -> Any:
    base: Any = module.ILogger
    severity = base.Severity

    class Logger(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, level: Any, message: str) -> None:
            if level in (severity.INTERNAL_ERROR, severity.ERROR):
                say("errors", message)
            elif level == severity.WARNING:
                say("warnings", message)

    return Logger()


_voices: dict[int, _Voice] = {}
_voices_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Library:
    """An installed TensorRT.

    Attributes:
        flavor: which of the two.
        module: the Python package.
        version: such as ``1.7.1.116``; engines are tied to it.
    """

    flavor: Flavor
    module: Any
    version: str

    def __str__(self) -> str:
        return f"{_TITLES[self.flavor]} {self.version}"

    @property
    def logger(self) -> Any:
        """What the library's objects are made with."""
        return self._voice().logger

    def listen(self) -> Said:
        """Hear all that is said from now on, also on behalf of others in this process."""
        return self._voice().listen()

    def _voice(self) -> _Voice:
        with _voices_lock:
            if id(self.module) not in _voices:
                _voices[id(self.module)] = _Voice(self.module)
            return _voices[id(self.module)]


def installed() -> tuple[Flavor, ...]:
    """The flavors that are installed. Imports none of them."""
    return tuple(flavor for flavor, module in _MODULES.items() if find_spec(module) is not None)


def library(flavor: Flavor | Literal["auto"] = "auto") -> Library:
    """Import a TensorRT. ``auto``: the data-centre library where both are installed.

    Raises:
        ImportError: it is not installed, or does not load; the message names the extra.
    """
    if flavor == "auto":
        there = installed()
        if not there:
            raise ImportError(
                "TensorRT is not installed. Install it: pip install 'forgecli[gpu]' on data-centre "
                "GPUs, pip install 'forgecli[gpu-rtx]' on RTX cards or to build without a GPU.",
                name="tensorrt",
            )
        flavor = there[0]
    title, name = _TITLES[flavor], _MODULES[flavor]
    try:
        module = import_module(name)
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        why = "is not installed" if missing else f"does not load: {error}"
        raise ImportError(
            f"{title} {why}. Install it: pip install '{_EXTRAS[flavor]}'", name=name
        ) from error
    return Library(flavor, module, str(module.__version__))


def gpu_capability(number: int = 0) -> int | None:
    """Compute capability of a GPU, times ten, such as 90; None where there is no such GPU.

    Asks CuPy, and None is also the answer where that is not installed. Has not run on a GPU.
    """
    try:
        import cupy
    except ImportError:
        return None
    if not cupy.cuda.is_available() or number >= cupy.cuda.runtime.getDeviceCount():
        return None
    return int(cupy.cuda.Device(number).compute_capability)


def shown_capability(capability: int) -> str:
    """A compute capability as people write it: 90 is ``9.0``."""
    return f"{capability // 10}.{capability % 10}"


def shown_shape(shape: Sequence[int]) -> str:
    """A shape as people write it: ``1 x 3 x 64 x 64``."""
    return " x ".join(map(str, shape))


REBUILD = "build it again on this machine: forge build-engine"

_DRIVER = re.compile(
    r"driver version is insufficient|no CUDA-capable device|cudaError (35|100|3)\b"
    r"|CUDA initialization failure|CUDA lib\w* .*not found",
    re.IGNORECASE,
)
_KNOWN = (
    (
        r"not compatible with this version|incompatible with (the |current )version"
        r"|version (tag|mismatch)|same version of TensorRT",
        "the engine was built by another version of TensorRT",
        REBUILD,
    ),
    (
        r"incompatible device|expected compute|unsupported compute capability"
        r"|not (built|compiled) for .*(compute|SM)",
        "the engine was built for another GPU",
        REBUILD,
    ),
    (
        r"out ?of ?memory|insufficient (GPU )?memory|cudaError 2\b|memory allocation"
        r"|requested amount of GPU memory|failed_allocation",
        "the GPU's memory does not suffice",
        "take a smaller batch or size, fewer lanes, or stop what else uses the GPU",
    ),
    (
        r"workspace",
        "a layer finds no way to be computed within the workspace memory",
        "take a smaller batch or size, or a GPU with more memory",
    ),
    (
        r"profile|kMIN|kMAX|static dimensions",
        "the shapes do not fit the network",
        "give a batch and a size that the network was exported for",
    ),
    (
        r"same (input )?types?\b|type (constraint|mismatch)",
        "the network mixes number formats, and TensorRT converts none by itself",
        "export it again, with explicit casts between FP16 and FP32",
    ),
    (
        r"magic tag|malformed|serialization (assertion|error)|deserialize\w* failed|header size"
        r"|plan (size|header|buffer)",
        "the file is not an engine of this TensorRT, or it is damaged",
        REBUILD,
    ),
)


def failure(doing: str, said: Said, mend: str = "") -> TensorRtError:
    """The library's errors as one of ours.

    Args:
        doing: what failed, such as ``the engine cannot be built``.
        said: what the library said since.
        mend: what to do where its errors are not known.
    """
    # Without a driver, each error is followed by one about the driver, which is not its cause.
    causes = [text for text in said.errors if not _DRIVER.search(text)]
    if said.errors and not causes:
        return TensorRtError(
            f"{doing}: there is no NVIDIA driver, or it is too old.",
            "install or update the driver, and see forge doctor",
        )
    for text in causes:
        for pattern, what, known in _KNOWN:
            if re.search(pattern, text, re.IGNORECASE):
                return TensorRtError(f"{doing}: {what} ({plain(text)}).", known)
    text = plain(causes[0]) if causes else "TensorRT does not say why"
    return TensorRtError(f"{doing}: {text}.", mend)


def plain(message: str) -> str:
    """A message of the library without its own places in code, in one line of at most 300."""
    text = " ".join(message.split())
    text = re.sub(r"\[[\w.]+::?[\w:. ]+\]\s*", "", text)
    text = re.sub(r"^I?\w+::\w+: ", "", text)
    text = re.sub(r"^Error Code \d+: [\w ]+ \((.*)\)$", r"\1", text)
    text = re.sub(r"[. ]*\bIn (function )?[\w<>~:() ]+ at [\w/.]+:\d+\.?", "", text)
    text = text.strip(" .")
    return text if len(text) <= 300 else text[:297] + "..."
