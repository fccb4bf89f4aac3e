"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch

from forgecli.segment.models.network import Network


class Average:
    """Averages parameters and buffers (Polyak and Juditsky, 1992, with a decay).

    The decay of update t is the smaller of `decay` and (1 + t) / (10 + t), so that the first
    weights, which are random, are soon forgotten.

    Args:
        network: whose weights are averaged.
        decay: 0 to 1.

    Attributes:
        network: a copy of it that holds the averages; at first, the weights themselves.
        updates: how many there were.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Take the network's weights into the average. Whole numbers are copied."""
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        values = network.state_dict()
        for name, average in self.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(values[name], weight)
            else:
                average.copy_(values[name])
