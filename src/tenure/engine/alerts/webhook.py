"""Send a message to a webhook: one CloudEvent (1.0, structured JSON), signed as Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

import tenure
from tenure.core.alarms import AlarmChange
from tenure.engine.alerts.answer import Answer, Way
from tenure.engine.alerts.bulletin import Bulletin, command_for, commands_of
from tenure.engine.alerts.sightings import CHECK, DRIFT, ESTIMATE, FEED, OUTCOMES, PERFORMANCE, TRAFFIC

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_TYPES: Final = {
    FEED: "io.tenure.data.violation",
    TRAFFIC: "io.tenure.data.violation",
    OUTCOMES: "io.tenure.data.violation",
    DRIFT: "io.tenure.drift.detected",
    PERFORMANCE: "io.tenure.performance.realized",
    ESTIMATE: "io.tenure.performance.estimated",
    CHECK: "io.tenure.check.broken",
}
RESOLVED_TYPE: Final = "io.tenure.alarm.resolved"
TEST_TYPE: Final = "io.tenure.alarm.test"
PROPOSED_TYPE: Final = "io.tenure.act.proposed"
_BASE64_SECRET: Final = "whsec_"
_SHOWN_BYTES: Final = 300
_TRY_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


def cloud_event(bulletin: Bulletin) -> dict[str, Any]:
    """Return the event of a message: its type is that of the first alarm, or says that all ended or what is asked."""
    version = "" if bulletin.version is None else f"/versions/{bulletin.version}"
    alarms = [alarm | {"acknowledge": command_for(alarm)} for alarm in bulletin.alarms]
    return {
        "specversion": "1.0",
        "id": bulletin.id,
        "source": f"/projects/{quote(bulletin.project)}",
        "type": _type(bulletin),
        "subject": f"{bulletin.project}{version}",
        "time": bulletin.at,
        "datacontenttype": "application/json",
        "data": {"headline": bulletin.headline, "alarms": alarms} | _question(bulletin),
    }


def _question(bulletin: Bulletin) -> dict[str, Any]:
    if bulletin.proposal is None:
        return {}
    return {"proposal": bulletin.proposal | commands_of(bulletin.proposal), "approve_url": bulletin.link}


def _type(bulletin: Bulletin) -> str:
    if bulletin.proposal is not None:
        return PROPOSED_TYPE
    if bulletin.is_test:
        return TEST_TYPE
    going_on = [alarm for alarm in bulletin.alarms if alarm["change"] != AlarmChange.RESOLVED]
    return _TYPES[going_on[0]["kind"]] if going_on else RESOLVED_TYPE


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`: "v1," and HMAC-SHA256 of "id.timestamp.body" in base64.

    A secret that begins with `whsec_` holds its key in base64, any other is the key itself.
    """
    key = secret.encode()
    if secret.startswith(_BASE64_SECRET):
        try:
            key = base64.b64decode(secret.removeprefix(_BASE64_SECRET), validate=True)
        except binascii.Error:
            key = secret.encode()
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """One webhook. `url` and `secret` are as they are used, so they are never shown."""

    url: str
    secret: str | None
    patience_seconds: float = 10.0

    def send(self, bulletin: Bulletin, *, now: float) -> Answer:
        """Send one event; `now` is seconds since 1970. Certificates are checked, redirects are not followed."""
        if urlsplit(self.url).scheme not in ("http", "https"):
            return Answer(Way.LATER, "that is no URL that begins with https:// or http://")
        body = json.dumps(cloud_event(bulletin), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(now)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": f"tenure/{tenure.__version__}",
            "webhook-id": bulletin.id,
            "webhook-timestamp": str(timestamp),
        }
        if self.secret is not None:
            headers["webhook-signature"] = signature(self.secret, bulletin.id, timestamp, body)
        try:
            request = urllib.request.Request(self.url, body, headers, method="POST")
            with _opener().open(request, timeout=self.patience_seconds) as reply:
                return self._answered(reply.status, reply)
        except urllib.error.HTTPError as error:
            with error:
                return self._answered(error.code, error)
        except urllib.error.URLError as error:
            return Answer(Way.LATER, _in_words(error.reason))
        except OSError as error:
            return Answer(Way.LATER, _in_words(error))
        except (http.client.HTTPException, ValueError):  # its text may hold the URL
            return Answer(Way.LATER, "that is no URL that can be called, or no HTTP that came back")

    def _answered(self, code: int, reply: IO[bytes]) -> Answer:
        said = f"{code} {_phrase(code)}".strip()
        detail = self._without_address(_beginning(reply))
        if code < 300:
            return Answer(Way.SENT, said, detail)
        if code < 400:
            return Answer(
                Way.NEVER, f"{said}; redirects are not followed, so write the address that it leads to", detail
            )
        return Answer(Way.LATER if code >= 500 or code in _TRY_AGAIN else Way.NEVER, said, detail)

    def _without_address(self, text: str) -> str:
        """Many servers repeat the path that was asked for, and a path is often the secret."""
        parts = urlsplit(self.url)
        for secret in (self.url, parts.path.strip("/"), parts.query, self.secret or ""):
            text = text.replace(secret, "***") if secret else text
        return text


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context()))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who may send us elsewhere may send what we say elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _beginning(reply: IO[bytes]) -> str:
    try:
        return " ".join(reply.read(_SHOWN_BYTES).decode(errors="replace").split())
    except (OSError, http.client.HTTPException):
        return ""


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _in_words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    if isinstance(reason, OSError):
        return reason.strerror or type(reason).__name__
    return "the connection failed"
