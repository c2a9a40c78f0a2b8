"""What a drift costs: planted shifts whose true cost is known, read as an instrument and as a world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.health import Price, Reading
from tenure.core.metrics import METRICS, Targets
from tenure.core.modelling import Floats
from tenure.core.project import ValueSection
from tenure.core.value import Flags
from tenure.monitoring.price_losses import money_at_stake
from tenure.monitoring.price_moves import moved_like
from tenure.monitoring.prices import ALL_TOGETHER, Priced, is_harmful, is_harmless, priced

AUC, RMSE = METRICS["roc_auc"], METRICS["rmse"]
MONEY = ValueSection(true_positive=10.0, false_positive=-4.0)


@dataclass(frozen=True, eq=False)
class Rows:
    features: pl.DataFrame
    predicted: Floats
    target: Targets
    acted: Flags | None = None


def made(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Return rows in which `twin` follows `strong`; `noise` decides nothing."""
    strong = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "strong": strong,
            "twin": 0.8 * strong + 0.6 * rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "plan": rng.choice(["basic", "plus", "max"], size=rows, p=[0.5, 0.3, 0.2]),
        }
    )


def chances(frame: pl.DataFrame) -> Floats:
    logit = 1.5 * np.nan_to_num(frame["strong"].to_numpy()) + np.where(
        (frame["plan"] == "basic").fill_null(value=False), 0.8, -0.5
    )
    yes = 1 / (1 + np.exp(-logit))
    return np.column_stack([1 - yes, yes])


def world(rows: int = 6_000, seed: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    frame = made(rng, rows)
    said = chances(frame)
    return Rows(frame, said, (rng.random(rows) < said[:, 1]).astype(np.int64), said[:, 1] > 0.3)


KNOWN = world()
SKILL = AUC(KNOWN.target, KNOWN.predicted) - 0.5


def price_of(window: pl.DataFrame, *subjects: str, known: Rows = KNOWN, value: ValueSection = MONEY) -> Priced:
    return priced(
        known,
        window,
        subjects=subjects,
        answer=chances,
        metric=AUC,
        skill=SKILL,
        value=value,
        rng=np.random.default_rng(0),
    )


def reading(found: Priced, subject: str, kind: Reading) -> Price | None:
    return next((price for price in found.readings.get(subject, ()) if price.reading is kind), None)


def true_cost(change: Callable[[pl.DataFrame], pl.DataFrame]) -> float:
    """Return what a change costs on many new rows, as a share of the skill."""
    fresh = world(60_000, seed=77)
    return (AUC(fresh.target, fresh.predicted) - AUC(fresh.target, chances(change(fresh.features)))) / SKILL


def emptied(frame: pl.DataFrame, share: float = 0.3) -> pl.DataFrame:
    gone = np.random.default_rng(5).random(frame.height) < share
    return frame.with_columns(pl.Series("strong", np.where(gone, np.nan, frame["strong"].to_numpy())))


def renamed(frame: pl.DataFrame, share: float = 0.4) -> pl.DataFrame:
    gone = np.random.default_rng(6).random(frame.height) < share
    return frame.with_columns(pl.when(pl.Series(gone)).then(pl.lit("BASIC")).otherwise("plan").alias("plan"))


def squeezed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("strong").clip(lower_bound=0.3))


