"""Which version answers which request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.ladder import Rung, Step
from tenure.core.project import ServingSection
from tenure.engine.routing import Routing, falls_within, routing_of

SERVING = ServingSection(shadow=0.5, canary=0.1)


def _rung(step: Step, *, version: int = 2, against: int = 1, share: float = 0.0) -> Rung:
    return Rung(version, against, step, share, "", "", "", "")


@given(name=st.text(max_size=20), share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_growing_share_only_adds_names(name: str, share: float, more: float) -> None:
    low, high = sorted((share, more))
    assert falls_within(high, name) or not falls_within(low, name)
    assert falls_within(1.0, name)
    assert not falls_within(0.0, name)


@given(key=st.text(min_size=1, max_size=9), ids=st.lists(st.text(max_size=9), max_size=5), share=st.floats(0, 1))
def test_a_key_keeps_its_side_whatever_the_request_and_the_version(key: str, ids: list[str], share: float) -> None:
    assert len({Routing(canary=share).is_canary(key, ident) for ident in ids}) <= 1


def test_a_challenger_on_the_ladder_does_what_its_step_says() -> None:
    def now(rung: Rung | None) -> Routing:
        return routing_of(SERVING, champion=1, challenger=2, rung=rung)

    assert now(_rung(Step.SHADOW)) == Routing(shadow=1.0)
    assert now(_rung(Step.CANARY, share=0.25)) == Routing(canary=0.25)
    assert now(_rung(Step.CANARY, share=0.25, against=3)).is_idle


def test_a_challenger_that_is_not_on_the_ladder_does_what_the_project_file_says() -> None:
    for rung in (None, _rung(Step.WITHDRAWN), _rung(Step.OFFICE), _rung(Step.SHADOW, version=3)):
        assert routing_of(SERVING, champion=1, challenger=2, rung=rung) == Routing(shadow=0.5, canary=0.1)
    for challenger in (None, 1):
        assert routing_of(SERVING, champion=1, challenger=challenger, rung=None).is_idle
