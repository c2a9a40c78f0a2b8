"""`[alerts]`: who is told of alarms, and how. Nothing here changes a model."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from tenure.core.secrets import is_secret
from tenure.core.section import Duration, Section

_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+")


class AlertsSection(Section):
    """`[alerts]`: who is told when a person is needed."""

    webhook: str | list[str] = Field(
        default_factory=list, repr=False, description="URLs that get a signed CloudEvent: ${NAME}, or https://..."
    )
    webhook_secret: str | None = Field(
        None,
        repr=False,
        examples=["${HOOK_SECRET}"],
        description="What they are signed with; ${NAME} only. Left out: they are not signed.",
    )
    email_to: str | list[str] = Field(default_factory=list, description="Addresses that get an e-mail.")
    email_from: str | None = Field(
        None,
        examples=["models@shop.example"],
        description="Sender; left out: the user of smtp, where that is an address.",
    )
    smtp: str | None = Field(
        None,
        repr=False,
        examples=["smtps://models:${SMTP_PASSWORD}@mail.shop.example:465"],
        description="The mail server: smtps://USER:${NAME}@HOST:465, or smtp:// for STARTTLS.",
    )
    notices: bool = Field(False, description="Also tell of what pages nobody: changes that did no harm so far.")
    repeat_after: Duration = Field(
        86_400.0,
        json_schema_extra={"default": "1d"},
        ge=60,
        description="How long until an open alarm that nobody acknowledged is told again.",
    )

    @property
    def webhooks(self) -> tuple[str, ...]:
        """Return the URLs as they stand in the file."""
        return _listed(self.webhook)

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Return the addresses that get an e-mail."""
        return _listed(self.email_to)

    @model_validator(mode="after")
    def _can_be_sent(self) -> AlertsSection:
        """No message shows a value: a URL is often a secret by itself."""
        for url in self.webhooks:
            if not is_secret(url) and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
                raise ValueError("each webhook is ${NAME}, or a URL that begins with https:// or http://")
        if self.webhook_secret is not None and not is_secret(self.webhook_secret):
            raise ValueError('webhook_secret comes from the environment: webhook_secret = "${NAME}"')
        if self.smtp is not None and not is_secret(self.smtp):
            _check_mail_server(self.smtp)
        for address in (*self.mailboxes, *([] if self.email_from is None else [self.email_from])):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} is not an address such as ann@shop.example")
        if self.mailboxes and self.smtp is None:
            raise ValueError('email_to needs a mail server: smtp = "smtps://USER:${NAME}@HOST:465"')
        return self


def _listed(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check_mail_server(text: str) -> None:
    server = urlsplit(text)
    try:
        fits = server.scheme in ("smtp", "smtps") and bool(server.hostname) and (server.port is None or server.port > 0)
    except ValueError:  # a port that is no number
        fits = False
    if not fits or server.path not in ("", "/") or server.query:
        raise ValueError("smtp is smtps://USER:${NAME}@HOST:PORT or smtp://..., or ${NAME} for all of it")
    if server.password and not is_secret(server.password):
        raise ValueError("the password of smtp comes from the environment: smtps://USER:${NAME}@HOST:465")
