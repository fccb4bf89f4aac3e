"""What was measured, what limits, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from forgecli.bench.crews import Rate
from forgecli.bench.whole import Whole

_GOOD = 0.9
"""Share of the limit from which there is nothing to be gained around the engine."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What was measured.

    Attributes:
        label: of the detector or network, for people.
        engine: ``torch``, ``openvino``, ``tensorrt``; empty for a detector without a network.
        device: as torch names it.
        precision: of the arithmetic; empty without a network.
        workers: images at work at the same time, each with `threads` threads of the libraries.
        shared: whether all are in one process; else each has its own.
        cores: usable.
        view, tta: of the network; empty without one.
        suffix: of the model's file.
        own: whether the pictures are the user's.
        pictures: how many different ones.
        megapixels: their mean size.
        gpu: whether there is a GPU that is not used.
    """

    label: str
    engine: str
    device: str
    precision: str
    workers: int
    threads: int
    cores: int
    view: str = ""
    tta: str = ""
    suffix: str = ""
    own: bool = False
    pictures: int = 0
    megapixels: float = 0.0
    gpu: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What one run of the bench found.

    Attributes:
        stages: everything in every process; its `seconds` say where the time goes.
        decode: nothing but reading and decoding.
        core: the engine on ready input; of a detector without an engine, the detector on ready
            pictures.
        whole: the job as a user runs it.
    """

    setup: Setup
    stages: Rate
    decode: Rate
    core: Rate
    whole: Whole

    @property
    def core_name(self) -> str:
        """What `core` is, for people."""
        return "bare engine" if self.setup.engine else "bare detector"

    @property
    def limit(self) -> float:
        """Images a second that the whole cannot exceed: the slower of decoding and the engine."""
        return min(self.decode.per_second, self.core.per_second)

    @property
    def fraction(self) -> float:
        """What the whole reaches of the limit."""
        return self.whole.per_second / self.limit

    @property
    def shared_limit(self) -> float:
        """The limit where decoding and the engine share the same cores, as on a CPU."""
        return 1 / (1 / self.decode.per_second + 1 / self.core.per_second)

    @property
    def limited_by(self) -> str:
        """What limits, in words."""
        slowest = max(self.stages.seconds, key=lambda stage: self.stages.seconds[stage])
        share = self.stages.seconds[slowest] / sum(self.stages.seconds.values())
        said = f"{slowest}: {share:.0%} of the time of an image"
        if slowest == "engine" or not self.setup.engine:
            return said
        return f"{said}, more than the engine"

    def advice(self) -> list[str]:
        """What to try, what gains most first."""
        setup, said = self.setup, []
        on_cpu = setup.device == "cpu"
        engine_share = self.stages.seconds.get("engine", 0.0) / sum(self.stages.seconds.values())
        if setup.gpu and on_cpu and setup.engine:
            said.append("there is a GPU: forge build-engine makes an .engine for it")
        if on_cpu and setup.suffix == ".safetensors":
            said.append(
                "forge build-engine MODEL --onnx-only, then bench the .onnx: OpenVINO is usually "
                "faster than PyTorch on a CPU"
            )
        if setup.engine and setup.tta not in ("", "none"):
            forms = {"flip": 4, "d4": 8}[setup.tta]
            said.append(f"--tta none: every image goes through the network {forms} times")
        if setup.engine and setup.view == "tile":
            said.append("the view is tile: every image is several pieces, at full resolution; "
                        "a network that was trained with the view resize sees one")  # fmt: skip
        if on_cpu and setup.engine == "openvino" and setup.precision == "fp32":
            said.append("an INT8 network: forge build-engine CHECKPOINT --onnx-only --precision "
                        "int8 --check DATASET makes one if it scores as well there")  # fmt: skip
        if on_cpu and setup.workers < setup.cores:
            said.append(f"--workers {setup.cores}: there are {setup.cores} cores")
        if not on_cpu and self.decode.per_second < self.core.per_second:
            said.append("decoding limits: more cores, or files that decode faster (TIFF without "
                        "compression, JPEG, PNG with little compression)")  # fmt: skip
        if setup.engine and engine_share > 0.8 and on_cpu:
            said.append("the network's arithmetic is nearly all of it: a smaller --size (then "
                        "forge tune again), a smaller network, or a GPU")  # fmt: skip
        if self.whole.start > 0.2 * self.whole.seconds:
            break_even = self.whole.start * self.whole.per_second
            many = max(round(break_even), 1)
            said.append(f"the start takes {self.whole.start:.1f} s, as long as {many} "
                        f"image{'s' if many > 1 else ''}: give it many at once")  # fmt: skip
        if self.fraction < _GOOD and self.whole.per_second < _GOOD * self.shared_limit:
            said.append(
                "the job is slower than its parts: look whether other programs, the disk or "
                "the memory are busy"
            )
        return said

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **asdict(self.setup),
            "stages_ms": {name: 1e3 * spent for name, spent in self.stages.seconds.items()},
            "cpu_seconds_per_image": self.stages.cpu,
            "decode_images_per_second": self.decode.per_second,
            f"{self.core_name.replace(' ', '_')}_images_per_second": self.core.per_second,
            "end_to_end_images_per_second": self.whole.per_second,
            "fraction_of_limit": self.fraction,
            "start_seconds": self.whole.start,
            "images": self.whole.images,
            "flagged": self.whole.flagged,
            "limited_by": self.limited_by,
            "try": self.advice(),
        }

    def stage_rows(self) -> Sequence[tuple[str, str, str]]:
        """Stage, milliseconds per image while the others are at work, share."""
        total = sum(self.stages.seconds.values())
        return [
            (name, f"{1e3 * spent:.1f}", f"{spent / total:.1%}")
            for name, spent in self.stages.seconds.items()
        ]

    def rate_rows(self) -> Sequence[tuple[str, str, str]]:
        """What, images a second, of the limit."""
        rows = [
            ("decode only", self.decode.per_second),
            (self.core_name, self.core.per_second),
            ("end to end", self.whole.per_second),
        ]
        return [(name, f"{rate:.2f}", _times(rate / self.limit)) for name, rate in rows]


def _times(share: float) -> str:
    return f"{share:.0f} x" if share >= 5 else f"{share:.0%}"
