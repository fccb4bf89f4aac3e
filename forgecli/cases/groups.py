"""Which images belong together, so that none is judged by a network that has seen its twin."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from forgecli.cases.failures import Unreadable
from forgecli.cases.layout import absolute
from forgecli.cases.order import natural_key
from forgecli.detection import Case, Label

Join = Literal["auto", "always", "never"]
"""Whether images that share a source picture are one group. ``always``: they are. ``never``: only
images of one name are, such as a forgery and its authentic twin. ``auto``: they are, unless that
leaves one group with more than half of the images, as compound figures do when each takes panels
from many pictures. Then images made from one picture are still joined with their likes, and
compound figures stand alone, which means that some share panels with images on the other side."""

_LARGEST = 0.5


_LARGEST_CARD = 1 << 24  # bytes; forge synth writes a few kilobytes


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of images.

    Attributes:
        group_of: the group's name by case id: the first of its stems in natural order.
        joined: how: ``sources``, ``single sources`` (see `Join`) or ``names``.
        largest: images in the largest group.
    """

    group_of: Mapping[str, str]
    joined: Literal["sources", "single sources", "names"]
    largest: int

    @property
    def count(self) -> int:
        """The number of groups."""
        return len(set(self.group_of.values()))


def stem_of(case: Case) -> str:
    """The name that a forgery shares with its authentic twin: the file's, without its suffix."""
    return unicodedata.normalize("NFC", case.image.stem.encode(errors="backslashreplace").decode())


def sources_of(case: Case) -> tuple[str, ...]:
    """The pictures that `forge synth` made the image from, by its card; empty without one.

    The card is cards/NAME.json beside the folder of images.

    Raises:
        Unreadable: there is a card, but it is not one.
    """
    folder = absolute(case.image).parent
    images = folder.parent if folder.name in set(Label) else folder
    card = images.parent / "cards" / f"{case.image.stem}.json"
    try:
        if card.stat().st_size > _LARGEST_CARD or not card.is_file():
            raise Unreadable("The card is no file, or far too large.", file=card)
        document = json.loads(card.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise Unreadable(f"The card cannot be read: {error.strerror}.", file=card) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("The card is not JSON.", file=card) from error
    sources = document.get("sources") if isinstance(document, dict) else None
    if not isinstance(sources, list) or not all(isinstance(name, str) for name in sources):
        raise Unreadable("The card does not name its sources.", file=card)
    return tuple(dict.fromkeys(sources))


def group_cases(
    cases: Iterable[Case],
    sources: Mapping[str, Iterable[str]] | None = None,
    named: Mapping[str, str] | None = None,
    join: Join = "auto",
) -> Grouping:
    """Put cases together that share a name, a group that the user named, or sources.

    Args:
        cases: with ids that differ.
        sources: by case id, see `sources_of`.
        named: groups by case id.
        join: see `Join`.
    """
    cases = list(cases)
    made_of = {key: tuple(names) for key, names in (sources or {}).items()}
    named = named or {}

    def grouped(most_sources: int | None) -> Mapping[str, str]:
        keys: dict[str, list[tuple[str, str]]] = {}
        for case in cases:
            own = [("name", stem_of(case))]
            if case.case_id in named:
                own.append(("named", named[case.case_id]))
            of = made_of.get(case.case_id, ())
            if most_sources is None or len(of) <= most_sources:
                own += [("source", name) for name in of]
            keys[case.case_id] = own
        return _connected(keys)

    if join == "never" or not any(made_of.values()):
        return _grouping(grouped(0), "names")
    whole = _grouping(grouped(None), "sources")
    if join == "always" or whole.largest <= _LARGEST * len(cases):
        return whole
    return _grouping(grouped(1), "single sources")


def _grouping(
    group_of: Mapping[str, str], joined: Literal["sources", "single sources", "names"]
) -> Grouping:
    return Grouping(group_of, joined, max(Counter(group_of.values()).values(), default=0))


def _connected(keys: Mapping[str, list[tuple[str, str]]]) -> dict[str, str]:
    """Group name by id: ids that share a key, directly or over others, share a group."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for own in keys.values():
        for other in own[1:]:
            parent[root(other)] = root(own[0])
    names: dict[tuple[str, str], str] = {}
    for own in keys.values():
        of, stem = root(own[0]), own[0][1]
        names[of] = min(names.get(of, stem), stem, key=natural_key)
    return {case_id: names[root(own[0])] for case_id, own in keys.items()}
