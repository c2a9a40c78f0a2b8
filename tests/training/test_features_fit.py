from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.modelling import Task
from tenure.core.ports import Deadline
from tenure.model.operations import Calendar, Category, Difference, Elapsed, Frequency, TextShape, TextTopics
from tenure.model.plan import ColumnPlan
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.fit import MOST_CODES, fit_encoding


def schema_of(frame: pl.DataFrame, kinds: dict[str, Kind], **roles: Role) -> Schema:
    return Schema(
        tuple(
            Column(name, str(dtype), kinds[name], roles.get(name, Role.FEATURE)) for name, dtype in frame.schema.items()
        )
    )


def fitted(frame: pl.DataFrame, kinds: dict[str, Kind], *, dropped: tuple[str, ...] = (), **roles: Role) -> ColumnPlan:
    schema = schema_of(frame, kinds, **roles)
    return fit_encoding(frame, schema, rng=np.random.default_rng(0), dropped=dropped).plan


def days(start: str, count: int) -> list[datetime]:
    first = datetime.fromisoformat(start)
    return [first + timedelta(days=day, hours=day % 24) for day in range(count)]


def test_levels_are_ordered_by_frequency_then_name() -> None:
    frame = pl.DataFrame({"plan": ["b", "a", "c", "c", None]})
    plan = fitted(frame, {"plan": Kind.CATEGORICAL})
    assert plan.operations == (Category("plan", ("c", "a", "b")),)
    assert plan.categorical == (True,)


def test_rare_levels_share_a_code_only_where_there_are_many() -> None:
    many = [f"often{at}" for at in range(200)] * 10 + [f"once{at}" for at in range(100)]
    category = fitted(pl.DataFrame({"x": many}), {"x": Kind.CATEGORICAL}).operations[0]
    assert isinstance(category, Category)
    assert (len(category.levels), len(category.rare)) == (200, 100)


def test_very_many_levels_become_their_frequency() -> None:
    values = [f"u{at}" for at in range(MOST_CODES + 1)] + ["u0"] * 4
    plan = fitted(pl.DataFrame({"user": values}), {"user": Kind.CATEGORICAL})
    assert plan.operations == (Frequency("user", ("u0",), (5,)),)
    assert plan.categorical == (False,)


def test_levels_that_hardly_ever_repeat_become_their_frequency_or_nothing() -> None:
    unique = [f"u{at}" for at in range(400)]
    assert fitted(pl.DataFrame({"x": unique}), {"x": Kind.CATEGORICAL}).width == 0
    plan = fitted(pl.DataFrame({"x": [*unique, "u1"]}), {"x": Kind.CATEGORICAL})
    assert plan.operations == (Frequency("x", ("u1",), (2,)),)


def test_a_datetime_column_without_times_gives_nothing() -> None:
    frame = pl.DataFrame({"at": pl.Series([None, None], dtype=pl.Datetime("us"))})
    assert fitted(frame, {"at": Kind.DATETIME}).width == 0


def test_what_never_varies_or_is_dropped_or_no_feature_is_left_out() -> None:
    frame = pl.DataFrame(
        {
            "one": [1, 1, 1],
            "word": ["a", "a", "a"],
            "empty": pl.Series([None] * 3, dtype=pl.Float64),
            "unique": [f"u{at}" for at in range(3)],
            "out": [1, 2, 3],
            "y": [0, 1, 0],
            "gaps": [1, None, 1],
        }
    )
    kinds = dict.fromkeys(frame.columns, Kind.NUMERIC) | {"word": Kind.CATEGORICAL, "unique": Kind.CATEGORICAL}
    plan = fitted(frame, kinds, dropped=("out",), y=Role.TARGET, unique=Role.KEY)
    assert plan.inputs == ("gaps",)


def test_the_time_column_gives_calendar_parts_only() -> None:
    frame = pl.DataFrame({"at": days("2020-01-01", 900), "x": range(900)})
    plan = fitted(frame, {"at": Kind.DATETIME, "x": Kind.NUMERIC}, at=Role.TIME)
    calendar = plan.operations[1]
    assert calendar == Calendar("at", ("month", "day", "weekday", "hour", "season_sin", "season_cos"))


def test_parts_whose_cycle_was_not_seen_twice_are_left_out() -> None:
    half_a_year = pl.DataFrame({"at": days("2020-01-01", 180)})
    plan = fitted(half_a_year, {"at": Kind.DATETIME}, at=Role.TIME)
    assert plan.operations == (Calendar("at", ("day", "weekday", "hour")),)
    dates = half_a_year.with_columns(pl.col("at").dt.date()).head(10)
    assert fitted(dates, {"at": Kind.DATETIME}).width == 0


def test_where_times_do_not_follow_each_other_dates_tell_all_parts_and_the_days() -> None:
    frame = pl.DataFrame({"at": days("2020-01-01", 180)})
    schema = schema_of(frame, {"at": Kind.DATETIME})
    plan = fit_encoding(frame, schema, rng=np.random.default_rng(0), in_time=False).plan
    parts = ("month", "day", "weekday", "hour", "season_sin", "season_cos")
    assert plan.operations == (Calendar("at", parts), Elapsed("at"))
    assert plan.encode(frame)[0, -1] == 18262.0


