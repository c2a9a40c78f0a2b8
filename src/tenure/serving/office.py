"""Hold the model in office, and change it when the registry says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from tenure.core.errors import NoChampionError
from tenure.core.lifecycle import ModelVersion
from tenure.engine.outcomes import outcome_model
from tenure.engine.workspace import Workspace
from tenure.model.bundle import FittedModel
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
        self._former: dict[int, tuple[str, ...]] = {}

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

    def learnt(self) -> FittedModel:
        """Return the model that outcomes are held against: the one in office, else the newest.

        Raises:
            NoChampionError: there is no version at all.
            BundleError: the stored model is damaged.
        """
        try:
            return self.holder().scorer.model
        except NoChampionError:
            return outcome_model(self._workspace)

    def classes_of(self, number: int, holder: Holder) -> tuple[str, ...]:
        """Return the classes of the version that gave an answer; `holder` is the one that answers now.

        Raises:
            BundleError: the stored model of an earlier version is damaged.
        """
        if number == holder.version.number:
            return holder.scorer.model.classes
        if number not in self._former:
            scorer = self._workspace.scorer(self._workspace.registry.version(number))
            self._former[number] = scorer.model.classes
        return self._former[number]
