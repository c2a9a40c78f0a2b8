"""API tokens: who may ask the server for what. A secret is shown once and kept only as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Row, insert, select, update

from tenure.core.errors import ConfigError, RecordMissingError, did_you_mean
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Ledger
from tenure.state.tables import API_TOKENS
from tenure.state.times import iso, micros

PREFIX: Final = "tnr_"
"""Lets people and scanners of source code see what such a text is."""
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_LONGEST: Final = timedelta(days=36_525)


class TokenRole(StrEnum):
    """What a token may do; one may have several roles."""

    PREDICT = "predict"
    """Ask for predictions and explanations, and for what a row must hold."""
    OUTCOMES = "outcomes"
    """Tell what came true."""
    READ = "read"
    """Look at schema, documents, metadata and metrics."""
    ADMIN = "admin"
    """All of it."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is kept of a token: `hash` is the SHA-256 of its secret in hex; times are microseconds since 1970."""

    id: str
    name: str
    roles: tuple[TokenRole, ...]
    hash: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None
    last4: str

    def state(self, now_us: int) -> str:
        """Return live, expired or revoked."""
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and self.expires_us <= now_us else "live"


def hash_of(secret: bytes) -> str:
    """Return what is kept of a secret: its SHA-256 in hex.

    A slow hash with salt is for passwords, which can be guessed; nobody guesses 256 random bits, and the server must
    hash the token of every request.
    """
    return hashlib.sha256(secret).hexdigest()


class Tokens:
    """Issues and revokes tokens, each in one transaction with its ledger event."""

    def __init__(self, db: Database, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock

    def add(
        self, name: str, roles: Iterable[TokenRole], *, actor: str, lasts: timedelta | None = None
    ) -> tuple[str, ApiToken]:
        """Issue a token, for ever or as long as `lasts`; return its secret, which is kept nowhere, and the token.

        Raises:
            ConfigError: the name is taken (also by a revoked token) or cannot be one, or there is no role or time.
        """
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = self._clock()
        token = ApiToken(
            id=uuid.uuid4().hex,
            name=_checked(name),
            roles=_in_order(roles),
            hash=hash_of(secret.encode()),
            created_us=micros(now),
            expires_us=None if lasts is None else micros(now + _believable(lasts)),
            revoked_us=None,
            last4=secret[-4:],
        )
        with self._db.begin(lock=LOCK) as connection:
            if connection.execute(select(API_TOKENS.c.id).where(API_TOKENS.c.name == name)).one_or_none():
                raise ConfigError(
                    f"There is or was a token {name!r}.",
                    where=name,
                    hint="Choose another name, so that the ledger says one thing of each: tenure token list",
                )
            self._ledger.append(
                "token-added",
                actor=actor,
                reason=f"The token {name} may do: {', '.join(token.roles)}.",
                data=_told(token),
                connection=connection,
            )
            connection.execute(insert(API_TOKENS).values(_row(token)))
        return secret, token

    def revoke(self, name: str, *, actor: str) -> ApiToken:
        """Make a token useless for ever; one that was revoked before stays as it is.

        Raises:
            RecordMissingError: there is no such token.
            ConfigError: no token can have that name.
        """
        _checked(name)
        with self._db.begin(lock=LOCK) as connection:
            known = {row.name: _token(row) for row in connection.execute(select(API_TOKENS))}
            if name not in known:
                raise RecordMissingError(f"There is no token {name!r}.", where=name, hint=did_you_mean(name, known))
            if known[name].revoked_us is not None:
                return known[name]
            self._ledger.append(
                "token-revoked",
                actor=actor,
                reason=f"The token {name} may do nothing any more.",
                data=_told(known[name]),
                connection=connection,
            )
            revoked = {"revoked_us": micros(self._clock())}
            connection.execute(update(API_TOKENS).where(API_TOKENS.c.name == name).values(revoked))
            return _token(connection.execute(select(API_TOKENS).where(API_TOKENS.c.name == name)).one())

    def all(self) -> list[ApiToken]:
        """Return every token that was ever issued, oldest first."""
        query = select(API_TOKENS).order_by(API_TOKENS.c.created_us, API_TOKENS.c.name)
        with self._db.read() as connection:
            return [_token(row) for row in connection.execute(query)]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith(PREFIX):  # a secret in its place must not come back in a message
        raise ConfigError(
            "That is no name for a token.",
            where="name",
            hint="Name who uses it: letters, digits, dot, dash and underscore, at most 80, such as web-shop.",
        )
    return name


def _in_order(roles: Iterable[TokenRole]) -> tuple[TokenRole, ...]:
    wanted = set(roles)
    if not wanted:
        raise ConfigError("A token needs a role.", where="role", hint=did_you_mean("", TokenRole))
    return tuple(role for role in TokenRole if role in wanted)


def _believable(lasts: timedelta) -> timedelta:
    if not timedelta(0) < lasts <= _LONGEST:
        raise ConfigError(
            "A token lasts longer than nothing and at most a hundred years.",
            where="expires",
            hint="Write for example 90d, or leave it out for a token that never expires.",
        )
    return lasts


def _told(token: ApiToken) -> dict[str, object]:
    expires = None if token.expires_us is None else iso(token.expires_us)
    return {"token": token.name, "roles": list(token.roles), "expires": expires, "last4": token.last4}


def _row(token: ApiToken) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "role": ",".join(token.roles),
        "hash": token.hash,
        "created_us": token.created_us,
        "expires_us": token.expires_us,
        "revoked_us": token.revoked_us,
        "last4": token.last4,
    }


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    content = dict(row._mapping)
    roles = tuple(TokenRole(role) for role in content.pop("role").split(","))
    return ApiToken(roles=roles, **content)
