"""The two networks that were published whole."""

import pytest
import torch

from forgecli.errors import UsageError
from forgecli.segment.models import registry
from forgecli.segment.models.dual_stream import DualStream
from forgecli.segment.models.network import Network
from forgecli.segment.models.simple_cnn import SimpleCnn


def count(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(channels: int, filters: int, side: int) -> int:
    """Parameters of a convolution with bias, transposed or not."""
    return channels * filters * side * side + filters


def test_simple_cnn_has_the_published_layers() -> None:
    down = convolution(3, 32, 3) + convolution(32, 64, 3) + convolution(64, 128, 3)
    up = convolution(128, 64, 2) + convolution(64, 32, 2) + convolution(32, 1, 1)
    assert count(SimpleCnn()) == down + up == 134_337


def test_dual_stream_has_the_published_layers() -> None:
    stream = convolution(3, 32, 3) + convolution(32, 64, 3)
    joined = convolution(128, 128, 3) + convolution(128, 1, 1)
    assert count(DualStream()) == 2 * stream + joined == 186_497


def test_the_streams_see_what_their_names_say() -> None:
    network = DualStream()
    seen: dict[str, torch.Tensor] = {}
    network.colour.register_forward_pre_hook(lambda _, given: seen.update(colour=given[0]))
    network.noise.register_forward_pre_hook(lambda _, given: seen.update(noise=given[0]))
    images = torch.rand(1, 3, 16, 16)
    network(images)
    assert torch.equal(seen["colour"], images)
    assert torch.equal(seen["noise"], network.residual(images))


def test_dual_stream_on_an_encoder_gives_it_the_residual() -> None:
    network = registry.build("dual-stream", encoder="resnet18", ela=True)
    assert network.channels == 6
    assert network.state_dict()["body.encoder.conv1.weight"].shape[1] == 9
    images = torch.rand(1, 6, 32, 32)
    seen: list[torch.Tensor] = []
    network.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert network.eval()(images).shape == (1, 1, 32, 32)
    noise = network.residual(images[:, :3])
    joined = torch.cat([images, noise], 1)
    torch.testing.assert_close(seen[0], network.normalise(joined))


def test_the_published_dual_stream_has_no_further_channels() -> None:
    with pytest.raises(UsageError, match="give it an encoder"):
        registry.build("dual-stream", ela=True)
