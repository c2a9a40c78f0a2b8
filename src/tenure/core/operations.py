"""The sections of the project file that say what may happen by itself: promotion and operations."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field, model_validator

from tenure.core.quiet import Quiet
from tenure.core.section import Duration, Section

_ADDRESS: Final = re.compile(r"https?://[^/?#\s@]+(/[^?#\s]*)?")


class PromotionSection(Section):
    """`[promotion]`: what a challenger must show."""

    min_gain: float = Field(0.0, ge=0, description="Smallest gain in the metric, at the low end of its interval.")
    steps: list[Literal["shadow", "canary"]] = Field(
        ["shadow", "canary"],
        description="What a version that tenure promotes by itself goes through on live traffic; [] for none.",
    )
    shadow_rows: int = Field(1_000, ge=1, description="Rows that it answers beside the champion at least.")
    canary_shares: list[float] = Field(
        [0.05, 0.25], description="Shares of the keys that it answers in earnest, one after the other."
    )
    canary_rows: int = Field(200, ge=1, description="Rows with known outcomes at each share at least.")
    patience: int = Field(
        4, ge=1, description="Windows that a step waits for its rows; then what there is must do, or it is withdrawn."
    )

    @model_validator(mode="after")
    def _shares_rise(self) -> PromotionSection:
        shares = self.canary_shares
        if any(not 0 < share < 1 for share in shares) or sorted(set(shares)) != shares:
            raise ValueError("canary_shares must lie between 0 and 1 and rise")
        return self


class OperationsSection(Section):
    """`[operations]`: how much is done without asking."""

    autonomy: Literal["observe", "propose", "auto"] = Field("propose", description="observe, propose or auto.")
    check_every: Duration = Field(
        60.0, json_schema_extra={"default": "60s"}, gt=0, description="How often `tenure watch` looks."
    )
    source_every: Duration = Field(
        3600.0,
        json_schema_extra={"default": "1h"},
        gt=0,
        description="How often the source is looked at for new rows.",
    )
    learn_from_log: bool = Field(
        True, description="Whether logged predictions whose outcomes are known become rows to learn from."
    )
    certainty: float = Field(
        0.8, gt=0.5, lt=1, description="Probability that a new model gains more than it costs, to make one."
    )
    retrain_cost: float | None = Field(
        None, ge=0, description="What one retraining costs in the currency; left out: 0.2 % of the model's worth."
    )
    horizon: int = Field(4, ge=1, description="Windows over which a new model must earn its cost.")
    max_age: int = Field(26, ge=1, description="Windows after which the question is asked whatever is seen.")
    retrains_per_month: int | None = Field(None, ge=0, description="At most so many retrainings in 30 days.")
    compute_per_month: Duration | None = Field(
        None, gt=0, examples=["10h"], description="At most so much training time in 30 days."
    )
    quiet_hours: str | None = Field(
        None,
        pattern=r"^\d{2}:\d{2}-\d{2}:\d{2}$",
        examples=["22:00-06:00"],
        description="'22:00-06:00': no retraining and no promotion then; a rollback is always allowed.",
    )
    quiet_days: list[str] = Field(
        default_factory=list,
        description="'saturday', '2026-12-24', '2026-12-24/2027-01-02': days like quiet hours.",
    )
    time_zone: str = Field("UTC", description="Of quiet hours and days, as in 'Europe/Berlin'.")
    approval_url: str | None = Field(
        None,
        examples=["https://models.shop.example"],
        description="Where people reach the server, as in https://models.shop.example: links to approve go there.",
    )

    @property
    def quiet(self) -> Quiet:
        """Return quiet hours and days."""
        return Quiet.of(self.quiet_hours, self.quiet_days, self.time_zone)

    @model_validator(mode="after")
    def _words_can_be_used(self) -> OperationsSection:
        Quiet.of(self.quiet_hours, self.quiet_days, self.time_zone)
        if self.approval_url is not None and not _ADDRESS.fullmatch(self.approval_url):
            raise ValueError("approval_url must be http:// or https:// and a host, without ? and #")
        return self
