"""Who speaks to the user."""

from __future__ import annotations

from typing import Protocol


class Voice(Protocol):
    """Says things to a user. `forgecli.console` is one."""

    def note(self, text: str) -> None:
        """Something that may be wanted."""

    def warn(self, text: str) -> None:
        """Something that should be known."""


class Mute:
    """The voice of all processes but the first."""

    def note(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""
