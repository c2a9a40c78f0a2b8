"""Hold the models that answer, and change them the moment the registry does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from tenure.core.errors import NoChampionError, TenureError
from tenure.core.lifecycle import Alias, ModelVersion
from tenure.engine.answering import Holder
from tenure.engine.outcomes import outcome_model
from tenure.engine.routing import Routing, routing_of
from tenure.engine.workspace import Workspace
from tenure.model.fitted import FittedModel
from tenure.serving.protocols.ask import Signature
from tenure.state.ladder import Ladder

WAITING: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="waiting")
"""For what waits for the database: it must not take the threads of what works."""
_LOG: Final = logging.getLogger("tenure.serving")
_KEPT: Final = 4
_LOOK_SECONDS: Final = {"sqlite": 5.0, "postgresql": 0.5}
"""How often to look for moves that pressed no stamp here: on PostgreSQL other machines move offices too, on SQLite only
a process that was killed between its move and its stamp. Looking takes the event loop's time."""


@dataclass(frozen=True, slots=True)
class Holders:
    """Who answers: a request uses one of these from start to end. `challenger` does what `routing` says.

    `signature` is what protocols need to know of the champion.
    """

    champion: Holder
    challenger: Holder | None
    signature: Signature
    routing: Routing


class Office:
    """Gives the holders of the offices. Moves on this machine are seen at once, by a stamp; others by looking again."""

    def __init__(self, workspace: Workspace, *, verbose: bool = True) -> None:
        """Hold nobody yet; `verbose` lets refusals name what a field should have held."""
        self._workspace = workspace
        self._ladder = Ladder(workspace.registry)
        self._verbose = verbose
        self._lock = threading.Lock()
        self._loaded: OrderedDict[int, Holder] = OrderedDict()
        self._holders: Holders | None = None
        self._asked_for: tuple[ModelVersion, ModelVersion | None, Routing] | None = None
        self._told = ""
        self._stamp = b""

    def current(self) -> Holders | None:
        """Return who answers now, or None where `renew` has to find out. Costs nothing."""
        return self._holders if self._workspace.stamp.look() == self._stamp else None

    @property
    def label(self) -> str | None:
        """Return the version that answers, or None while none does."""
        return None if self._holders is None else self._holders.champion.label

    @property
    def made_at(self) -> datetime | None:
        """Return when the version that answers was registered."""
        return None if self._holders is None else datetime.fromisoformat(self._holders.champion.version.created_at)

    async def holders(self) -> Holders:
        """Return who answers now; errors as in `renew`."""
        held = self.current()
        return await asyncio.get_running_loop().run_in_executor(WAITING, self.renew) if held is None else held

    def renew(self, *, look_again: bool = False) -> Holders:
        """Ask the registry who answers, load who is new, and return them. With `look_again` even if nobody moved here.

        While the state database does not answer, or the model of who should is damaged, those who answered so far go
        on, and the log of the server says so.

        Raises:
            NoChampionError: no model was promoted yet.
            BundleError: the stored model is damaged.
            StateUnreachableError: nobody answered so far, and the state does not say who should.
        """
        with self._lock:
            stamp = self._workspace.stamp.look()
            if stamp == self._stamp and self._holders is not None and not look_again:
                return self._holders
            try:
                holders = self._asked()
            except NoChampionError:
                self._holders = None
                raise
            except TenureError as error:
                if self._holders is None:
                    raise
                self._tell(f"{error.message} Who answered so far goes on.")
                holders = self._holders
            else:
                if self._asked_for is not None:
                    self._told = ""
            self._holders, self._stamp = holders, stamp
            return holders

    async def watch(self) -> None:
        """Look at the registry now and then, for moves by other machines, until cancelled."""
        pause = _LOOK_SECONDS[self._workspace.database.dialect]
        while True:
            await asyncio.sleep(pause)
            try:
                await asyncio.get_running_loop().run_in_executor(WAITING, partial(self.renew, look_again=True))
            except NoChampionError:
                continue  # the request that needs one says so
            except Exception as error:  # whatever stops this look must not stop the next
                self._tell(f"The registry could not be looked at: {error!r}")

    def former(self, number: int) -> Holder:
        """Return a version that gave an answer once.

        Raises:
            RecordMissingError: there is no such version.
            BundleError: the stored model of an earlier version is damaged.
        """
        with self._lock:
            return self._holder(self._workspace.registry.version(number))

    def learnt(self) -> FittedModel:
        """Return the model that outcomes are held against: the one in office, else the newest.

        Raises:
            NoChampionError: there is no version at all.
            BundleError: the stored model is damaged.
        """
        try:
            return self.renew().champion.model
        except NoChampionError:
            return outcome_model(self._workspace)

    def _asked(self) -> Holders:
        champion = self._workspace.champion()
        challenger = self._workspace.registry.holder(Alias.CHALLENGER)
        routing = routing_of(
            self._workspace.project.serving,
            champion=champion.number,
            challenger=None if challenger is None else challenger.number,
            rung=self._ladder.latest(),
        )
        held = self._holders
        if held is not None and (champion, challenger, routing) == self._asked_for:
            return held
        wanted = None if routing.is_idle else challenger
        rival = None if wanted is None else self._rival(wanted)
        holder = self._holder(champion)
        name = self._workspace.project.project.name
        is_whole = wanted is None or rival is not None
        self._asked_for = (champion, challenger, routing) if is_whole else None  # who failed to load is tried again
        return Holders(holder, rival, Signature.of(holder.model, name=name, version=holder.label), routing)

    def _rival(self, challenger: ModelVersion) -> Holder | None:
        """Return the challenger, where it can be loaded."""
        try:
            return self._holder(challenger)
        except TenureError as error:
            self._tell(f"The challenger {challenger.label} does not answer: {error.message}")
            return None

    def _tell(self, trouble: str) -> None:
        """Write a trouble to the server's log, once."""
        if trouble != self._told:
            self._told = trouble
            _LOG.error(trouble)

    def _holder(self, version: ModelVersion) -> Holder:
        """Return a version with its model; the last four are kept, so that going back takes no time."""
        found = self._loaded.get(version.number)
        if found is None:
            found = Holder(version, self._workspace.scorer(version), self._workspace.project, verbose=self._verbose)
            self._loaded[version.number] = found
        self._loaded.move_to_end(version.number)
        while len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)
        return found
