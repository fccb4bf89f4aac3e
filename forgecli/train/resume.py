"""Whether a run can be gone on with by the settings that are asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forgecli.errors import UsageError

FREE = {
    "data": {"folder", "validation_folder", "split", "cases", "cache_mb"},
    "model": {"encoder_weights", "init_from"},
    "loop": {"epochs", "minutes", "patience", "device", "workers", "threads", "tensorboard"},
    "validation": {"samples"},
}
"""Settings that may differ: where things are, how fast it goes, when it ends."""


def binding(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings that have to be the same in all sessions of a run."""
    return {
        name: {key: value for key, value in table.items() if key not in FREE.get(name, ())}
        for name, table in tables.items()
    }


def check_same(facts: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Refuse to go on with another run than was begun.

    Args:
        facts: of this session, see `RunKeeper.facts`.
        document: of the state, which holds those of the session that wrote it.

    Raises:
        UsageError: they differ; the first difference is named.
    """
    before, now = document.get("settings", {}), facts["settings"]
    for table, values in now.items():
        for key, value in values.items():
            then = before.get(table, {}).get(key)
            if then != value:
                raise UsageError(
                    f"the run was begun with [{table}] {key} = {then!r}, not {value!r}.",
                    mend="leave that setting out, or start a new run in another folder",
                )
    if document.get("processes") != facts["processes"]:
        raise UsageError(
            f"the run was begun with {document.get('processes')} processes, not "
            f"{facts['processes']}.",
            mend="start it with as many, since the batch is theirs together",
        )
    if document.get("split") != facts["split"]:
        raise UsageError(
            "the data set is not what it was when the run was begun: images were added, removed "
            "or cannot be read any more.",
            mend="start a new run, by --init-from with the weights of this one",
        )
