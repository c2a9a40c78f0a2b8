"""The places between the gate and the office."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.ladder import Rung, Step
from tenure.core.operations import PromotionSection
from tenure.release.climbing import climbs, place_above, places

promotions = st.builds(
    PromotionSection,
    steps=st.lists(st.sampled_from(["shadow", "canary"]), max_size=3),
    canary_shares=st.sets(st.floats(0.01, 0.99), max_size=4).map(sorted),
)


@given(before=promotions, now=promotions)
def test_every_climb_ends_in_office_by_growing_shares_however_the_file_is_edited(
    before: PromotionSection, now: PromotionSection
) -> None:
    assert climbs(before) is (len(places(before)) > 1)
    for step, share in places(before)[:-1]:
        place, passed = (step, share), []
        while place[0] is not Step.OFFICE:
            place = place_above(now, Rung(2, 1, *place, "", "", "", ""))
            passed.append(place[1])
        assert passed == sorted(set(passed))
        assert min(passed) > share
        assert set(passed) <= {place[1] for place in places(now)}
