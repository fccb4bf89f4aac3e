"""Source images that two synthetic data sets share, by the cards that `forge synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from forgecli.cases.order import natural_key
from forgecli.inspect.rows import Finding, Kind


def shared_sources(folder: Path, other: Path) -> Iterator[Finding]:
    """Cards of one data set that name a source image which a card of the other names as well.

    Different forgeries made from one image share all that is not forged. Nothing is found where
    either set has no cards.
    """
    there: dict[str, str] = {}
    for card, sources in _cards(other):
        for source in sources:
            there.setdefault(source, card)
    for card, sources in _cards(folder):
        for source in sources:
            if source in there:
                yield Finding(
                    Kind.LEAK_SOURCE, card, f"made from {source}, as {there[source]} of {other}"
                )
                break


def _cards(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The name of every card, below the folder, and the sources it names."""
    cards = sorted((folder / "cards").glob("*.json"), key=lambda path: natural_key(path.name))
    for card in cards:
        try:
            content = json.loads(card.read_text(encoding="utf-8"))
            sources = content.get("sources", [])
        except (OSError, ValueError, AttributeError):
            continue  # whatever it is, it is no card
        if isinstance(sources, list):
            yield f"cards/{card.name}", [str(source) for source in sources]
