"""The guard: who gets in, who does not, and that it needs the database only now and then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.errors import ConfigError, ForbiddenError, StateUnreachableError, UnauthorizedError
from tenure.serving.security import (
    ANYONE,
    DESCRIBE,
    ENVIRONMENT,
    OUTCOMES,
    PREDICT,
    READ,
    TOKEN_VARIABLE,
    Guard,
    environment_token,
    is_loopback,
    may_bind,
)
from tenure.state.tokens import ApiToken, TokenRole, hash_of

ADMIN = frozenset({TokenRole.ADMIN})
SECRET = b"tnr_right-horse-battery-staple-and-some-more"
NOW = 1_000_000
AWAY = StateUnreachableError("The state database does not answer.", hint="Try again.")


def _token(
    *roles: TokenRole,
    secret: bytes = SECRET,
    name: str = "shop",
    expires: int | None = None,
    revoked: int | None = None,
) -> ApiToken:
    return ApiToken("i", name, roles, hash_of(secret), 0, expires, revoked, secret[-4:].decode())


def _guard(*tokens: ApiToken) -> Guard:
    return Guard(lambda: tokens)


# ---- who gets in ----


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_a_token_of_the_right_role_opens_the_door(scheme: bytes) -> None:
    caller = _guard(_token(TokenRole.PREDICT)).check(scheme + SECRET, PREDICT, NOW)
    assert caller.name == "shop"
    assert caller.roles == PREDICT


def test_the_key_header_does_as_well() -> None:
    guard = _guard(_token(TokenRole.PREDICT))
    assert guard.check(None, PREDICT, NOW, api_key=SECRET).name == "shop"
    assert guard.check(b"Basic YTpi", PREDICT, NOW, api_key=SECRET).name == "shop"
    with pytest.raises(UnauthorizedError):  # a bearer token comes first
        guard.check(b"Bearer other", PREDICT, NOW, api_key=SECRET)


@pytest.mark.parametrize("need", [PREDICT, OUTCOMES, READ, DESCRIBE, ADMIN])
@pytest.mark.parametrize("role", list(TokenRole))
def test_a_role_opens_its_own_doors_and_admin_all(role: TokenRole, need: frozenset[TokenRole]) -> None:
    guard = _guard(_token(role))
    if role in need or role is TokenRole.ADMIN:
        assert guard.check(b"Bearer " + SECRET, need, NOW).name == "shop"
    else:
        with pytest.raises(ForbiddenError) as refused:
            guard.check(b"Bearer " + SECRET, need, NOW)
        assert all(name in refused.value.hint for name in need)


def test_a_token_may_have_several_roles() -> None:
    guard = _guard(_token(TokenRole.PREDICT, TokenRole.OUTCOMES))
    for need in (PREDICT, OUTCOMES, DESCRIBE):
        assert guard.check(b"Bearer " + SECRET, need, NOW).name == "shop"
    with pytest.raises(ForbiddenError):
        guard.check(b"Bearer " + SECRET, READ, NOW)


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="tenure"'),
        (b"", 'Bearer realm="tenure"'),
        (b"Bearer ", 'Bearer realm="tenure"'),
        (b"Basic " + SECRET, 'Bearer realm="tenure"'),
        (SECRET, 'Bearer realm="tenure"'),
        (b"Bearer " + b"x" * 100_000, 'Bearer realm="tenure"'),
        (b"Bearer " + SECRET[:-1], 'Bearer realm="tenure", error="invalid_token"'),
        (b"Bearer " + SECRET + b"x", 'Bearer realm="tenure", error="invalid_token"'),
        (b"Bearer " + hash_of(SECRET).encode(), 'Bearer realm="tenure", error="invalid_token"'),
    ],
)
def test_anything_else_is_refused_with_a_challenge(authorization: bytes | None, challenge: str) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        _guard(_token(TokenRole.ADMIN)).check(authorization, PREDICT, NOW)
    assert refused.value.challenge == challenge
    assert SECRET.decode() not in str(refused.value.as_dict())


@given(st.binary(max_size=200))
def test_no_other_header_opens_the_door(header: bytes) -> None:
    guard = _guard(_token(TokenRole.ADMIN))
    for sent in (header, b"Bearer " + header):
        with pytest.raises(UnauthorizedError):
            guard.check(sent, PREDICT, NOW, api_key=header)


def test_a_token_ends_when_it_expires_or_is_revoked() -> None:
    header = b"Bearer " + SECRET
    expiring = _guard(_token(TokenRole.PREDICT, expires=NOW))
    assert expiring.check(header, PREDICT, NOW - 1).name == "shop"
    with pytest.raises(UnauthorizedError, match="has expired"):
        expiring.check(header, PREDICT, NOW)
    with pytest.raises(UnauthorizedError, match="was revoked"):
        _guard(_token(TokenRole.PREDICT, revoked=1)).check(header, PREDICT, NOW)


def test_the_token_of_the_environment_may_do_all() -> None:
    guard = Guard(lambda: [_token(TokenRole.READ)], admin="s3cret")
    for need in (PREDICT, OUTCOMES, READ, ADMIN):
        assert guard.check(b"Bearer s3cret", need, NOW) == ENVIRONMENT
    with pytest.raises(ForbiddenError):
        guard.check(b"Bearer " + SECRET, PREDICT, NOW)


def test_blanks_in_the_environment_are_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, token in ((" s3cret\n", "s3cret"), ("  ", None), ("", None)):
        monkeypatch.setenv(TOKEN_VARIABLE, value)
        assert environment_token() == token
    monkeypatch.delenv(TOKEN_VARIABLE)
    assert environment_token() is None


# ---- without tokens ----


def test_on_loopback_everyone_gets_in_until_the_first_token() -> None:
    issued: list[ApiToken] = []
    guard = Guard(lambda: list(issued), open_without_tokens=True)
    assert guard.check(None, ADMIN, NOW) == ANYONE
    issued.append(_token(TokenRole.PREDICT))
    assert guard.refresh()
    with pytest.raises(UnauthorizedError):
        guard.check(None, PREDICT, NOW)


@pytest.mark.parametrize("ended", [_token(TokenRole.PREDICT, expires=1), _token(TokenRole.PREDICT, revoked=1)])
def test_the_door_stays_shut_when_the_last_token_has_ended(ended: ApiToken) -> None:
    guard = Guard(lambda: [ended], open_without_tokens=True)
    with pytest.raises(UnauthorizedError):
        guard.check(None, PREDICT, NOW)


def test_beyond_loopback_nobody_gets_in_without_a_token() -> None:
    with pytest.raises(UnauthorizedError):
        Guard(list).check(None, PREDICT, NOW)
    with pytest.raises(UnauthorizedError):
        Guard(list, admin="s3cret", open_without_tokens=True).check(None, PREDICT, NOW)


# ---- the database ----


def _failing(after: int, *tokens: ApiToken, fault: Exception = AWAY) -> Callable[[], list[ApiToken]]:
    """Return a loader that works `after` times."""
    asked = iter(range(after))

    def load() -> list[ApiToken]:
        if next(asked, None) is None:
            raise fault
        return list(tokens)

    return load


def test_checks_do_not_ask_the_database() -> None:
    guard = Guard(_failing(1, _token(TokenRole.PREDICT)))
    for _ in range(100):
        assert guard.check(b"Bearer " + SECRET, PREDICT, NOW).name == "shop"


@pytest.mark.parametrize("fault", [AWAY, OSError("gone"), ValueError("postgresql://u:hunter2@h/db")])
def test_while_the_database_is_away_the_last_known_tokens_count(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(_failing(1, _token(TokenRole.PREDICT), fault=fault))
    assert not guard.refresh()
    assert not guard.refresh()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hunter2" not in caplog.text
    assert guard.check(b"Bearer " + SECRET, PREDICT, NOW).name == "shop"
    with pytest.raises(UnauthorizedError):
        guard.check(b"Bearer other", PREDICT, NOW)


def test_a_server_that_could_never_ask_says_so_and_lets_nobody_in_but_the_environment() -> None:
    guard = Guard(_failing(0), admin="s3cret", open_without_tokens=True)
    assert guard.check(b"Bearer s3cret", ADMIN, NOW) == ENVIRONMENT
    with pytest.raises(StateUnreachableError):
        guard.check(b"Bearer " + SECRET, PREDICT, NOW)
    with pytest.raises(UnauthorizedError):
        guard.check(None, PREDICT, NOW)


def test_a_revocation_counts_from_the_next_reading() -> None:
    shelf = [_token(TokenRole.PREDICT)]
    guard = Guard(lambda: list(shelf))
    shelf[0] = _token(TokenRole.PREDICT, revoked=1)
    assert guard.check(b"Bearer " + SECRET, PREDICT, NOW).name == "shop"
    assert guard.refresh()
    with pytest.raises(UnauthorizedError, match="was revoked"):
        guard.check(b"Bearer " + SECRET, PREDICT, NOW)


# ---- where to bind ----


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    may_bind(host, has_token=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org", "", "127.0.0.1.example.org"])
def test_beyond_loopback_needs_a_token(host: str) -> None:
    may_bind(host, has_token=True)
    with pytest.raises(ConfigError, match="no token") as refused:
        may_bind(host, has_token=False)
    assert refused.value.where == "serving.host"
    assert "tenure token add" in refused.value.hint
