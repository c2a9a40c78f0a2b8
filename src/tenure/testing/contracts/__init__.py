"""What every plug-in promises, as lists of (name, callable): run them all over yours, as we do over ours.

    for name, promise in family_contract(MyFamily()):
        promise()                                # raises AssertionError where the promise is broken

With pytest: `@pytest.mark.parametrize("promise", [pytest.param(p, id=name) for name, p in family_contract(...)])`.
"""

from __future__ import annotations

from tenure.testing.contracts.checks import check_contract
from tenure.testing.contracts.drift import drift_contract
from tenure.testing.contracts.families import family_contract, tiny_problem
from tenure.testing.contracts.members import member_contract
from tenure.testing.contracts.promises import Promise
from tenure.testing.contracts.sources import SourceSample, source_contract

__all__ = [
    "Promise",
    "SourceSample",
    "check_contract",
    "drift_contract",
    "family_contract",
    "member_contract",
    "source_contract",
    "tiny_problem",
]
