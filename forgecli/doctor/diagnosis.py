"""All that `forge doctor` finds, as JSON and for people."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import forgecli
from forgecli.cores import available_cores
from forgecli.doctor.ask import Answer, Driver, ask_all, nvidia_driver
from forgecli.doctor.machine import Folder, Memory, folders, memory, processor
from forgecli.doctor.models import judge_model, mismatch_here
from forgecli.doctor.packages import (
    Extra,
    extras,
    installed,
    others_shipping,
    requirements,
)
from forgecli.doctor.probe import PROBES
from forgecli.doctor.verdicts import Verdict, verdicts
from forgecli.errors import ExitCode

OURS = ("kernels", "engines")
"""Top-level packages of forge with names that others may use."""

_MODULES = {"opencv-python-headless": "cv2"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What there is, what will run, and what is wrong.

    Attributes:
        extras: the base (no name) and the extras.
        answers: of the libraries, by name.
        folders: of caches.
        ways: what will run.
        models: verdicts on the files that were named.
        problems: what is broken, a sentence and what to do about it.
    """

    cores: int
    memory: Memory
    processor: str
    driver: Driver
    extras: tuple[Extra, ...]
    answers: dict[str, Answer]
    folders: tuple[Folder, ...]
    ways: tuple[Verdict, ...]
    models: tuple[Verdict, ...]
    problems: tuple[tuple[str, str], ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 where nothing that is installed is broken, and all files that were named would load."""
        bad = self.problems or any(not model.runs for model in self.models)
        return ExitCode.FAILED if bad else ExitCode.DONE

    def advice(self) -> list[str]:
        """What to do next, the most urgent first."""
        said = [f"{what}: {mend}" if mend else what for what, mend in self.problems]
        by_name = {way.name: way for way in self.ways}
        gpu = bool(self.driver.gpus)
        if gpu and not by_name["GPU path of predict"].runs:
            way = by_name["GPU path of predict"]
            said.append(f"the GPU is not used ({way.why})" + (f": {way.mend}" if way.mend else ""))
        if gpu and by_name["GPU path of predict"].runs:
            said.append("for the GPU: forge build-engine CHECKPOINT, then predict with the .engine")
        if not gpu and by_name["openvino on the CPU"].runs:
            said.append(
                "for networks on this CPU: forge build-engine CHECKPOINT --onnx-only, then "
                "predict with the .onnx; it is faster than the .safetensors"
            )
        unwritable = [folder for folder in self.folders if not folder.writable]
        said += [
            f"{folder.path} cannot be written: {folder.holds} are not kept there"
            for folder in unwritable
        ]
        return said

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "forge": forgecli.__version__,
            "python": platform.python_version(),
            "executable": sys.executable,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processor": self.processor,
            "cores": self.cores,
            "memory": asdict(self.memory),
            "driver": asdict(self.driver),
            "extras": {
                extra.name or "base": {
                    "complete": extra.complete,
                    "known": extra.packages is not None,
                    "missing": extra.missing,
                    "install": "" if extra.complete else extra.command,
                    "packages": {each.name: each.found for each in extra.packages or ()},
                }
                for extra in self.extras
            },
            "libraries": {name: asdict(answer) for name, answer in self.answers.items()},
            "folders": [{**asdict(folder), "path": str(folder.path)} for folder in self.folders],
            "runs": [asdict(way) for way in self.ways],
            "models": [asdict(model) for model in self.models],
            "problems": [{"what": what, "mend": mend} for what, mend in self.problems],
            "advice": self.advice(),
            "exit_code": int(self.exit_code),
        }


def diagnose(files: Sequence[Path] = (), *, ask: bool = True) -> Diagnosis:
    """Look at this machine.

    Args:
        files: of networks, to be judged.
        ask: whether libraries are imported, each in a process of its own; without, only their
            versions are known.
    """
    answers = ask_all(PROBES) if ask else {name: _unasked(name) for name in PROBES}
    driver = nvidia_driver()
    groups = extras(requirements(), installed)
    ways = verdicts(answers, driver, {extra.name: extra for extra in groups})
    by_name = {way.name: way for way in ways}
    models = [judge_model(file, by_name, mismatch_here(answers)) for file in files]
    return Diagnosis(
        cores=available_cores(),
        memory=memory(),
        processor=processor(),
        driver=driver,
        extras=groups,
        answers=answers,
        folders=tuple(folders(os.environ, Path.home())),
        ways=ways,
        models=tuple(models),
        problems=tuple(problems(groups, answers, ways, _shadows())),
    )


def problems(
    groups: Sequence[Extra],
    answers: Mapping[str, Answer],
    ways: Sequence[Verdict],
    shadows: Sequence[tuple[str, str]],
) -> list[tuple[str, str]]:
    """What is broken: a sentence each, and what to do about it.

    Args:
        groups: the base and the extras.
        answers: of the libraries.
        ways: verdicts on what will run.
        shadows: other packages under our names, with what to do.
    """
    found = list(shadows)
    base = next(extra for extra in groups if not extra.name)
    if base.packages is not None and base.missing:
        found.append((f"the base lacks {', '.join(base.missing)}", f"{base.command} --upgrade"))
    failed = answers["base"].facts.get("failed", {})
    for module, reason in failed.items():
        package = next((d for d, m in _MODULES.items() if m == module), module)
        found.append((f"{module} cannot be imported ({reason})",
                      f"pip install --force-reinstall {package}"))  # fmt: skip
    if answers["base"].broken:
        found.append((f"the base cannot be imported ({answers['base'].error})", "reinstall forge"))
    if answers["cupy"].broken:
        mend = "pip install --force-reinstall cupy-cuda13x, and have no other cupy beside it"
        found.append((f"cupy is installed, but: {answers['cupy'].error}", mend))
    found += [(f"{way.name}: {way.why}", way.mend) for way in ways if way.broken]
    return found


def _unasked(name: str) -> Answer:
    return Answer(installed=name == "base" or find_spec(name) is not None)


def _shadows() -> list[tuple[str, str]]:
    """Packages of others that stand where ours should: they have the same name."""
    mend = "install forge into an environment of its own (pipx, uv tool, venv)"
    home = Path(forgecli.__file__).resolve().parents[1]
    found = []
    for name in OURS:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parents[1] != home:
            found.append((f"the package {name} that Python finds is not forge's", mend))
        elif others := others_shipping(name):
            found.append((f"{', '.join(others)} also installs a package {name}", mend))
    return found