@pytest.mark.parametrize(("column", "change"), [("strong", emptied), ("plan", renamed), ("strong", squeezed)])
def test_the_price_of_a_changed_instrument_holds_what_the_change_truly_costs(
    column: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    window = change(made(np.random.default_rng(9), 2_000))
    price = reading(price_of(window, column), column, Reading.INSTRUMENT)
    assert price is not None
    assert price.skill.low <= true_cost(change) <= price.skill.high
    assert is_harmful(price)


def test_a_move_that_changes_no_order_costs_nothing_to_a_ranking() -> None:
    window = made(np.random.default_rng(9), 2_000).with_columns(pl.col("strong") + 0.5)
    price = reading(price_of(window, "strong"), "strong", Reading.INSTRUMENT)
    assert price is not None
    assert is_harmless(price)


def test_an_unimportant_column_is_harmless_however_far_it_moves() -> None:
    window = made(np.random.default_rng(9), 500).with_columns(pl.col("noise") * 3 + 2)
    found = price_of(window, "noise")
    assert is_harmless(found.prices["noise"])
    assert not is_harmful(found.prices[ALL_TOGETHER])


def test_a_column_that_moves_without_its_company_is_read_as_an_instrument() -> None:
    window = made(np.random.default_rng(9), 2_000).with_columns(pl.col("strong") + 0.7)
    found = price_of(window, "strong")
    assert [price.reading for price in found.readings["strong"]] == [Reading.INSTRUMENT]


def test_a_column_whose_company_moves_along_is_read_as_a_world() -> None:
    many = made(np.random.default_rng(9), 20_000)
    window = many.filter(
        np.random.default_rng(1).random(many.height) < 1 / (1 + np.exp(-2 * many["strong"].to_numpy()))
    )
    found = price_of(window, "strong")
    assert [price.reading for price in found.readings["strong"]] == [Reading.WORLD]


def test_two_broken_columns_that_agree_are_not_taken_for_a_world() -> None:
    window = made(np.random.default_rng(9), 2_000).with_columns(pl.col("strong") + 0.7, pl.col("twin") + 0.6)
    assert reading(price_of(window, "strong", "twin"), "strong", Reading.INSTRUMENT) is not None


def test_the_world_reading_holds_what_other_rows_truly_score() -> None:
    fresh = world(60_000, seed=77)
    at = np.random.default_rng(1).random(60_000) < np.where(
        np.abs(fresh.features["strong"].to_numpy()) < 0.7, 1.0, 0.15
    )
    truth = (AUC(KNOWN.target, KNOWN.predicted) - AUC(fresh.target[at], fresh.predicted[at])) / SKILL
    price = reading(price_of(fresh.features.filter(at)[:3_000], "strong"), "strong", Reading.WORLD)
    assert price is not None
    assert price.skill.low - 0.03 <= truth <= price.skill.high + 0.03
    assert price.skill.low > 0.1


def test_rows_that_training_never_saw_have_no_world_price() -> None:
    window = made(np.random.default_rng(9), 2_000).with_columns(pl.col("noise") + 40)
    found = price_of(window, "noise")
    assert reading(found, "noise", Reading.WORLD) is None
    assert is_harmless(found.prices["noise"])


def test_a_model_that_remembers_its_rows_is_not_priced_by_what_it_forgets() -> None:
    """A boosted model knows the targets of its own rows: known targets would make a moved row look far dearer."""
    rng = np.random.default_rng(2)
    own, fresh = (world(rows, seed=seed) for rows, seed in ((3_000, 5), (20_000, 6)))
    numbers = ["strong", "twin", "noise"]

    def fit(rows: Rows, at: np.ndarray) -> lgb.Booster:
        options = {"objective": "binary", "num_leaves": 40, "learning_rate": 0.1, "verbosity": -1, "num_threads": 1}
        return lgb.train(options, lgb.Dataset(rows.features[numbers].to_numpy()[at], rows.target[at]), 40)

    def answer(frame: pl.DataFrame) -> Floats:
        yes = np.asarray(whole.predict(frame[numbers].to_numpy()))
        return np.column_stack([1 - yes, yes])

    whole, fold = fit(own, np.arange(3_000)), rng.integers(0, 3, 3_000)
    yes = np.zeros(3_000)
    for k in range(3):
        yes[fold == k] = fit(own, np.flatnonzero(fold != k)).predict(own.features[numbers].to_numpy()[fold == k])
    known = Rows(own.features, np.column_stack([1 - yes, yes]), own.target)
    skill = AUC(own.target, known.predicted) - 0.5

    def moved(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("twin") + 0.5)

    truth = AUC(fresh.target, answer(fresh.features)) - AUC(fresh.target, answer(moved(fresh.features)))
    found = priced(
        known,
        moved(fresh.features[:2_000]),
        subjects=["twin"],
        answer=answer,
        metric=AUC,
        skill=skill,
        value=ValueSection(),
        rng=rng,
    )
    price = reading(found, "twin", Reading.INSTRUMENT)
    assert price is not None
    assert not is_harmful(price)
    by_known_targets = AUC(own.target, answer(own.features)) - AUC(own.target, answer(moved(own.features)))
    assert by_known_targets - truth > 4 * abs(price.drop.value - truth)


def test_a_moved_number_is_priced_on_real_data(real_data: Callable[[str], Path]) -> None:
    frame = pl.read_parquet(real_data("california_housing")).sample(12_000, seed=1, shuffle=True)
    columns = ["longitude", "latitude", "median_income", "housing_median_age", "population", "households"]
    table, value = frame[columns].to_numpy(), frame["median_house_value"].to_numpy().astype(float)
    fold = np.arange(4_000) % 3
    options = {"objective": "l2", "num_leaves": 15, "verbosity": -1, "num_threads": 1}
    models = [lgb.train(options, lgb.Dataset(table[:4_000][fold != k], value[:4_000][fold != k]), 60) for k in range(3)]
    out_of_fold = np.zeros(4_000)
    for k, model in enumerate(models):
        out_of_fold[fold == k] = model.predict(table[:4_000][fold == k])

    def answer(rows: pl.DataFrame) -> Floats:
        return np.mean([model.predict(rows[columns].to_numpy()) for model in models], axis=0)

    known = Rows(frame[columns][:4_000].cast(pl.Float64), out_of_fold, value[:4_000])
    fresh = frame[columns][4_000:].cast(pl.Float64)
    moved = fresh.with_columns(pl.col("median_income") * 1.2, pl.col("households") * 1.2)
    skill = float(value[:4_000].std()) - RMSE(known.target, known.predicted)
    told = RMSE(value[4_000:], answer(fresh))
    for column, harmful in (("median_income", True), ("households", False)):
        window = fresh.with_columns(moved[column])
        truth = RMSE(value[4_000:], answer(window)) - told
        found = priced(
            known,
            window[:2_000],
            subjects=[column],
            answer=answer,
            metric=RMSE,
            skill=skill,
            value=ValueSection(error_cost=2.0),
            rng=np.random.default_rng(0),
        )
        price = reading(found, column, Reading.INSTRUMENT)
        assert price is not None
        assert price.drop.low <= truth <= price.drop.high
        assert is_harmful(price) is harmful
        assert price.money is not None


def test_money_is_told_where_the_owner_gave_values_and_actions_are_known() -> None:
    window = emptied(made(np.random.default_rng(9), 2_000))
    price = price_of(window, "strong").prices["strong"]
    assert price.money is not None
    assert price.money.low > 0
    nameless = price_of(window, "strong", known=Rows(KNOWN.features, KNOWN.predicted, KNOWN.target))
    assert nameless.prices["strong"].money is None


def all_said_yes(rows: int = 2_000) -> pl.DataFrame:
    """Return a window whose order is kept and in which nearly every answer is yes."""
    return made(np.random.default_rng(9), rows).with_columns(pl.col("strong") + 2.5)


def test_a_move_that_keeps_the_order_and_loses_the_owners_money_is_harm() -> None:
    found = price_of(all_said_yes(), "strong")
    price = found.prices["strong"]
    assert is_harmless(price)
    assert found.money_limit is not None
    assert price.money is not None
    assert price.money.low > found.money_limit
    assert not found.is_harmless("strong")
    assert found.is_harmful("strong")


def test_money_of_a_column_that_decides_nothing_is_harmless() -> None:
    found = price_of(made(np.random.default_rng(9), 500).with_columns(pl.col("noise") * 3 + 2), "noise")
    assert found.prices["noise"].money is not None
    assert found.is_harmless("noise")


def test_decisions_that_turn_are_not_harmless_where_nobody_said_what_they_are_worth() -> None:
    found = price_of(all_said_yes(), "strong", "noise", value=ValueSection())
    assert is_harmless(found.prices["strong"])
    assert 0.2 < found.swayed["strong"] < 0.9
    assert not found.is_harmless("strong")
    assert not found.is_harmful("strong")
    assert found.is_harmless("noise")
    assert ("noise" in found.swayed, found.money_limit) == (False, None)


@pytest.mark.parametrize("value", [MONEY, ValueSection(capacity=10)], ids=["money tells", "only the likeliest count"])
def test_turned_decisions_count_only_where_nothing_else_tells_what_they_cost(value: ValueSection) -> None:
    assert price_of(all_said_yes(300), "strong", value=value).swayed == {}


@pytest.mark.parametrize("rows", [60, 300])
def test_chance_turns_no_decisions(rows: int) -> None:
    for seed in range(5):
        window = made(np.random.default_rng(seed), rows)
        assert price_of(window, "strong", "plan", value=ValueSection()).swayed == {}


def test_the_dearest_costs_most_in_skill_or_in_money() -> None:
    window = all_said_yes().with_columns(renamed(made(np.random.default_rng(9), 2_000), 0.1)["plan"])
    found = price_of(window, "strong", "plan", "noise")
    assert found.prices["plan"].skill.low > found.prices["strong"].skill.low
    assert found.dearest(["plan", "strong", "noise", "unknown"]) == "strong"
    assert found.dearest(["unknown"]) is None


def test_fewer_rows_worth_acting_on_are_no_loss_of_money() -> None:
    """The model makes less where fewer rows are a yes; its decisions are no worse for it."""
    fresh = world(60_000, seed=77)
    at = np.random.default_rng(1).random(60_000) < np.where(fresh.features["strong"].to_numpy() < -0.8, 1.0, 0.25)
    found = price_of(fresh.features.filter(at)[:3_000], "strong")
    price = reading(found, "strong", Reading.WORLD)
    assert price is not None
    assert price.money is not None
    assert found.money_limit is not None
    assert price.money.high < found.money_limit


def test_what_the_model_makes_is_told_against_doing_without_it() -> None:
    chance, target = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 1, 0, 1])
    both = np.column_stack([1 - chance, chance])
    assert money_at_stake(MONEY, target, both, chance > 0.5) == pytest.approx(1_000 * (10 + 10 - 4) / 4)
    assert money_at_stake(MONEY, target, both, np.array([False, False, True, False])) is None
    assert money_at_stake(ValueSection(), target, both, chance > 0.5) is None
    numbers = np.array([1.0, 2.0, 6.0])
    spent = ValueSection(error_cost=3.0)
    assert money_at_stake(spent, numbers, numbers + 0.5, None) == pytest.approx(1_000 * 3 * (5 / 3 - 0.5))


