"""One alarm for each cause, never a storm: the rules on made-up courses, and as properties on any course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.alarms import (
    Alarm,
    AlarmChange,
    AlarmStatus,
    Manners,
    Severity,
    Sighting,
    Step,
    Symptom,
    reconcile,
)

DAY = 86_400_000_000
MANNERS = Manners(notices=False, repeat_us=DAY, cool_us=2 * DAY)


class Course:
    """The alarms of a project over a course of looks."""

    def __init__(self, manners: Manners = MANNERS) -> None:
        self.alarms: dict[int, Alarm] = {}
        self.now = 0
        self.manners = manners

    def look(
        self, *sightings: Sighting, after: float = 1.0, version: int = 1
    ) -> list[tuple[str, AlarmChange | None, bool]]:
        """Look after some days; return what changed, by alarm, and whether people are told."""
        return [(s.alarm.label, s.change, s.tell) for s in self.steps(*sightings, after=after, version=version)]

    def steps(self, *sightings: Sighting, after: float = 1.0, version: int = 1) -> list[Step]:
        self.now += int(after * DAY)
        steps = reconcile(
            list(self.alarms.values()),
            sightings,
            version=version,
            first_number=max(self.alarms, default=0) + 1,
            now_us=self.now,
            manners=self.manners,
        )
        self.alarms.update({step.alarm.number: step.alarm for step in steps})
        return [step for step in steps if step.change is not None]

    def act(self, number: int, status: AlarmStatus, **values: object) -> None:
        ended = {"ended_us": self.now, "told_us": None, "stands": False} if status is AlarmStatus.RESOLVED else {}
        self.alarms[number] = replace(self.alarms[number], status=status, **{**ended, **values})  # type: ignore[arg-type]


def pages(*names: str) -> list[Symptom]:
    return [Symptom(name, Severity.PAGE, f"{name} is empty.") for name in names]


def notices(*names: str) -> list[Symptom]:
    return [Symptom(name, Severity.NOTICE, f"{name} moved.") for name in names]


def feed(window: int | None, *symptoms: Symptom, judged: bool = True, doubtful: Sequence[str] = ()) -> Sighting:
    at = None if window is None else f"w{window:03}"
    return Sighting("feed", "Rows are broken.", None, at, tuple(symptoms), judged, frozenset(doubtful))


def score(window: int, *symptoms: Symptom, version: int = 1) -> Sighting:
    return Sighting("performance", "", version, f"w{window:03}", tuple(symptoms))


# ---- one for each cause ----


def test_many_columns_that_break_at_one_moment_are_one_alarm() -> None:
    course = Course()
    names = [f"c{i}" for i in range(40)]
    assert course.look(feed(1, *pages(*names))) == [("A1", AlarmChange.OPENED, True)]
    assert course.alarms[1].headline == "Rows are broken. c0 is empty. 39 more, such as c1, c2, c3."


def test_a_headline_says_no_more_than_its_worst_symptom() -> None:
    course = Course()
    course.look(feed(1, *notices("age", "plan")))
    assert course.alarms[1].headline == "age moved. 1 more: plan."
    course.look(feed(2, *notices("age"), *pages("plan")))
    assert course.alarms[1].headline == "Rows are broken. plan is empty. 1 more: age."


def test_the_same_look_again_changes_and_tells_nothing() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    assert course.look(feed(1, *pages("age")), after=0.5) == []
    assert (course.alarms[1].windows, course.alarms[1].seen_us) == (1, int(1.5 * DAY))


def test_another_column_joins_the_alarm_that_nobody_took_and_opens_its_own_once_that_is_taken() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    assert course.look(feed(2, *pages("age", "plan")), after=0.1) == [("A1", AlarmChange.GREW, False)]
    course.act(1, AlarmStatus.ACKNOWLEDGED)
    assert course.look(feed(3, *pages("age", "plan", "city")), after=0.1) == [("A2", AlarmChange.OPENED, True)]
    assert [alarm.covers for alarm in course.alarms.values()] == [("age", "plan"), ("city",)]


def test_what_is_harmless_joins_also_a_taken_alarm() -> None:
    course = Course()
    course.look(feed(1, *notices("age")))
    course.act(1, AlarmStatus.ACKNOWLEDGED)
    assert course.look(feed(2, *notices("age", "plan"))) == [("A1", AlarmChange.GREW, False)]


def test_kinds_are_causes_of_their_own_and_told_together() -> None:
    course = Course()
    found = course.look(feed(1, *pages("age")), score(1, *pages("the outcomes")))
    assert found == [("A1", AlarmChange.OPENED, True), ("A2", AlarmChange.OPENED, True)]


# ---- its end ----


def test_an_alarm_ends_only_once_another_window_was_judged_without_it() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    course.act(1, AlarmStatus.ACKNOWLEDGED)
    assert course.look(feed(1)) == []
    assert course.look(feed(2, judged=False)) == []
    assert course.look(feed(2, doubtful=["age"])) == []
    assert course.look(feed(2)) == [("A1", AlarmChange.RESOLVED, True)]
    assert course.look(feed(3)) == []


def test_a_column_that_is_mended_leaves_the_rest_of_its_alarm() -> None:
    course = Course()
    course.look(feed(1, *pages("age", "plan")))
    course.look(feed(2, *pages("plan")), after=0.1)
    assert course.alarms[1].symptoms == tuple(pages("plan"))
    assert course.look(feed(3, *pages("plan", "age")), after=0.1) == []
    assert course.look(feed(4), after=0.1) == [("A1", AlarmChange.RESOLVED, True)]


def test_a_new_version_ends_the_alarms_of_the_one_before_but_not_those_of_the_rows() -> None:
    course = Course()
    course.look(feed(1, *pages("age")), score(1, *pages("the outcomes")))
    steps = course.steps(feed(1, *pages("age")), score(1, version=2), after=0.1, version=2)
    assert [(step.alarm.label, step.change, step.reason) for step in steps] == [
        ("A2", AlarmChange.RESOLVED, "v2 took office.")
    ]


# ---- flapping ----


def test_what_comes_back_soon_is_the_same_alarm_and_is_told_at_most_once_a_day() -> None:
    course = Course()
    told = [course.look(feed(i, *(pages("age") if i % 2 else [])), after=0.1) for i in range(1, 21)]
    assert len(course.alarms) == 1
    assert [change for look in told for _, change, tell in look if tell] == [
        *(AlarmChange.OPENED, AlarmChange.RESOLVED),
        *(AlarmChange.REOPENED, AlarmChange.RESOLVED),
    ]


def test_what_comes_back_late_is_a_new_alarm() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    course.look(feed(2))
    assert course.look(feed(9, *pages("age")), after=3) == [("A2", AlarmChange.OPENED, True)]


def test_a_change_of_rank_back_and_forth_is_no_storm() -> None:
    course = Course()
    told = [course.look(feed(i, *(pages("age") if i % 2 else notices("age"))), after=0.05) for i in range(1, 20)]
    assert [change for look in told for _, change, tell in look if tell] == [AlarmChange.OPENED]
    assert {change for look in told for _, change, _ in look} == {
        *(AlarmChange.OPENED, AlarmChange.CALMED, AlarmChange.ESCALATED)
    }


# ---- what people did ----


def test_what_nobody_took_is_told_again_after_the_time_to_repeat_and_what_was_taken_is_not() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    told = [course.look(feed(1, *pages("age")), after=0.25) for _ in range(8)]
    assert [look for look in told if look] == [[("A1", AlarmChange.STILL, True)]] * 2
    course.act(1, AlarmStatus.ACKNOWLEDGED)
    assert not any(course.look(feed(i, *pages("age"))) for i in range(2, 9))


def test_a_notice_that_gets_worse_pages_whatever_was_done_about_it() -> None:
    for status in (AlarmStatus.ACKNOWLEDGED, AlarmStatus.SNOOZED):
        course = Course()
        assert course.look(feed(1, *notices("age"))) == [("A1", AlarmChange.OPENED, False)]
        course.act(1, status, until_us=course.now + 90 * DAY)
        assert course.look(feed(2, *pages("age"))) == [("A1", AlarmChange.ESCALATED, True)]
        assert (course.alarms[1].status, course.alarms[1].until_us) == (AlarmStatus.OPEN, None)


def test_what_is_still_there_when_its_snooze_ends_is_told_again() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    course.act(1, AlarmStatus.SNOOZED, until_us=course.now + 3 * DAY)
    assert [course.look(feed(i, *pages("age"))) for i in (2, 3, 4)] == [[], [], [("A1", AlarmChange.WOKE, True)]]
    course.act(1, AlarmStatus.SNOOZED, until_us=course.now + DAY)
    assert course.look(feed(4, judged=False)) == [("A1", AlarmChange.WOKE, True)]
    course.act(1, AlarmStatus.SNOOZED, until_us=course.now + DAY)
    assert course.look(feed(5)) == [("A1", AlarmChange.RESOLVED, True)]


def test_what_a_person_ended_stays_ended_for_this_window_and_is_back_with_the_next() -> None:
    course = Course()
    course.look(feed(1, *pages("age")))
    course.act(1, AlarmStatus.RESOLVED)
    assert [course.look(feed(1, *pages("age"))) for _ in range(5)] == [[]] * 5
    assert course.look(feed(2, *pages("age")), after=0.1) == [("A2", AlarmChange.OPENED, True)]
    course.act(2, AlarmStatus.RESOLVED)
    assert course.look(feed(3, *pages("age")), after=0.1) == [("A2", AlarmChange.REOPENED, True)]


def test_people_who_came_later_are_told_of_what_is_open() -> None:
    course = Course(replace(MANNERS, tells=False))
    assert course.look(feed(1, *pages("age"))) == [("A1", AlarmChange.OPENED, False)]
    course.manners = MANNERS
    assert course.look(feed(1, *pages("age"))) == [("A1", AlarmChange.STILL, True)]


def test_notices_are_told_once_where_the_owner_wants_them() -> None:
    course = Course(replace(MANNERS, notices=True))
    found = [course.look(feed(i, *notices("age"))) for i in range(1, 6)] + [course.look(feed(6))]
    assert [change for look in found for _, change, tell in look if tell] == [AlarmChange.OPENED, AlarmChange.RESOLVED]


# ---- on any course ----

NAMES = ("a", "b", "c", "d")
SYMPTOMS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(list(Severity)), max_size=4).map(
    lambda found: [Symptom(name, severity, f"{name}!") for name, severity in found.items()]
)
ACTS = st.none() | st.sampled_from([AlarmStatus.ACKNOWLEDGED, AlarmStatus.SNOOZED, AlarmStatus.RESOLVED])
LOOKS = st.lists(
    st.tuples(SYMPTOMS, st.booleans(), st.sampled_from([0, 0, 1]), st.sampled_from([0.01, 0.5, 3.0]), ACTS), max_size=30
)


@given(LOOKS)
def test_on_any_course_no_two_living_alarms_stand_for_one_thing_and_nothing_bad_is_without_one(
    looks: list[tuple[list[Symptom], bool, int, float, AlarmStatus | None]],
) -> None:
    course, window = Course(), 1
    for symptoms, judged, steps, after, act in looks:
        window += steps
        sighting = feed(window, *symptoms, judged=judged)
        course.look(sighting, after=after)
        assert course.look(sighting, after=0) == []
        living = [alarm for alarm in course.alarms.values() if alarm.is_live]
        now = [({symptom.name for symptom in alarm.symptoms}) for alarm in living if alarm.seen_us == course.now]
        assert not any(one & other for one, other in combinations(now, 2))
        known = {name for alarm in course.alarms.values() for name in alarm.covers}
        assert {symptom.name for symptom in symptoms} <= known
        if act is not None and living:
            course.act(living[-1].number, act, until_us=course.now + DAY)


@given(st.lists(st.tuples(SYMPTOMS, st.sampled_from([0.01, 0.1, 0.3])), min_size=1, max_size=60))
def test_whatever_the_rows_do_an_alarm_that_nobody_touches_pages_about_daily_at_most(
    looks: list[tuple[list[Symptom], float]],
) -> None:
    course, told = Course(), []
    for window, (symptoms, after) in enumerate(looks):
        steps = course.steps(feed(window, *symptoms), after=after)
        paged = [step.alarm for step in steps if step.tell and step.change is not AlarmChange.RESOLVED]
        told += [(alarm.number, course.now) for alarm in paged]
    for (first, before), (second, after_us) in combinations(told, 2):
        assert first != second or after_us - before >= DAY
