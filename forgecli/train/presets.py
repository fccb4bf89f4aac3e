"""All settings of a run: defaults < the model's preset < TOML file < environment < flags."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from forgecli.config import resolve
from forgecli.errors import UsageError
from forgecli.segment.models.registry import names
from forgecli.toml import toml_text
from forgecli.train.data import AugmentSettings, DataSettings
from forgecli.train.settings import (
    LoopSettings,
    LossSettings,
    ModelSettings,
    OptimiserSettings,
    ScheduleSettings,
    ValidationSettings,
)

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """The settings of a run; every attribute is a table of the TOML file."""

    data: DataSettings = field(default_factory=DataSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)

    def tables(self) -> dict[str, dict[str, Any]]:
        """Every table as plain values; paths as text."""
        return {
            name: {
                key: str(value) if isinstance(value, Path) else value
                for key, value in table.items()
            }
            for name, table in dataclasses.asdict(self).items()
        }

    def toml(self) -> str:
        """A TOML file that `forge train --config` reads back to the same settings."""
        return toml_text(self.tables())


TABLES = tuple(each.name for each in dataclasses.fields(TrainSettings))
_KINDS: dict[str, type[Any]] = {
    "data": DataSettings,
    "augment": AugmentSettings,
    "model": ModelSettings,
    "loss": LossSettings,
    "optimiser": OptimiserSettings,
    "schedule": ScheduleSettings,
    "loop": LoopSettings,
    "validation": ValidationSettings,
}


def preset_of(model: str) -> dict[str, dict[str, Any]]:
    """The preset of a network: tables with the settings that differ from the defaults.

    Raises:
        UsageError: there is no such network.
    """
    if model not in names():
        from forgecli.config import nearest

        raise UsageError(f"there is no network {model!r}.", mend=nearest(model, names()))
    file = files("forgecli.train") / "presets" / f"{model}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def settle(
    config: Tables,
    file: Path | None,
    environment: Mapping[str, str],
    flags: Tables,
    *,
    presets: bool = True,
) -> TrainSettings:
    """All settings of a run.

    Args:
        config: what the TOML file says.
        file: where it came from, for messages.
        environment: usually `os.environ`; names are FORGE_<TABLE>_<KEY>.
        flags: values of the command line, by table and key; None where one was not given.
        presets: whether the model's preset is laid under the file.

    Raises:
        UsageError: an unknown name, with the nearest known one, or a value that cannot be.
    """
    model = resolve(
        ModelSettings,
        "model",
        config=config,
        file=file,
        environment=environment,
        flags=flags.get("model", {}),
    )
    preset = preset_of(model.name) if presets else {}
    values = {}
    for name, kind in _KINDS.items():
        under = preset.get(name, {})
        over = {key.replace("-", "_"): value for key, value in config.get(name, {}).items()}
        table = {**under, **over}
        if name == "model" and isinstance(over.get("arguments"), Mapping):
            table["arguments"] = {**under.get("arguments", {}), **over["arguments"]}
        values[name] = resolve(
            kind,
            name,
            config={name: table},
            file=file,
            environment=environment,
            flags=flags.get(name, {}),
        )
    return TrainSettings(**values)
