"""The ways to people that a project file names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from tenure.core.alerts import AlertsSection
from tenure.core.errors import ConfigError
from tenure.core.project import Project
from tenure.core.secrets import is_secret, with_secrets
from tenure.engine.alerts.answer import Answer, Way
from tenure.engine.alerts.bulletin import Bulletin
from tenure.engine.alerts.mail import Mailbox, MailServer
from tenure.engine.alerts.webhook import Webhook
from tenure.state.outbox import Address

WEBHOOK: Final = "webhook"
EMAIL: Final = "e-mail"


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people: its address in the outbox, a label that holds no secret, and how to send."""

    address: Address
    label: str
    _send: Callable[[Bulletin, datetime], Answer]

    def send(self, bulletin: Bulletin, now: datetime) -> Answer:
        """Send one message; what is missing in the environment or wrong in the project file may be mended yet."""
        try:
            return self._send(bulletin, now)
        except ConfigError as error:
            return Answer(Way.LATER, error.message)


def channels_of(project: Project) -> tuple[Channel, ...]:
    """Return the ways that the project file names; secrets are looked up only when something is sent."""
    alerts = project.alerts
    hooks = [
        Channel(Address(WEBHOOK, str(number)), _shown(url), partial(_call, alerts, url))
        for number, url in enumerate(alerts.webhooks, start=1)
    ]
    if alerts.mailboxes:
        hooks.append(Channel(Address(EMAIL, "1"), ", ".join(alerts.mailboxes), partial(_mail, alerts)))
    return tuple(hooks)


def _call(alerts: AlertsSection, url: str, bulletin: Bulletin, now: datetime) -> Answer:
    secret = alerts.webhook_secret
    key = None if secret is None else with_secrets(secret, where="alerts.webhook_secret").strip()
    return Webhook(with_secrets(url, where="alerts.webhook").strip(), key).send(bulletin, now=now.timestamp())


def _mail(alerts: AlertsSection, bulletin: Bulletin, _: datetime) -> Answer:
    server = MailServer.from_text(alerts.smtp or "")
    user = server.user if server.user is not None and "@" in server.user else None
    sender = alerts.email_from or user or f"tenure@{server.host}"
    return Mailbox(server, sender, alerts.mailboxes).send(bulletin)


def _shown(url: str) -> str:
    """Return what may be seen of a webhook: its path is often a secret."""
    if is_secret(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/..."
