"""The declarative project file: one pydantic model a section, unknown keys refused with a suggestion."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from tenure.core.alerts import AlertsSection
from tenure.core.data import Kind
from tenure.core.errors import ConfigError, ProjectMissingError, did_you_mean
from tenure.core.modelling import Task
from tenure.core.operations import OperationsSection, PromotionSection
from tenure.core.records import digest_of
from tenure.core.secrets import may_hold_secret, redacted, refuse_misplaced_secrets
from tenure.core.section import Duration, Section, seconds_of

PROJECT_FILE: Final = "tenure.toml"
BadField = Literal["strict", "coerce", "quarantine"]
"""What is done with a field of a request that breaks the data contract: refuse, read as well as can be, set aside."""


class ProjectSection(Section):
    """`[project]`: what this is about."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", description="Short name.")
    task: Task = Field(description="binary, multiclass or regression.")
    question: str = Field("", description="What is asked, in the owner's words.")
    owner: str = Field("", description="Who answers for the model.")


class ColumnSpec(Section):
    """`[data.columns.NAME]`: what a person knows better than the data show."""

    kind: Kind | None = Field(None, description="How models read the column, where the guess is wrong.")
    use: bool = Field(True, description="false keeps the column away from models.")
    available: Literal["at_prediction", "after"] | None = Field(
        None,
        description="'after' for what is known only after the outcome; 'at_prediction' overrules a leakage finding.",
    )
    bad: BadField | None = Field(None, description="Overrules serving.bad_fields for this column.")

    @property
    def describes(self) -> bool:
        """Say whether it tells how to learn from the column, and not only how to answer."""
        return self.model_copy(update={"bad": None}) != ColumnSpec()


class DataSection(Section):
    """`[data]`: where the rows are and what their columns mean."""

    source: str = Field(min_length=1, description="A file, a glob, or a database URL. ${NAME} takes a secret.")
    query: str | None = Field(None, description="SQL to run, where the source is a database.")
    target: str = Field(min_length=1, description="The column to predict.")
    positive: str | None = Field(None, description="The value of the target that counts as yes (binary).")
    time: str | None = Field(None, description="When the prediction is made; rows are split in this order.")
    group: str | None = Field(None, description="Whose rows belong together.")
    key: str | None = Field(None, description="What identifies a row.")
    weight: str | None = Field(None, description="How much each row counts in learning; 0 leaves it out.")
    outcome_delay: Duration = Field(
        0.0,
        json_schema_extra={"default": "0s"},
        ge=0,
        description="How long after the prediction the truth is known; monitoring learns it where it is left out.",
    )
    columns: dict[str, ColumnSpec] = Field(default_factory=dict, description="What to know about single columns.")

    @property
    def described(self) -> dict[str, ColumnSpec]:
        """Return what is said of columns that matters for learning."""
        return {name: spec for name, spec in self.columns.items() if spec.describes}


class ValueSection(Section):
    """`[value]`: what right and wrong decisions are worth. Drives threshold, gate, monitoring and advice."""

    action: str = Field("act", description="What is done with a predicted yes.")
    currency: str = Field("EUR", description="Unit of the values.")
    true_positive: float = Field(0.0, description="Worth of acting on a row that is a yes.")
    false_positive: float = Field(0.0, description="Worth (usually negative) of acting on a row that is a no.")
    false_negative: float = Field(0.0, description="Worth of not acting on a yes.")
    true_negative: float = Field(0.0, description="Worth of not acting on a no.")
    capacity: int | None = Field(None, gt=0, description="How many actions one window allows.")
    error_cost: float | None = Field(None, gt=0, description="Regression: cost of being off by one unit.")

    @property
    def is_given(self) -> bool:
        """Say whether the owner gave any value for decisions."""
        return any((self.true_positive, self.false_positive, self.false_negative, self.true_negative))

    @property
    def break_even(self) -> float:
        """Return the probability above which acting pays: c_fp / (c_fp + c_fn) in net values."""
        cost_of_acting = self.true_negative - self.false_positive
        gain_of_acting = self.true_positive - self.false_negative
        return cost_of_acting / (cost_of_acting + gain_of_acting)

    @model_validator(mode="after")
    def _acting_can_pay(self) -> ValueSection:
        if self.is_given and (
            self.true_positive - self.false_negative <= 0 or self.true_negative - self.false_positive <= 0
        ):
            raise ValueError(
                "acting on a yes must be worth more than not acting, and acting on a no less: "
                "true_positive > false_negative and false_positive < true_negative"
            )
        return self


