"""`forge build-engine`: a checkpoint in, ONNX files and an engine out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from engines.base import Spec
from forgecli.build.check import Finding, Form, against_full, against_torch, drawn, record
from forgecli.build.engine import EngineFile, build, options_of, target_of
from forgecli.build.exporting import (
    Exported,
    bytes_of,
    card_of,
    export,
    halved,
    require_packages,
    spec_to_export,
)
from forgecli.build.files import OnnxFile, there_already, write_onnx
from forgecli.build.labelled import labelled
from forgecli.build.metric import compare
from forgecli.build.plan import BuildPlan
from forgecli.build.settings import OnnxPrecision
from forgecli.cores import threads_here
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import DIVERGED, load_checkpoint
from forgecli.segment.onnx_file import spec_of

if TYPE_CHECKING:
    from forgecli.build.int8_report import Int8Report
    from forgecli.segment.models.network import Network


class Voice(Protocol):
    """What a user hears while it goes on. `forgecli.console` has it."""

    def note(self, text: str) -> None:
        """Something to know."""

    def warn(self, text: str) -> None:
        """Something that should be known."""


Step = Callable[[str, int, int], None]
"""Told the phase, how many of its steps are done, and how many there are (0: not known)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was made.

    Attributes:
        onnx: the files, FP32 first.
        findings: of the checks.
        engine: None where only ONNX was asked for.
        int8: of the quantised file, where one was.
    """

    onnx: tuple[OnnxFile, ...]
    findings: tuple[Finding, ...] = ()
    engine: EngineFile | None = None
    int8: Int8Report | None = None


def run(plan: BuildPlan, voice: Voice, step: Step, *, layers: bool = False) -> Result:
    """Export, check, write, build. Nothing is written before the checks have passed.

    Args:
        plan: what to build.
        voice: hears of what is odd.
        step: hears of the progress.
        layers: the layers of the engine are wanted, so it is built even if it is there already.

    Raises:
        UsageError: a package is missing, or the settings do not suit the network.
        ForgeError: the checkpoint is damaged, or cannot become what is asked for; a check failed.
        OutputError: a file cannot be written.
    """
    settings = plan.settings
    cases = []
    if settings.check is not None and settings.precision == "fp16":
        cases = labelled(settings.check, settings.check_images)
    if settings.check is not None and settings.precision == "int8":
        from forgecli.build.int8 import foresee as foresee_int8

        foresee_int8(settings.check, settings.check_images)
    there = {precision: there_already(plan, precision) for precision in settings.precisions}
    kept = [file for file in there.values() if file is not None]
    if len(kept) == len(there):
        result = _kept(plan, kept, cases, voice, step)
    else:
        result = _exported(plan, there, cases, voice, step)
    if settings.precision == "int8":
        return replace(result, int8=_quantised(plan, result.onnx[0], voice))
    if settings.onnx_only:
        return result
    source = result.onnx[-1]
    options = options_of(plan, spec_of(source.card, source.file))
    return replace(result, engine=build(plan, source, options, step, again=layers))


def _kept(
    plan: BuildPlan, files: Sequence[OnnxFile], cases: Sequence[Case], voice: Voice, step: Step
) -> Result:
    """Files that are there already; they were checked when they were made."""
    spec = spec_of(files[0].card, files[0].file)
    _foresee(plan, spec)
    for file in files:
        voice.note(f"{file.file} is an export of this checkpoint already: it stays as it is")
    if not cases or len(files) < 2:
        return Result(tuple(files))
    require_packages()
    models = {file.precision: file.data for file in files}
    findings = _checked(plan, None, models, spec, cases, voice, step)
    return Result(tuple(files), tuple(findings))


def _exported(
    plan: BuildPlan,
    there: Mapping[OnnxPrecision, OnnxFile | None],
    cases: Sequence[Case],
    voice: Voice,
    step: Step,
) -> Result:
    """New files, beside those that are there already."""
    require_packages()
    step("loading the checkpoint", 0, 0)
    network, _ = load_checkpoint(plan.weights)
    _foresee(plan, spec_to_export(network, plan))
    step("exporting", 0, 0)
    full = export(network, plan)
    exports: dict[OnnxPrecision, Exported] = {"fp32": full}
    if "fp16" in there:
        exports["fp16"] = halved(full, plan.weights)
    models = {name: bytes_of(one, None, plan.weights) for name, one in exports.items()}
    findings = _checked(plan, network, models, full.spec, cases, voice, step)
    files = []
    for precision, file in there.items():
        if file is None:
            card = card_of(plan, exports[precision], record(findings))
            data = bytes_of(exports[precision], card, plan.weights)
            file = write_onnx(plan, precision, data, card)
        files.append(file)
    return Result(tuple(files), tuple(findings))


def _quantised(plan: BuildPlan, source: OnnxFile, voice: Voice) -> Int8Report:
    from forgecli.build.int8 import quantise

    settings = plan.settings
    assert settings.check is not None, "refused by the plan"
    return quantise(
        source.file,
        settings.check,
        plan.onnx("int8"),
        images=settings.check_images,
        tolerance=settings.tolerance,
        force=settings.force,
        note=voice.note,
    )


def _foresee(plan: BuildPlan, spec: Spec) -> None:
    """Raise now what TensorRT would raise later."""
    if not plan.settings.onnx_only:
        target_of(options_of(plan, spec))


def _checked(
    plan: BuildPlan,
    network: Network | None,
    models: Mapping[OnnxPrecision, bytes],
    spec: Spec,
    cases: Sequence[Case],
    voice: Voice,
    step: Step,
) -> list[Finding]:
    """Compare the precisions with each other, and with the network if it is loaded.

    Raises:
        ForgeError: they differ by more than `limits` allow, and that was not to be passed over.
    """
    from engines.export.runtime import OnnxRuntimeEngine

    threads = threads_here()
    try:
        full = OnnxRuntimeEngine(models["fp32"], spec, threads=threads)
    except ValueError as error:
        raise ForgeError(f"{error}.", file=plan.weights) from error
    batches = drawn(spec)
    findings: list[Finding] = []
    if network is not None:
        from engines.torch import TorchEngine
        from forgecli.build.copy_search import searches

        step("checking FP32 against torch", 0, 0)
        chooses = searches(network)
        findings += against_torch(TorchEngine(network), full, batches, searches=chooses)
    if "fp16" in models:
        half = OnnxRuntimeEngine(models["fp16"], spec, precision="fp16", threads=threads)
        step("checking FP16 against FP32", 0, 0)
        findings += against_full(full, half, batches)
        if cases:

            def told(done: int, of: int) -> None:
                step("checking FP16 on labelled images", done, of)

            card = plan.card
            found = compare(full, half, cases, card.preprocess, card.thresholds, told,
                            weights=plan.weights, dataset=plan.settings.check)  # fmt: skip
            findings += found.findings()
            if found.left_out:
                voice.warn(
                    f"{found.left_out} of {len(cases)} labelled images cannot be used: forge "
                    "inspect says why"
                )
            if not found.flagged:
                voice.warn(
                    f"the network flags none of the {found.images} labelled images, so the metric "
                    "cannot show what FP16 costs: set its thresholds first with forge tune"
                )
    _judge(findings, plan, voice)
    return findings


_NOT_FINITE: dict[Form, tuple[str, str]] = {
    "network": ("the network itself, by torch in FP32,", DIVERGED),
    "fp32": (
        "what was exported of it in FP32, and not the network itself,",
        "export it with other versions of torch and onnxscript: it is the export that is wrong",
    ),
    "fp16": ("in half precision, it", "--precision fp32"),
}
"""Of what gives values that are not finite: how it is called, and what to do."""


def _judge(findings: Iterable[Finding], plan: BuildPlan, voice: Voice) -> None:
    for finding in findings:
        if finding.good:
            continue
        if finding.not_finite is not None:
            what, mend = _NOT_FINITE[finding.not_finite]
            raise ForgeError(
                f"{what} gives values that are not finite numbers.", file=plan.weights, mend=mend
            )
        said = f"{finding.what} is {finding.value:.2g}, and {finding.limit:g} is the most"
        if not plan.settings.force:
            raise ForgeError(
                f"{said}.",
                file=plan.weights,
                mend="--precision fp32 if it is FP16 that differs, or --force to write it anyway",
            )
        voice.warn(f"{said}: written all the same")
