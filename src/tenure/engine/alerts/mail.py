"""Send a message by e-mail: plain text and HTML, over TLS."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from tenure.core.errors import ConfigError
from tenure.core.secrets import is_secret, with_secrets
from tenure.engine.alerts.answer import Answer, Way
from tenure.engine.alerts.bulletin import Bulletin, html, subject, text

_SECONDS: Final = 10.0
_PORTS: Final = {"smtp": 587, "smtps": 465}
_PLACE: Final = "alerts.smtp"


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """Where mail is handed in. `tls` says whether TLS comes first (smtps) or is asked for (smtp)."""

    host: str
    port: int
    tls_first: bool
    user: str | None = None
    password: str | None = None

    @classmethod
    def from_text(cls, given: str) -> MailServer:
        """Read what the project file says of the mail server, with secrets from the environment.

        Raises:
            SecretMissingError: a named variable is not set.
            ConfigError: it is no address of a mail server.
        """
        whole = with_secrets(given, where=_PLACE).strip() if is_secret(given) else given
        try:
            parts = urlsplit(whole)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            parts, port = urlsplit(""), 0
        if not parts.hostname:
            raise ConfigError(
                "That is no address of a mail server.",
                where=_PLACE,
                hint="Write smtps://USER:${NAME}@HOST:465, or smtp://USER:${NAME}@HOST:587 for STARTTLS.",
            )
        user, password = (_part(part) for part in (parts.username, parts.password))
        return cls(parts.hostname, port, parts.scheme == "smtps", user, password)

    @property
    def is_near(self) -> bool:
        """Say whether it is on this machine, so that nobody listens on the way."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _part(text: str | None) -> str | None:
    """A secret is taken as it is, so that a password may hold any sign; what stands in a URL is percent-encoded."""
    if text is None or is_secret(text):
        return None if text is None else with_secrets(text, where=_PLACE)
    return unquote(text)


@dataclass(frozen=True, slots=True, repr=False)
class Mailbox:
    """The people who get e-mails, and the server that takes them."""

    server: MailServer
    sender: str
    to: tuple[str, ...]

    def send(self, bulletin: Bulletin) -> Answer:
        """Hand in one e-mail for all; a password, and mail to another machine, go over TLS only."""
        try:
            return self._hand_in(email_of(bulletin, sender=self.sender, to=self.to))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            said = f"no recipient was accepted ({', '.join(map(str, sorted(set(codes))))})"
            return Answer(Way.LATER if any(code < 500 for code in codes) else Way.NEVER, said)
        except smtplib.SMTPAuthenticationError as error:
            return Answer(Way.LATER, f"{error.smtp_code}: user or password are refused", self._clean(error.smtp_error))
        except smtplib.SMTPResponseException as error:
            way = Way.NEVER if 500 <= error.smtp_code < 600 else Way.LATER
            return Answer(way, f"the mail server refused ({error.smtp_code})", self._clean(error.smtp_error))
        except smtplib.SMTPNotSupportedError:
            return Answer(Way.LATER, "the mail server offers no STARTTLS or no login")
        except smtplib.SMTPException as error:
            return Answer(Way.LATER, f"the mail server broke off ({type(error).__name__})")
        except TimeoutError:
            return Answer(Way.LATER, "it did not answer in time")
        except ssl.SSLCertVerificationError as error:
            return Answer(Way.LATER, f"its certificate is not trusted: {error.verify_message}")
        except OSError as error:
            return Answer(Way.LATER, error.strerror or type(error).__name__)
        except ValueError:  # its text may hold the password
            return Answer(Way.LATER, "the host, the user or the password hold signs that cannot be sent")

    def _hand_in(self, email: EmailMessage) -> Answer:
        server, context = self.server, ssl.create_default_context()
        name = socket.gethostname()  # asking for the full name may wait for a DNS server that is away
        connection: smtplib.SMTP
        if server.tls_first:
            connection = smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=name, timeout=_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, local_hostname=name, timeout=_SECONDS)
        with connection:
            connection.ehlo()
            if not server.tls_first and (connection.has_extn("starttls") or not server.is_near):
                connection.starttls(context=context)
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
            refused = connection.send_message(email)
        left = f"; refused for {', '.join(sorted(refused))}" if refused else ""
        return Answer(Way.SENT, f"accepted for {len(self.to) - len(refused)} of {len(self.to)}{left}")

    def _clean(self, said: bytes | str) -> str:
        told = said.decode(errors="replace") if isinstance(said, bytes) else said
        password = self.server.password
        return " ".join(told.split()) if not password else " ".join(told.replace(password, "***").split())


def email_of(bulletin: Bulletin, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the e-mail of a message; sent again, it has the same Message-ID."""
    email = EmailMessage()
    email["Subject"] = subject(bulletin)
    email["From"] = sender
    email["To"] = ", ".join(to)
    email["Date"] = format_datetime(datetime.fromisoformat(bulletin.at))
    email["Message-ID"] = f"<{bulletin.id}@{sender.rsplit('@', 1)[-1]}>"
    email["Auto-Submitted"] = "auto-generated"
    email.set_content(text(bulletin))
    email.add_alternative(html(bulletin), subtype="html")
    return email