class QualitySection(Section):
    """`[quality]`: how strict the contract is."""

    max_quarantine_share: float = Field(0.2, ge=0, le=1, description="More rows than this set aside blocks the run.")
    on_leakage: Literal["block", "drop", "warn"] = Field(
        "drop", description="What to do with a column that knows the answer."
    )


class ValidationSection(Section):
    """`[validation]`: how candidates are compared. Left out, the data decide."""

    metric: str | None = Field(None, description="Left out: roc_auc, log_loss or rmse by task.")
    splitter: (
        Literal["stratified-k-fold", "k-fold", "group-k-fold", "time-blocks", "group-time-blocks", "holdout"] | None
    ) = Field(None, description="Overrules the choice.")
    folds: int = Field(5, ge=2, le=20, description="Blocks of rows.")


class OwnSection(Section):
    """`[[training.own]]`: a model of the owner's own, raced with ours."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="What it is called in the race.")
    path: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Where the class or function is: module:name, installed or in the project folder.",
    )
    kind: Literal["estimator", "torch", "keras"] = Field(
        "estimator", description="scikit-learn's methods, a torch.nn.Module or a keras.Model."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="What the class or function is called with.")
    input: Literal["numbers", "encoded"] = Field(
        "numbers", description="'numbers' has no gaps and one column a level; 'encoded' has NaN and category codes."
    )
    trust: list[str] = Field(
        default_factory=list, description="Types and code that reading the stored model may run, as module.name."
    )
    learning_rate: float = Field(0.001, gt=0, description="Of a network.")
    epochs: int = Field(100, ge=1, description="Of a network, at most.")

    @model_validator(mode="after")
    def _code_that_runs_is_trusted(self) -> OwnSection:
        """A stored network is arrays; only the owner's code makes layers of them again, wherever it is served."""
        code = self.path.replace(":", ".")
        if self.kind != "estimator" and code not in self.trust:
            raise ValueError(
                f"reading a stored {self.kind} model runs the code of {code}; "
                f'if you trust it, write in its section: trust = ["{code}"]'
            )
        return self


class TrainingSection(Section):
    """`[training]`: what may be tried and how long a run may take."""

    budget: Duration = Field(
        60.0,
        json_schema_extra={"default": "60s"},
        gt=0,
        description="Wall clock of a whole run; learning takes 70 % of it.",
    )
    families: list[str] | None = Field(None, description="Left out: every family that is installed.")
    trials: int | None = Field(
        None,
        ge=1,
        description="How many configurations to try, whatever time they take: the same seed then gives the same model.",
    )
    seed: int = Field(0, ge=0, description="Start of all randomness.")
    own: list[OwnSection] = Field(default_factory=list, description="Models of your own, raced with ours.")

    @model_validator(mode="after")
    def _own_names_differ(self) -> TrainingSection:
        names = [model.name for model in self.own]
        if len(set(names)) < len(names):
            raise ValueError(f"two of [[training.own]] share a name: {', '.join(sorted(names))}")
        return self


class RobustnessSection(Section):
    """`[robustness]`: which checks run. Left out, all."""

    skip: list[str] = Field(default_factory=list, description="Names of checks not to run.")


