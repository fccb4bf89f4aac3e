"""Whether a network searches for copies, which decides how it is exported."""

from __future__ import annotations

from forgecli.segment.models.correlation import CopySearch
from forgecli.segment.models.network import Network


def searches(network: Network) -> bool:
    """Whether a network searches for copies.

    How it cuts the picture into blocks and its comparisons into parts depends on the picture's
    size, so it is exported for one size.
    """
    return any(isinstance(module, CopySearch) for module in network.modules())
