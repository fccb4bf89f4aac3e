"""The search for copies, as an exporter sees it."""

from __future__ import annotations

import pytest
import torch

from forgecli.build.copy_search import searches
from forgecli.segment.models import correlation, registry
from tests.segment.models.small import network


def test_who_searches() -> None:
    assert searches(registry.build("copy-attend", encoder="resnet18", width=16))
    assert not searches(network("dual-stream"))


@pytest.mark.parametrize("cells", [1, 2**17, 2**24])
def test_it_finds_the_same_in_any_number_of_parts(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = correlation.CopySearch()
    grey = torch.nn.functional.avg_pool2d(
        torch.rand(3, 1, 66, 98, generator=torch.Generator().manual_seed(0)), 3, 1
    )
    expected = search(grey)
    monkeypatch.setattr(correlation, "CELLS", cells)
    parts = []
    matmul = torch.Tensor.__matmul__

    def counted(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if right.ndim == 3:  # seeds with keys
            parts.append(left.shape)
        return matmul(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", counted)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    found = search(grey)
    alone = search(grey[1:2])
    rows = max(1, min(8, cells // (12 * 32 * 48)))
    assert len(parts) == 2 * -(-8 // rows), "one image takes as many parts as three"
    torch.testing.assert_close(found.evidence, expected.evidence)
    assert torch.equal(found.place, expected.place)
    assert torch.equal(alone.place, expected.place[1:2])
