"""Why a case cannot be read."""

from __future__ import annotations

from forgecli.errors import ForgeError


class Unreadable(ForgeError):
    """The file is missing, damaged, or not of a kind that is read here."""


class TooLarge(ForgeError):
    """The file's header announces more pixels or bytes than the limits allow."""