def test_texts_that_there_is_no_time_to_read_are_left_out() -> None:
    words = " ".join(f"word{at}" for at in range(2_000))
    frame = pl.DataFrame({"note": [words, f"{words} more"] * 40, "x": range(80)})
    schema = schema_of(frame, {"note": Kind.TEXT, "x": Kind.NUMERIC})
    found = {}
    for seconds in (1e9, 10.0):
        ticks = itertools.count()
        deadline = Deadline(seconds, lambda ticks=ticks: float(next(ticks)))
        plan = fit_encoding(frame, schema, rng=np.random.default_rng(0), deadline=deadline).plan
        found[seconds] = [op.longest for op in plan.operations if isinstance(op, TextTopics)]
        assert plan.inputs[-1] == "x"
    assert found[1e9] == [20_000]
    assert found[10.0] == []
    assert "note" not in plan.inputs


def test_pairs_of_datetime_features_give_their_distance() -> None:
    frame = pl.DataFrame(
        {"start": days("2020-01-01", 30), "end": [d + timedelta(d.day) for d in days("2020-02-01", 30)]}
    )
    plan = fitted(frame, dict.fromkeys(frame.columns, Kind.DATETIME))
    assert Difference("end", "start") in plan.operations


def test_texts_become_topics_and_shapes_that_tell_them_apart() -> None:
    good, bad = "wonderful tea, I love it", "terrible coffee and awful taste"
    frame = pl.DataFrame({"note": [good, bad, f"{good} indeed", f"{bad} really", None, ""] * 20})
    plan = fitted(frame, {"note": Kind.TEXT})
    shape, topics = plan.operations
    assert isinstance(shape, TextShape)
    assert isinstance(topics, TextTopics)
    folded = topics.encode(frame)
    like_good, like_bad = np.linalg.norm(folded[0] - folded[2]), np.linalg.norm(folded[0] - folded[1])
    assert like_good < like_bad
    assert np.isnan(folded[4]).all()
    assert (folded[5] == 0).all()


def test_texts_without_repeated_terms_have_a_shape_only() -> None:
    frame = pl.DataFrame({"note": ["qqqq", "zzzzz", None]})
    assert [type(op) for op in fitted(frame, {"note": Kind.TEXT}).operations] == [TextShape]


def test_equal_seeds_give_equal_plans() -> None:
    frame = pl.DataFrame({"note": [f"word{at % 7} other{at % 5} again" for at in range(60)]})
    first, second = (fitted(frame, {"note": Kind.TEXT}) for _ in range(2))
    np.testing.assert_array_equal(first.encode(frame), second.encode(frame))


@pytest.mark.parametrize(
    ("name", "kinds", "roles"),
    [
        ("telco_churn", {}, {"customerID": Role.KEY, "Churn": Role.TARGET}),
        ("ames_housing", {}, {"PID": Role.KEY, "price": Role.TARGET, "sale_month": Role.TIME}),
        ("fine_food_reviews", {"review": Kind.TEXT}, {"score": Role.TARGET}),
        ("elec2", {}, {"class": Role.TARGET, "datetime": Role.TIME}),
    ],
)
def test_real_rows_encode_like_their_table(
    real_data: Callable[[str], Path], name: str, kinds: dict[str, Kind], roles: dict[str, Role]
) -> None:
    frame = pl.read_parquet(real_data(name)).head(500)
    of_type = {
        pl.String: Kind.CATEGORICAL,
        pl.Boolean: Kind.BOOLEAN,
        pl.Date: Kind.DATETIME,
        pl.Datetime: Kind.DATETIME,
    }
    inferred = {column: of_type.get(dtype.base_type(), Kind.NUMERIC) for column, dtype in frame.schema.items()}
    plan = fitted(frame, inferred | kinds, **roles)
    matrix = plan.encode(frame)
    assert matrix.shape == (frame.height, plan.width)
    assert all(len(np.unique(matrix[:, at])) > 1 for at in range(plan.width))
    for at in range(0, frame.height, 25):
        row = frame.row(at, named=True)
        np.testing.assert_array_equal(plan.encode_row(row), matrix[at])
        sent = {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()}
        np.testing.assert_array_equal(plan.encode_row(sent), matrix[at])


def test_very_many_levels_have_target_means_where_there_is_a_target() -> None:
    users = np.random.default_rng(0).integers(0, MOST_CODES + 500, 8000)
    frame = pl.DataFrame({"user": [f"u{user}" for user in users], "x": np.arange(8000.0)})
    schema = schema_of(frame, {"user": Kind.CATEGORICAL, "x": Kind.NUMERIC})
    rng = np.random.default_rng(0)
    made = Outcomes.of(Task.BINARY, 2, (users % 2).astype(np.int64), rng=rng)
    encoding = fit_encoding(frame, schema, rng=rng, outcomes=made)
    assert encoding.plan.names == ("user (log count)", "user (mean target)", "x")
    served = encoding.plan.encode(frame)
    np.testing.assert_array_equal(encoding.matrix[:, [0, 2]], served[:, [0, 2]])
    assert np.corrcoef(encoding.matrix[:, 1], users % 2)[0, 1] > 0.8
    assert not np.array_equal(encoding.matrix[:, 1], served[:, 1])
