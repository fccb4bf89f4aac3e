"""The packages that forge asks for: which are installed, and which extras are complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata

EXTRAS = {
    "train": "train networks, run them with PyTorch, export them to ONNX",
    "gpu": "TensorRT engines and the GPU path on data-centre GPUs",
    "gpu-rtx": "the same on RTX cards; builds engines without a GPU",
    "int8": "quantise networks for the CPU",
}
"""Extras for users, and what each is for."""

DISTRIBUTION = "forgecli"

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([A-Za-z0-9._-]+)['"]""")
_AT_LEAST = re.compile(r">=\s*([0-9][0-9.]*)")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that forge asks for.

    Attributes:
        name: of the distribution.
        wanted: the versions that will do, as pip writes it; empty: any.
        found: the version that is installed; None: it is not.
    """

    name: str
    wanted: str
    found: str | None

    @property
    def good(self) -> bool:
        """Whether it is installed and not too old."""
        return self.found is not None and not self.too_old

    @property
    def too_old(self) -> bool:
        """Whether it is installed in a version that is too low."""
        least = _AT_LEAST.search(self.wanted)
        if self.found is None or least is None:
            return False
        return _numbers(self.found) < _numbers(least[1])


@dataclass(frozen=True, slots=True)
class Extra:
    """A group of packages that are installed together.

    Attributes:
        name: of the extra; empty for what every install brings.
        purpose: what it is for.
        packages: what it asks for; None where the installed forge does not know the extra.
    """

    name: str
    purpose: str
    packages: tuple[Package, ...] | None

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return self.packages is not None and all(package.good for package in self.packages)

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed, or too old."""
        return [package.name for package in self.packages or () if not package.good]

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install '{DISTRIBUTION}[{self.name}]'" if self.name else "pip install forgecli"


def extras(
    lines: Iterable[str] | None, version_of: Callable[[str], str | None]
) -> tuple[Extra, ...]:
    """The base and the extras for users, in this order.

    Args:
        lines: the requirements of forge's metadata, as `requirements` gives them; None: unknown.
        version_of: the installed version of a distribution; None: not installed.
    """
    groups: dict[str, list[Package]] = {}
    for line in lines or ():
        parts = _REQUIREMENT.match(line)
        if parts is None:
            continue
        name, wanted, marker = parts[1], (parts[2] or "").strip(), parts[3] or ""
        extra = _EXTRA.search(marker)
        if normal(name) != DISTRIBUTION:
            groups.setdefault(normal(extra[1]) if extra else "", []).append(
                Package(name, wanted, version_of(name))
            )
    named = {"": "match, segment with an .onnx on the CPU, score, report, synth", **EXTRAS}
    return tuple(
        Extra(name, purpose, tuple(groups[name]) if name in groups else None)
        for name, purpose in named.items()
    )


def requirements() -> list[str] | None:
    """The requirements of the installed forge; None where it is not installed as a package."""
    try:
        return metadata.requires(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


@cache
def installed(name: str) -> str | None:
    """The installed version of a distribution; None: not installed. Imports nothing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def others_shipping(module: str) -> list[str]:
    """Distributions other than forge that install a top-level package of this name."""
    listed = re.compile(rf"^{re.escape(module)}/", re.MULTILINE)
    named = re.compile(rf"^{re.escape(module)}$", re.MULTILINE)
    found = set()
    for each in metadata.distributions():
        # The texts as they are: to parse every line of every RECORD takes seconds.
        if listed.search(each.read_text("RECORD") or "") or named.search(
            each.read_text("top_level.txt") or ""
        ):
            found.add(each.metadata["Name"] or "")
    return sorted(name for name in found if normal(name) != DISTRIBUTION)


def normal(name: str) -> str:
    """A name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version without trailing zeros: enough for lower bounds."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