class ServingSection(Section):
    """`[serving]`: how predictions are answered."""

    host: str = Field("127.0.0.1", description="Loopback unless told otherwise; beyond it a token is needed.")
    port: int = Field(8400, ge=0, le=65_535, description="0 takes any free port.")
    workers: int | None = Field(
        None, ge=1, le=256, description="Processes that answer. Left out: one for each core but one."
    )
    max_latency_ms: float = Field(
        5.0,
        gt=0,
        description="Milliseconds that one row may take: a slower ensemble gives up members, and what is still slower "
        "does not pass.",
    )
    max_rows: int = Field(10_000, gt=0, description="Rows in one request.")
    max_body_mb: float = Field(16.0, gt=0, description="Bytes in one request, in MB.")
    allow_origins: list[str] = Field(
        default_factory=list, description="Origins of web pages whose scripts may call, such as https://shop.example."
    )
    timeout: Duration = Field(
        30.0,
        json_schema_extra={"default": "30s"},
        gt=0,
        description="How long a request may take, from its first byte to the answer.",
    )
    max_concurrency: int = Field(
        512, ge=1, description="Requests in progress in one worker; more are told to come again (503)."
    )
    bad_fields: BadField = Field(
        "coerce",
        description="A field that breaks the data contract: 'strict' refuses the request, 'coerce' reads it as well "
        "as can be, 'quarantine' answers too and keeps the row from monitoring and retraining.",
    )
    verbose_errors: bool | None = Field(
        None, description="Whether a refusal names the values that were expected. Left out: on loopback only."
    )
    reasons: int = Field(0, ge=0, le=20, description="Reasons in an answer whose request does not say how many.")
    log: Literal["durable", "written", "async"] = Field(
        "durable",
        description="An answer leaves: 'durable' after its prediction is on the disk; 'written' after the system has "
        "it, which a killed server does not undo; 'async' before, and a killed server loses the last ones.",
    )
    log_backlog_mb: float = Field(
        512.0, gt=0, description="Predictions waiting for the database, in MB; beyond it new ones are refused (503)."
    )
    shadow: float = Field(
        0.0, ge=0, le=1, description="Share of requests that the challenger answers too, for the log only."
    )
    shadow_cpu: float = Field(0.2, gt=0, le=1, description="Largest share of a worker's time for that.")
    canary: float = Field(0.0, ge=0, le=1, description="Share of keys that the challenger answers in earnest.")


class MonitoringSection(Section):
    """`[monitoring]`: how traffic is cut into windows and how often a false alarm is tolerable."""

    window: str = Field(
        "7d",
        pattern=r"^\s*(\d+(\.\d+)?\s*(s|min|m|h|d|w)|\d+\s*rows)\s*$",
        description="'7d' (counted from a Monday, UTC) or '500 rows'.",
    )
    false_alarms_per_year: float = Field(1.0, gt=0, description="The one dial of the alarms.")
    min_rows: int = Field(100, ge=10, description="A smaller window is only reported, not judged.")

    @property
    def window_rows(self) -> int | None:
        """Return the rows of a window, where it is counted in rows."""
        text = self.window.strip()
        return int(text.removesuffix("rows")) if text.endswith("rows") else None

    @property
    def least_rows(self) -> int:
        """Return the rows that a window needs to be judged: no more than a full one has."""
        return min(self.min_rows, self.window_rows or self.min_rows)

    @property
    def window_seconds(self) -> float | None:
        """Return the seconds of a window, where it is counted in time."""
        return None if self.window_rows is not None else seconds_of(self.window)

    @model_validator(mode="after")
    def _window_holds_something(self) -> MonitoringSection:
        if not (self.window_rows or self.window_seconds):
            raise ValueError(f"a window of {self.window} holds nothing")
        return self


_ONLY_ANSWERS: Final[dict[str, Any]] = {
    "serving": set(ServingSection.model_fields) - {"max_latency_ms"},
    "data": {"columns": {"__all__": {"bad"}}},
    "alerts": True,
    "promotion": set(PromotionSection.model_fields) - {"min_gain"},
    "operations": set(OperationsSection.model_fields) - {"learn_from_log"},
}
"""What changes how requests are answered, people told or versions promoted, and no model: it trains nothing again."""


