"""API tokens on both databases: what is kept, what is told, and that a secret stands nowhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tenure.core.errors import ConfigError, RecordMissingError
from tenure.state.database import Database
from tenure.state.ledger import Ledger
from tenure.state.tables import API_TOKENS, EVENTS
from tenure.state.times import micros
from tenure.state.tokens import PREFIX, ApiToken, TokenRole, Tokens

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(database: Database, clock: Any) -> Ledger:
    return Ledger(database, clock)


@pytest.fixture
def tokens(database: Database, ledger: Ledger, clock: Any) -> Tokens:
    return Tokens(database, ledger, clock)


def test_a_token_is_found_again_by_the_hash_of_its_secret_only(tokens: Tokens, database: Database) -> None:
    secret, token = tokens.add("shop", [TokenRole.OUTCOMES, TokenRole.PREDICT], actor="ada", lasts=HOUR)
    assert tokens.all() == [token]
    assert token.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert token.roles == (TokenRole.PREDICT, TokenRole.OUTCOMES)
    with database.read() as connection:
        row = connection.execute(select(API_TOKENS)).one()
    assert row.role == "predict,outcomes"
    assert row.last4 == secret[-4:]
    assert secret.removeprefix(PREFIX) not in str(row)


def test_secrets_are_256_random_bits_that_a_url_may_hold(tokens: Tokens) -> None:
    secrets = {tokens.add(f"t{number}", [TokenRole.READ], actor="ada")[0] for number in range(20)}
    assert len(secrets) == 20
    for secret in secrets:
        assert secret.startswith(PREFIX)
        assert len(secret.removeprefix(PREFIX)) == 43
        assert secret.replace("_", "").replace("-", "").isalnum()


def test_issue_and_revocation_are_in_the_ledger_without_the_secret(
    tokens: Tokens, ledger: Ledger, database: Database
) -> None:
    secret, token = tokens.add("shop", [TokenRole.PREDICT], actor="ada", lasts=HOUR)
    tokens.revoke("shop", actor="bob")
    added, revoked = ledger.events()
    assert (added.kind, added.actor, revoked.kind, revoked.actor) == ("token-added", "ada", "token-revoked", "bob")
    assert added.data["token"] == revoked.data["token"] == "shop"
    with database.read() as connection:
        said = str(connection.execute(select(EVENTS)).all())
    assert secret[4:-4] not in said
    assert token.hash not in said
    assert ledger.verify() == 2


def test_a_token_lives_until_it_expires_or_is_revoked(tokens: Tokens, clock: Any) -> None:
    tokens.add("short", [TokenRole.READ], actor="ada", lasts=HOUR)
    tokens.add("long", [TokenRole.READ], actor="ada")

    def states() -> dict[str, str]:
        return {token.name: token.state(micros(clock())) for token in tokens.all()}

    assert states() == {"short": "live", "long": "live"}
    clock.advance(HOUR.total_seconds() - 1e-6)
    assert states()["short"] == "live"
    clock.advance(1e-6)
    assert states() == {"short": "expired", "long": "live"}
    assert tokens.revoke("long", actor="ada").revoked_us == micros(clock())
    assert states()["long"] == "revoked"


def test_revoking_again_changes_nothing(tokens: Tokens, ledger: Ledger, clock: Any) -> None:
    tokens.add("shop", [TokenRole.READ], actor="ada")
    first = tokens.revoke("shop", actor="ada")
    clock.advance(60)
    assert tokens.revoke("shop", actor="bob") == first
    assert len(ledger.events(kind="token-revoked")) == 1


def test_a_name_is_used_once_even_after_revocation(tokens: Tokens, ledger: Ledger) -> None:
    tokens.add("shop", [TokenRole.READ], actor="ada")
    tokens.revoke("shop", actor="ada")
    with pytest.raises(ConfigError, match="There is or was a token 'shop'"):
        tokens.add("shop", [TokenRole.ADMIN], actor="ada")
    assert len(ledger.events()) == 2
    with pytest.raises(RecordMissingError) as caught:
        tokens.revoke("shp", actor="ada")
    assert "shop" in caught.value.hint


@pytest.mark.parametrize("lasts", [timedelta(0), -HOUR, timedelta.max])
def test_a_token_that_lasts_no_time_or_for_ages_is_refused(tokens: Tokens, lasts: timedelta) -> None:
    with pytest.raises(ConfigError, match="lasts longer than nothing"):
        tokens.add("shop", [TokenRole.READ], actor="ada", lasts=lasts)
    with pytest.raises(ConfigError, match="needs a role"):
        tokens.add("shop", [], actor="ada")
    assert tokens.all() == []


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a\n", "é", "a" * 81, "a,b"])
def test_what_is_no_name_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a token"):
        tokens.add(name, [TokenRole.READ], actor="ada")


def test_a_secret_given_as_a_name_does_not_come_back_in_the_message(tokens: Tokens) -> None:
    secret, _ = tokens.add("shop", [TokenRole.READ], actor="ada")
    asks: list[Callable[[], object]] = [
        lambda: tokens.revoke(secret, actor="ada"),
        lambda: tokens.add(secret, [TokenRole.READ], actor="ada"),
    ]
    for ask in asks:
        with pytest.raises(ConfigError) as caught:
            ask()
        assert secret[4:12] not in str(caught.value.as_dict())


@given(created=st.integers(0, 10**15), expires=st.none() | st.integers(0, 10**15), now=st.integers(0, 10**15))
def test_a_revoked_token_is_never_live(created: int, expires: int | None, now: int) -> None:
    token = ApiToken("i", "n", (TokenRole.READ,), "h", created, expires, created, "last")
    assert token.state(now) == "revoked"
