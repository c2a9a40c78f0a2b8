"""Send the messages that are due: again after a while where that fails, and no more after a day and five tries."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tenure.engine.alerts.answer import Answer, Way
from tenure.engine.alerts.bulletin import Bulletin
from tenure.engine.alerts.channels import Channel, channels_of
from tenure.engine.approvals import is_wanted, link_for
from tenure.engine.workspace import Workspace
from tenure.state.outbox import Message, Outbox
from tenure.state.times import micros

_FIRST_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 3600.0
_GIVE_UP_SECONDS: Final = 86_400.0
_FEWEST_TRIES: Final = 5
"""A message may be old before it is tried at all: a machine that slept must not lose its pages."""
_PATIENCE_SECONDS: Final = 30.0
_GONE: Final = "the project file does not name it any more"
_TEST_ID: Final = "msg_test"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one message: to whom it went, and whether it was sent, is tried later, or is given up."""

    message: str
    channel: str
    label: str
    way: Way
    said: str


def deliver(workspace: Workspace, *, chance: Callable[[], float] = random.random) -> tuple[Delivery, ...]:
    """Send what is due and return what came of it; call it after each look.

    Nothing is raised for a channel that fails: its message is tried again, and a message that is given up is noted
    in the ledger. `chance` gives numbers from 0 to 1, so that many projects do not try again at the same moment.
    """
    outbox = Outbox(workspace.database, workspace.ledger, workspace.context.clock)
    channels = {channel.address: channel for channel in channels_of(workspace.project)}
    done: list[Delivery] = []
    patience = workspace.context.deadline(_PATIENCE_SECONDS)  # dead channels must not keep a watcher from looking
    while not patience.passed and (message := outbox.claim()) is not None:
        delivery = _delivered(workspace, outbox, message, channels.get(message.address), chance)
        if delivery.way is not Way.SENT:
            outcome = "is tried again later" if delivery.way is Way.LATER else "is given up"
            workspace.context.log.note(
                f"A message by {delivery.channel} to {delivery.label} {outcome}: {delivery.said}"
            )
        done.append(delivery)
    return tuple(done)


def _delivered(
    workspace: Workspace, outbox: Outbox, message: Message, channel: Channel | None, chance: Callable[[], float]
) -> Delivery:
    context = workspace.context
    label = f"{message.channel} {message.target}" if channel is None else channel.label
    answer = Answer(Way.NEVER, _GONE)
    if channel is not None:
        answer = _sent(workspace, channel, Bulletin.of(message, workspace.project.project.name))
    age = (micros(context.clock()) - message.created_us) / 1e6
    is_spent = age >= _GIVE_UP_SECONDS and message.tries >= _FEWEST_TRIES
    way = Way.NEVER if answer.way is Way.LATER and is_spent else answer.way
    if way is Way.SENT:
        outbox.sent(message, answer.said)
    elif way is Way.LATER:
        outbox.later(message, answer.said, seconds=_wait(message.tries, chance()))
    else:
        outbox.lost(message, answer.said, label=label, actor=context.actor)
    return Delivery(message.id, message.channel, label, way, answer.said)


def _sent(workspace: Workspace, channel: Channel, bulletin: Bulletin) -> Answer:
    """Send a message; a link that answers a proposal is made for each try, so that its secret is kept nowhere."""
    if bulletin.proposal is not None:
        label = bulletin.proposal["id"]
        if not is_wanted(workspace, label):
            return Answer(Way.SENT, f"not sent: {label} waits no more")
        bulletin = replace(bulletin, link=link_for(workspace, label, to=channel.address.channel))
    return channel.send(bulletin, workspace.context.clock())


def _wait(tries: int, chance: float) -> float:
    """Return how long to wait after so many tries: doubled each time, up to an hour, half to one and a half of it."""
    return min(_FIRST_WAIT * 2.0 ** min(tries - 1, 20), _LONGEST_WAIT) * (0.5 + chance)


def try_channels(workspace: Workspace) -> list[tuple[Channel, Answer]]:
    """Send a test message through each channel at once, and return what the other sides answered."""
    now = workspace.context.clock()
    bulletin = Bulletin(f"{_TEST_ID}_{micros(now)}", workspace.project.project.name, now.isoformat(), None, ())
    return [(channel, channel.send(bulletin, now)) for channel in channels_of(workspace.project)]