class StateSection(Section):
    """`[state]`: where everything is remembered."""

    url: str | None = Field(None, description="postgresql://user:${PASSWORD}@host/db; left out: SQLite in .tenure/.")
    keep: Duration | None = Field(
        None,
        gt=0,
        description="How long predictions and outcomes stay in the log, in whole months; left out: for ever.",
    )


class Project(Section):
    """The wish: everything that `tenure.toml` says."""

    schema_version: Literal[1] = 1
    project: ProjectSection
    data: DataSection
    value: ValueSection = ValueSection()
    quality: QualitySection = QualitySection()
    validation: ValidationSection = ValidationSection()
    training: TrainingSection = TrainingSection()
    robustness: RobustnessSection = RobustnessSection()
    promotion: PromotionSection = PromotionSection()
    serving: ServingSection = ServingSection()
    monitoring: MonitoringSection = MonitoringSection()
    operations: OperationsSection = OperationsSection()
    alerts: AlertsSection = AlertsSection()
    state: StateSection = StateSection()

    def digest(self, *sections: str) -> str:
        """Return the identity of what the named sections (all when none is named) say about models.

        What only serving and alerts read does not count. Secrets stay as `${NAME}`.
        """
        data = self.data.model_copy(update={"columns": self.data.described})
        learned = self.model_copy(update={"data": data})
        content = learned.model_dump(mode="json", exclude=_ONLY_ANSWERS)
        return digest_of({name: content[name] for name in (sections or tuple(content))})


def load_project(folder: Path) -> Project:
    """Read `tenure.toml` in `folder`.

    Raises:
        ProjectMissingError: there is no such file.
        ConfigError: the file is not TOML, has unknown keys, or values that cannot be used.
    """
    path = folder / PROJECT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ProjectMissingError(
            f"There is no {PROJECT_FILE} in {folder}.",
            where=str(path),
            hint="Write one with: tenure init DATA --target COLUMN, or name its folder with --project.",
        ) from error
    except (UnicodeDecodeError, PermissionError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}.", where=str(path), hint="Save it as UTF-8 text you may read."
        ) from error
    return parse_project(text, where=str(path))


def parse_project(text: str, *, where: str = PROJECT_FILE) -> Project:
    """Read the text of a project file; errors as in `load_project`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"The project file is not valid TOML: {error}.", where=where, hint="Mend that line."
        ) from error
    refuse_misplaced_secrets(data)
    try:
        return Project.model_validate(data)
    except ValidationError as error:
        raise as_config_error(error, where) from error


def as_config_error(error: ValidationError, where: str) -> ConfigError:
    """Return the first problem of a project's content as an error that says where it stands and what to do."""
    first, *others = error.errors()
    place = ".".join(str(part) for part in first["loc"])
    more = f" ({len(others)} more problems follow.)" if others else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        return ConfigError(
            f"Unknown key {place!r} in the project file.{more}",
            where=f"{where}: {place}",
            hint=did_you_mean(str(first["loc"][-1]), known),
        )
    if first["type"] == "missing":
        return ConfigError(
            f"The key {place!r} is missing.{more}",
            where=f"{where}: {place}",
            hint=f"Add {place} to the project file.",
        )
    message = first["msg"].removeprefix("Value error, ")
    # An address that may be a secret by itself is not shown, nor a section that holds one.
    hides = first["loc"][0] == "alerts" and (len(first["loc"]) == 1 or may_hold_secret(first["loc"]))
    hint = "Change it." if hides else f"You wrote {redacted(repr(first['input']))}; change it."
    return ConfigError(f"{place}: {message}.{more}", where=f"{where}: {place}", hint=hint)


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the section at `path` knows; below data.columns every name leads to a ColumnSpec."""
    if path[:2] == ("data", "columns"):
        return sorted(ColumnSpec.model_fields)
    if path[:2] == ("training", "own"):
        return sorted(OwnSection.model_fields)
    model: type[BaseModel] = Project
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return sorted(model.model_fields)


def editor_schema() -> dict[str, Any]:
    """Return the JSON schema of the project file, for editors."""
    schema = Project.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "tenure project file"
    return schema
