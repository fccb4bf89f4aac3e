"""A run with all that a user sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from forgecli.errors import UsageError
from forgecli.train.folder import RunFolder
from forgecli.train.presets import TrainSettings
from forgecli.train.watchers import Events, Several, Watcher, watcher_on

if TYPE_CHECKING:
    from forgecli.train.report import Report
    from forgecli.train.voice import Voice


def session(
    settings: TrainSettings,
    folder: Path,
    *,
    resume: bool,
    overwrite: bool,
    environment: Mapping[str, str],
    voice: Voice,
    console: Console,
) -> Report:
    """Train as `run.train` does, and show on a console how far it is.

    Raises:
        UsageError: the packages that training needs are not installed; else as `run.train`.
    """
    try:
        from forgecli.train.distributed import world_of
        from forgecli.train.run import train
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("forgecli", "engines", "kernels"):
            raise
        raise UsageError(
            f"training needs the package {error.name}, which is not installed.",
            mend="install the extra: pip install 'forgecli[train]'",
        ) from error
    watchers: list[Watcher] = []
    if world_of(environment).first:
        if settings.loop.tensorboard:
            watchers.append(Events(RunFolder(folder).events))
        watchers.append(watcher_on(console))
    watcher = Several(watchers)
    try:
        return train(
            settings,
            folder,
            resume=resume,
            overwrite=overwrite,
            environment=environment,
            voice=voice,
            watcher=watcher,
        )
    finally:
        watcher.close()
