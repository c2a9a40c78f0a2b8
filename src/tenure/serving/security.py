"""Who may ask for what: bearer tokens held in memory, and where the server may bind without one."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tenure.core.errors import ConfigError, ForbiddenError, StateUnreachableError, TenureError, UnauthorizedError
from tenure.state.tokens import ApiToken, TokenRole

TOKEN_VARIABLE: Final = "TENURE_TOKEN"
"""The environment variable that holds one token of role admin."""
REFRESH_SECONDS: Final = 3.0
"""How often a server reads the tokens again: so long a revoked one may go on working."""
PREDICT: Final = frozenset({TokenRole.PREDICT})
OUTCOMES: Final = frozenset({TokenRole.OUTCOMES})
READ: Final = frozenset({TokenRole.READ})
DESCRIBE: Final = frozenset({TokenRole.PREDICT, TokenRole.READ})
"""For what tells how to ask: callers with a token for predictions need it too."""
_LOG: Final = logging.getLogger("tenure.serving")
_REALM: Final = 'Bearer realm="tenure"'
_LONGEST: Final = 1024
_ALL: Final = frozenset(TokenRole)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a token's name, and the roles that it has (`admin` has all)."""

    name: str
    roles: frozenset[TokenRole]


ANYONE: Final = Caller("anyone", _ALL)
"""Who asks a server on loopback for which no token was ever made."""
ENVIRONMENT: Final = Caller(TOKEN_VARIABLE, _ALL)
"""Who shows the token of the environment."""


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    caller: Caller
    expires_us: int | None
    revoked: bool

    def opens(self, now_us: int) -> bool:
        return not self.revoked and (self.expires_us is None or now_us < self.expires_us)


class Guard:
    """Checks tokens in memory; `refresh` reads them again, off the path of requests.

    `load` gives every token that was ever issued. While it fails, what was read last goes on counting. `admin` is the
    token of the environment. With `open_without_tokens` (loopback only) everyone may do all until there is a token.
    Once there is one, even a revoked one, the door stays shut. Safe to share between threads.
    """

    def __init__(
        self, load: Callable[[], Sequence[ApiToken]], *, admin: str | None = None, open_without_tokens: bool = False
    ) -> None:
        self._load = load
        self._admin = None if not admin else _Known(_digest(admin.encode()), ENVIRONMENT, None, revoked=False)
        self._open_without_tokens = open_without_tokens
        self._known: dict[bytes, _Known] | None = None
        self._is_stale = False
        self.refresh()

    @property
    def is_open(self) -> bool:
        """Say whether everyone may do all: on loopback, while there is no token."""
        return self._open_without_tokens and self._known is not None and not self._known

    def refresh(self) -> bool:
        """Read the tokens again, every `REFRESH_SECONDS` in a thread; say whether that went through."""
        try:
            known = {bytes.fromhex(token.hash): _known(token) for token in self._load()}
        except Exception as error:  # whatever stops this reading must not stop the next, which may hold a revocation
            if not self._is_stale:
                _LOG.warning("The tokens could not be read (%s); those known last go on working.", _why(error))
            self._is_stale = True
            return False
        self._is_stale = False
        if self._admin is not None:
            known[self._admin.digest] = self._admin
        self._known = known
        return True

    def check(
        self, authorization: bytes | None, need: frozenset[TokenRole], now_us: int, *, api_key: bytes | None = None
    ) -> Caller:
        """Return who asks, if one of the roles in `need` is theirs.

        `authorization` and `api_key` are the values of these headers; `now_us` is microseconds since 1970.

        Raises:
            UnauthorizedError: no token was shown, or one that is unknown, expired or revoked.
            ForbiddenError: the token has none of these roles.
            StateUnreachableError: no token could be read since the server started.
        """
        known = self._known
        if not known and known is not None and self._open_without_tokens:
            return ANYONE
        secret = api_key
        if authorization is not None and authorization[:7].lower() == b"bearer ":
            secret = authorization[7:].strip()
        if not secret or len(secret) > _LONGEST:
            raise UnauthorizedError(
                "No token was shown.",
                hint="Send it as 'Authorization: Bearer ...' or 'X-API-Key: ...'.",
                challenge=_REALM,
            )
        # Nobody can steer a SHA-256 towards that of a secret, so what the look-up's time tells is of no use.
        digest = _digest(secret)
        found = self._among(known, digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            raise _invalid("The token is not known.")
        if not found.opens(now_us):
            raise _invalid("The token was revoked." if found.revoked else "The token has expired.")
        if need.isdisjoint(found.caller.roles):
            raise ForbiddenError(
                f"The token {found.caller.name!r} does not allow this.",
                hint=f"Ask for a token with the role {' or '.join(sorted(need))}.",
            )
        return found.caller

    def _among(self, known: dict[bytes, _Known] | None, digest: bytes) -> _Known | None:
        if known is not None:
            return known.get(digest)
        if self._admin is not None and hmac.compare_digest(self._admin.digest, digest):
            return self._admin
        raise StateUnreachableError(
            "The tokens could not be read yet.", hint="Try again in a few seconds; the server's state does not answer."
        )


def environment_token() -> str | None:
    """Return the token of the environment, None where there is none."""
    return os.environ.get(TOKEN_VARIABLE, "").strip() or None


def may_bind(host: str, *, has_token: bool) -> None:
    """Accept an address on loopback, or any where a live token guards the door.

    Raises:
        ConfigError: other machines can reach the address, and there is no token.
    """
    if not has_token and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and there is no token.",
            where="serving.host",
            hint=f"Make one: tenure token add NAME --role predict (or set {TOKEN_VARIABLE}), or bind to 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _digest(secret: bytes) -> bytes:
    """Return the bytes of `hash_of`."""
    return hashlib.sha256(secret).digest()


def _known(token: ApiToken) -> _Known:
    caller = Caller(token.name, _ALL if TokenRole.ADMIN in token.roles else frozenset(token.roles))
    return _Known(bytes.fromhex(token.hash), caller, token.expires_us, token.revoked_us is not None)


def _why(error: Exception) -> str:
    """Return a fault in words that hold no secret: a driver's own may."""
    return error.message if isinstance(error, TenureError) else type(error).__name__


def _invalid(message: str) -> UnauthorizedError:
    return UnauthorizedError(
        message, hint="Issue another with: tenure token add", challenge=f'{_REALM}, error="invalid_token"'
    )
