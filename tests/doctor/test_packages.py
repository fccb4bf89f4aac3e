"""Which extras are complete, told from the requirements of the metadata."""

from __future__ import annotations

from importlib import metadata

import pytest

from forgecli.doctor.packages import Package, extras, installed, others_shipping

LINES = [
    "numpy>=1.26",
    "opencv-python-headless >=5.0",
    'torch>=2.6; extra == "train"',
    "onnx (>=1.17) ; extra == 'train'",
    'forgecli[train,gpu]; extra == "dev"',
    'cupy-cuda13x[all]>=13.6; extra == "gpu"',
    'nncf>=2.18 ; python_version >= "3.11" and extra == "int8"',
    'tensorrt-rtx-cu13>=1.3; extra == "gpu_rtx"',
]
VERSIONS = {"numpy": "2.4.6", "opencv-python-headless": "5.0.0.93", "torch": "2.10", "onnx": "1.17",
            "tensorrt-rtx-cu13": "1.7.1.116", "nncf": "2.9"}  # fmt: skip


def test_extras_are_told_apart() -> None:
    found = {extra.name: extra for extra in extras(LINES, VERSIONS.get)}
    assert list(found) == ["", "train", "gpu", "gpu-rtx", "int8"]
    assert [package.name for package in found[""].packages or ()] == [
        "numpy",
        "opencv-python-headless",
    ]
    assert found[""].complete
    assert found["train"].complete
    assert found["gpu"].missing == ["cupy-cuda13x"]
    assert found["gpu"].command == "pip install 'forgecli[gpu]'"
    assert found["gpu-rtx"].complete, "an underscore is a hyphen"
    assert found["int8"].missing == ["nncf"], "too old"


def test_without_metadata_nothing_is_known() -> None:
    for extra in extras(None, VERSIONS.get):
        assert extra.packages is None
        assert not extra.complete
        assert extra.missing == []


@pytest.mark.parametrize(
    ("wanted", "found", "old"),
    [
        (">=2.6", "2.6", False),
        (">=2.6", "2.6.0", False),
        (">=2.6.0", "2.6", False),
        (">=2.6", "2.15.0+cu132", False),
        (">=2.6", "2.5.9", True),
        (">=13", "9.26.0.51", True),
        (">=2.6,<3", "2.0rc1", True),
        ("", "0.1", False),
    ],
)
def test_versions_compare_as_numbers(wanted: str, found: str, old: bool) -> None:
    package = Package("p", wanted, found)
    assert package.too_old is old
    assert package.good is not old


def test_what_is_not_installed_is_not_good() -> None:
    assert not Package("p", "", None).good
    assert not Package("p", ">=1", None).too_old


def test_versions_are_those_of_the_metadata() -> None:
    assert installed("numpy") == metadata.version("numpy")
    assert installed("no-such-distribution-at-all") is None


def test_the_owner_of_a_package_is_found() -> None:
    assert others_shipping("numpy") == ["numpy"]
    assert others_shipping("kernels") == []
    assert others_shipping("engines") == []