def test_what_cannot_be_priced_is_named_with_its_reason() -> None:
    window = made(np.random.default_rng(9), 500)
    assert price_of(window, "the prediction").unpriced == {"the prediction": "the model does not read it."}
    assert price_of(window[:10], "strong").prices == {}
    skilless = priced(
        KNOWN,
        window,
        subjects=["strong"],
        answer=chances,
        metric=AUC,
        skill=0.0,
        value=MONEY,
        rng=np.random.default_rng(0),
    )
    assert "no skill" in skilless.unpriced["strong"]


@pytest.mark.parametrize("cells", [None, np.nan, 7.0], ids=["null", "nan", "constant"])
def test_an_ugly_window_is_priced_or_named(cells: float | None) -> None:
    window = (
        made(np.random.default_rng(9), 300).with_columns(pl.lit(cells, dtype=pl.Float64).alias("strong")).drop("noise")
    )
    found = price_of(window, "strong", "noise")
    assert is_harmful(found.prices["strong"])
    assert {"strong", "noise"} <= {*found.prices, *found.unpriced}


@given(
    st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=60),
    st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "new"])), min_size=0, max_size=60),
)
def test_levels_move_only_as_far_as_their_shares_ask(known: list[str | None], came: list[str | None]) -> None:
    before, now = pl.Series("c", known, dtype=pl.String), pl.Series("c", came, dtype=pl.String)
    moved = moved_like(before, now, np.random.default_rng(0))
    assert len(moved) == len(before)
    assert moved.dtype == pl.String
    asked = sum(max(known.count(level) / len(known) - came.count(level) / max(len(came), 1), 0) for level in {*known})
    assert (moved.ne_missing(before)).sum() <= round(asked * len(known)) + len({*known})


