"""Stretches of time that nothing is learned from: kept in the ledger, added once, taken back for a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tenure.core.errors import ConfigError, RecordMissingError
from tenure.state.database import Database
from tenure.state.exclusions import Exclusions, Period
from tenure.state.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


def days(first: int, last: int) -> Period:
    return Period.between(START + timedelta(days=first), START + timedelta(days=last))


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, lambda: START)


@pytest.fixture
def exclusions(database: Database, ledger: Ledger) -> Exclusions:
    return Exclusions(database, ledger)


def test_what_was_excluded_is_found_again_with_its_cause(exclusions: Exclusions, ledger: Ledger) -> None:
    added = exclusions.add(days(3, 5), cause="labels were poisoned", actor="ada")
    assert exclusions.active() == (added,)
    assert (added.period, added.cause, added.by, added.actor) == (days(3, 5), "labels were poisoned", "person", "ada")
    assert ledger.verify() == 1


def test_the_same_stretch_is_excluded_once(exclusions: Exclusions, ledger: Ledger) -> None:
    first = exclusions.add(days(3, 5), cause="one", actor="ada")
    assert exclusions.add(days(3, 5), cause="two", actor="bob") == first
    assert exclusions.add(days(3, 6), cause="three", actor="bob") != first
    assert ledger.verify() == 2


def test_what_was_taken_back_is_remembered_and_may_be_excluded_again(exclusions: Exclusions, ledger: Ledger) -> None:
    first = exclusions.add(days(3, 5), cause="one", actor="ada")
    gone = exclusions.undo(first.number, reason="it was right", actor="bob")
    assert (gone.undone, gone.undone_by, exclusions.active()) == ("it was right", "person", ())
    assert exclusions.undo(first.number, reason="again", actor="bob") == gone
    again = exclusions.add(days(3, 5), cause="no, it was not", actor="ada")
    assert exclusions.active() == (again,)
    assert [one.undone for one in exclusions.all()] == ["it was right", None]
    assert ledger.verify() == 3


def test_a_stretch_that_is_empty_and_a_number_that_is_not_there_are_refused(exclusions: Exclusions) -> None:
    with pytest.raises(ConfigError, match="is empty"):
        days(5, 5)
    with pytest.raises(RecordMissingError, match="no exclusion 7"):
        exclusions.undo(7, reason="why not", actor="ada")
