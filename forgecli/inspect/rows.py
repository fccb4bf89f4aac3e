"""What is known of one image of a data set, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from forgecli.cases.header import Format
from forgecli.detection import Status

Triple = tuple[float, float, float]


class Kind(StrEnum):
    """The kinds of findings."""

    UNREADABLE = "unreadable image"
    TOO_LARGE = "image over the limit"
    FAILED = "image that ends its reader"
    ODD_FILE = "odd file"
    BLANK = "image of one colour"
    NO_MASK = "forged without mask"
    MASK_UNREADABLE = "unreadable mask"
    MASK_SIZE = "mask of another size"
    MASK_AXES = "mask transposed or channels last"
    MASK_EMPTY = "empty mask"
    MASK_CHANNEL = "empty channel in a mask"
    MASK_VALUES = "mask values not 0 and 1"
    MASK_FORM = "mask of an odd form"
    OVERLAP = "overlapping instances"
    ORPHAN = "mask without image"
    SECOND_MASK = "second mask of an image"
    SAME_ID = "id twice in a class"
    TWIN_SIZE = "twins of different size"
    TWIN_FORM = "twins that their form tells apart"
    TWIN_SAME = "forged image same as its twin"
    DUPLICATE = "same picture twice"
    BOTH_CLASSES = "same picture in both classes"
    LEAK_ID = "same id in two sets"
    LEAK_PICTURE = "same picture in two sets"
    LEAK_SOURCE = "made from one source in two sets"


NOTES = frozenset({Kind.ODD_FILE, Kind.LEAK_ID})
"""Kinds that are worth knowing and need no mending: two sets may well number their images alike."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one file.

    Attributes:
        path: of the file, below the data set's folder, with `/` between its parts.
        text: what is wrong, for a person. May hold names of files: escape it.
    """

    kind: Kind
    path: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What the decoded picture is like.

    Attributes:
        content: a hash of height, width and 8-bit RGB samples.
        mean, std: of red, green and blue, on the scale of 0 to 255.
        grey: whether red, green and blue are the same everywhere.
    """

    content: str
    mean: Triple
    std: Triple
    grey: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What the mask says.

    Attributes:
        areas: pixels of every instance, in the order of the channels.
        coverage: percent of the image that instances cover together.
    """

    areas: tuple[int, ...]
    coverage: float


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image of a data set.

    Attributes:
        case_id: the file's name without its suffix.
        part: which set it belongs to: `train` for `train_images`; empty where folders do not say.
        label: `authentic`, `forged`, or empty where nothing tells.
        path: below the data set's folder, with `/` between its parts.
        mask: path of its mask, likewise; empty without one.
        status: how reading it ended. Where it is not `ok`, what follows may be unknown.
        format, height, width, channels, bits: of the header; None, 0 where it cannot be read.
        alpha: whether it has an alpha channel.
        size: bytes of the file.
        sha256: of the file; empty where it cannot be read.
        pixels: None if they could not be decoded.
        truth: None without a mask that can be read.
        findings: what is wrong with the file and its mask by themselves.
    """

    case_id: str
    part: str
    label: str
    path: str
    mask: str = ""
    status: Status = Status.OK
    format: Format | None = None
    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    alpha: bool = False
    size: int = 0
    sha256: str = ""
    pixels: Pixels | None = None
    truth: Truth | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def unreadable(self) -> bool:
        """Whether the image or its mask could not be read."""
        return self.status is not Status.OK or any(
            finding.kind is Kind.MASK_UNREADABLE for finding in self.findings
        )
