"""Hold the model in office, and change it when the registry says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from tenure.core.lifecycle import ModelVersion
from tenure.engine.workspace import Workspace
from tenure.model.scorer import Scorer

_LOOK_EVERY_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """A version with its loaded model; a request uses one holder from start to end."""

    version: ModelVersion
    scorer: Scorer


class Office:
    """Gives the current holder of the champion's office; looks at the registry at most every 0.2 s."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._holder: Holder | None = None
        self._looked = float("-inf")

    def holder(self) -> Holder:
        """Return the model in office.

        Raises:
            NoChampionError: no model was promoted yet.
            BundleError: the stored model is damaged.
        """
        now = self._workspace.context.timer()
        held = self._holder
        if held is not None and now - self._looked < _LOOK_EVERY_SECONDS:
            return held
        with self._lock:
            champion = self._workspace.champion()
            if self._holder is None or self._holder.version != champion:
                self._holder = Holder(champion, self._workspace.scorer(champion))
            self._looked = now
            return self._holder