@pytest.mark.parametrize(("seed", "gaps"), [(0, 0.0), (1, 0.2), (2, 0.9)])
def test_moved_numbers_have_the_quantiles_and_the_gaps_of_the_window(seed: int, gaps: float) -> None:
    rng = np.random.default_rng(seed)
    known, came = pl.Series("x", rng.normal(size=2_000)), rng.gamma(2.0, size=3_000)
    window = pl.Series("x", np.where(rng.random(3_000) < gaps, np.nan, came))
    moved = moved_like(known, window, rng).to_numpy()
    full = moved[np.isfinite(moved)]
    wanted = window.to_numpy()[np.isfinite(window.to_numpy())]
    assert abs(np.isnan(moved).mean() - np.isnan(window.to_numpy()).mean()) < 0.03
    quantiles = np.linspace(0.1, 0.9, 9)
    assert np.allclose(np.quantile(full, quantiles), np.quantile(wanted, quantiles), rtol=0.1, atol=0.1)


def test_a_grid_of_values_stays_on_its_grid() -> None:
    rng = np.random.default_rng(1)
    known = pl.Series("x", rng.integers(0, 6, 2_000).astype(float))
    window = pl.Series("x", rng.integers(0, 6, 900).astype(float) + 2)
    assert set(moved_like(known, window, rng).to_list()) <= {2.0, 3.0, 4.0, 5.0, 6.0, 7.0}


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        (pl.Date, [date(2025, 1, 1 + i) for i in range(28)]),
        (pl.Datetime("us"), [datetime(2025, 1, 1) + timedelta(hours=i) for i in range(28)]),
        (
            pl.Datetime("ms", "Europe/Berlin"),
            [datetime(2025, 3, 29, tzinfo=UTC) + timedelta(hours=i) for i in range(28)],
        ),
        (pl.Datetime("ns", "UTC"), [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(28)]),
        (pl.Time, [time(i % 24) for i in range(28)]),
        (pl.Boolean, [True, False] * 14),
        (pl.Int64, list(range(28))),
        (pl.Float32, [float(i) for i in range(28)]),
    ],
    ids=str,
)
def test_moved_values_keep_the_dtype_that_the_model_reads(dtype: pl.DataType, cells: list[object]) -> None:
    known = pl.Series("when", cells * 20, dtype=dtype)
    window = pl.Series("when", [*cells[14:], *[None] * 14] * 20, dtype=dtype)
    moved = moved_like(known, window, np.random.default_rng(0))
    assert (moved.dtype, moved.name, len(moved)) == (known.dtype, "when", len(known))
    full = moved.drop_nulls().drop_nans() if moved.dtype.is_float() else moved.drop_nulls()
    assert abs(len(full) / len(moved) - 0.5) < 0.05
    assert full.min() >= window.min()
    assert full.max() <= window.max()
    emptied = moved_like(known, window.clear().extend_constant(None, 60), np.random.default_rng(0))
    assert emptied.dtype == known.dtype
    assert (emptied.is_nan() if emptied.dtype.is_float() else emptied.is_null()).all()


def test_names_that_are_always_new_do_not_move() -> None:
    known = pl.Series("id", [f"a{i}" for i in range(1_000)])
    window = pl.Series("id", [f"b{i}" for i in range(500)])
    assert moved_like(known, window, np.random.default_rng(0)).to_list() == known.to_list()
