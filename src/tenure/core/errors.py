"""The error tree by remedy: each error says what happened, where, and what to do next.

`code` is stable and has a page under `docs/reference/errors/`; `exit_code` is what the command line returns.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self


class TenureError(Exception):
    """Base of every error raised on purpose: what happened, where, what to do next."""

    code: ClassVar[str] = "tenure"
    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, message: str, *, hint: str, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def as_dict(self) -> dict[str, str | None]:
        """Return code, message, where and hint as plain data."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a 'Did you mean ...?' sentence for the nearest known word, or the list of known ones."""
    choices = sorted(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    if not choices:
        return "There is nothing to choose from."
    shown = ", ".join(choices[:12]) + (f" and {len(choices) - 12} more" if len(choices) > 12 else "")
    return f"Known: {shown}."


# ---- the wish is wrong: change the project file or the command (exit 2) ----


class ConfigError(TenureError):
    """The project file or a command's words do not say something that can be done."""

    code = "config-invalid"
    exit_code = 2
    title = "The project file or command cannot be used"


class ProjectMissingError(ConfigError):
    """There is no project file where one was expected."""

    code = "project-missing"
    title = "No project here"


class ProjectExistsError(ConfigError):
    """A project file is already there and would have been overwritten."""

    code = "project-exists"
    title = "A project is already here"


class SecretMissingError(ConfigError):
    """A `${NAME}` in the project file names an environment variable that is not set."""

    code = "secret-missing"
    title = "A secret is not in the environment"


class TargetMissingError(ConfigError):
    """A column that the project file names is not in the data."""

    code = "column-missing"
    title = "A named column is not in the data"

    @classmethod
    def from_column(cls, column: str, available: Iterable[str], *, role: str = "target") -> Self:
        """Build the error for a named column that the data do not have."""
        return cls(
            f"The {role} column {column!r} is not in the data.",
            where=f"data.{role}",
            hint=did_you_mean(column, available),
        )


class UnknownPluginError(ConfigError):
    """A plug-in is named that nobody provides."""

    code = "plugin-unknown"
    title = "No plug-in of that name"


class ExtraMissingError(ConfigError):
    """A feature needs an optional package that is not installed."""

    code = "extra-missing"
    title = "An optional package is not installed"

    @classmethod
    def from_extra(cls, extra: str, *, needed_for: str) -> Self:
        """Build the error for a missing extra, with the command that installs it."""
        return cls(f"{needed_for} needs the extra {extra!r}.", hint=f"Run: pip install 'tenure[{extra}]'")


class CredentialError(ConfigError):
    """A database or server refused the user name or password."""

    code = "credentials-refused"
    title = "The credentials were refused"


class FolderReadOnlyError(ConfigError):
    """A folder that must be written cannot be."""

    code = "folder-read-only"
    title = "A folder cannot be written"


class JobChangedError(ConfigError):
    """An unfinished scoring job was to do something else than what is asked for now."""

    code = "job-changed"
    title = "An unfinished job was to do something else"


# ---- the data are wrong: look at the data (exit 3) ----


class DataError(TenureError):
    """The data cannot be used as they are."""

    code = "data-invalid"
    exit_code = 3
    title = "The data cannot be used"


class SourceMissingError(DataError):
    """No file, table or object answers to the source."""

    code = "source-missing"
    title = "The data are not where the project says"


class EmptyDataError(DataError):
    """The source holds no rows."""

    code = "data-empty"
    title = "The data hold no rows"


class UnreadableDataError(DataError):
    """The bytes of the source cannot be read as a table."""

    code = "data-unreadable"
    title = "The data cannot be read as a table"


class DuplicateColumnError(DataError):
    """Two columns share one name."""

    code = "data-duplicate-columns"
    title = "Two columns share one name"


class TargetError(DataError):
    """The target column cannot be learned: one class only, all empty, or not numbers."""

    code = "target-unusable"
    title = "The target cannot be learned"


class LeakageError(DataError):
    """A column knows the answer before it happens."""

    code = "data-leakage"
    title = "A column knows the answer"


class SchemaChangedError(DataError):
    """Rows to predict do not have the columns or types that the model was trained on."""

    code = "schema-changed"
    title = "The rows do not match the model"


class FieldsRefusedError(DataError):
    """Fields of a request break the data contract, and their policy is strict.

    `errors` has one entry a field: `loc` (as in `["rows", 3, "age"]`), `rule`, and `msg` for people.
    """

    code = "fields-refused"
    title = "Fields of a request break the data contract"

    def __init__(
        self, message: str, *, hint: str, where: str | None = None, errors: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.errors = tuple(dict(error) for error in errors)


class HistoryError(DataError):
    """What is known of the past is not enough to fly a policy through it."""

    code = "history-unusable"
    title = "The history cannot be flown through"


class QualityBlockError(DataError):
    """A data-quality finding blocks the walk."""

    code = "quality-blocked"
    title = "Data quality blocks the run"


# ---- a world outside did not answer: try again (exit 75) ----


class TemporaryError(TenureError):
    """Something outside is busy or away; the same call may go through later."""

    code = "temporary"
    exit_code = 75
    title = "Try again later"


class SourceUnreachableError(TemporaryError):
    """A database or server did not answer."""

    code = "source-unreachable"
    title = "The source does not answer"


class ProjectBusyError(TemporaryError):
    """Another process is running this project."""

    code = "project-busy"
    title = "Another run is under way"


class StateUnreachableError(TemporaryError):
    """The state database did not answer."""

    code = "state-unreachable"
    title = "The state database does not answer"


class BacklogError(TemporaryError):
    """So many predictions wait for the database that new ones are refused rather than dropped."""

    code = "log-full"
    title = "The prediction log cannot keep up"

    @classmethod
    def of(cls, most_mb: float) -> Self:
        """Return the error for a limit in MB."""
        return cls(
            f"More than {most_mb:g} MB of predictions wait for the state database.",
            where="serving.log_backlog_mb",
            hint="See why the database does not take them; answers go on as soon as it does.",
        )


# ---- who asks (exit 2) ----


class UnauthorizedError(TenureError):
    """A request shows no token, or one that is not known, has expired or was revoked.

    `challenge` is what the reply's WWW-Authenticate says (RFC 6750).
    """

    code = "unauthorized"
    exit_code = 2
    title = "The server asks for a token"

    def __init__(self, message: str, *, hint: str, where: str | None = None, challenge: str = "Bearer") -> None:
        super().__init__(message, hint=hint, where=where)
        self.challenge = challenge


class ForbiddenError(TenureError):
    """The token is good, but not for this."""

    code = "forbidden"
    exit_code = 2
    title = "The token does not allow this"


# ---- resources (exit 8) ----


class ResourceError(TenureError):
    """Disk, memory or time ran out; nothing half-written was kept."""

    code = "resource-exhausted"
    exit_code = 8
    title = "A resource ran out"


class DiskFullError(ResourceError):
    """The disk is full; nothing half-written was kept."""

    code = "disk-full"
    title = "The disk is full"


class BudgetError(ResourceError):
    """The time budget was too short for even one model."""

    code = "budget-too-short"
    title = "The budget was too short"


# ---- state and models (exit 1) ----


class BundleError(TenureError):
    """A stored model is damaged or does not reproduce its own stored rows."""

    code = "bundle-corrupt"
    title = "A stored model is damaged"


class AnswerDiffersError(TenureError):
    """A stored model no longer gives the answer that was logged."""

    code = "answer-differs"
    title = "A past answer cannot be made again"

    @classmethod
    def of(cls, prediction_id: str, difference: str, *, same_code: bool) -> Self:
        """Describe the first number that differs."""
        cause = (
            "the machine or the libraries that do the arithmetic are not those that answered"
            if same_code
            else "the code of tenure is not the code that made this model"
        )
        return cls(
            f"The answer cannot be made again to the last bit: {difference}.",
            where=prediction_id,
            hint=f"The stored model is whole, so {cause}. Do it again where it was answered.",
        )


class ArtifactError(TenureError):
    """A stored artifact is missing or does not have the content its name promises."""

    code = "artifact-corrupt"
    title = "A stored artifact is missing or damaged"


class LedgerError(TenureError):
    """The ledger's chain of hashes does not hold."""

    code = "ledger-broken"
    title = "The ledger does not hold together"


class StateUnusableError(TenureError):
    """The state database is damaged or was written by a newer version."""

    code = "state-unusable"
    title = "The state database cannot be used"


class NoChampionError(TenureError):
    """There is no model in office yet."""

    code = "no-champion"
    exit_code = 2
    title = "No model is in office"


class NoPreviousError(TenureError):
    """There is no earlier version to go back to."""

    code = "no-previous"
    exit_code = 2
    title = "There is nothing to roll back to"


class RecordMissingError(TenureError):
    """A prediction, version, run or record with that name does not exist."""

    code = "record-missing"
    exit_code = 2
    title = "No such record"


class AlarmMissingError(TenureError):
    """There is no alarm of that name."""

    code = "alarm-missing"
    exit_code = 2
    title = "No such alarm"


class AlarmStateError(TenureError):
    """The alarm has ended, or has not, so that this cannot be done with it."""

    code = "alarm-state"
    exit_code = 2
    title = "The alarm is not in a state for that"


class ProposalMissingError(TenureError):
    """There is no proposal of that name, or none that waits."""

    code = "proposal-missing"
    exit_code = 2
    title = "No such proposal"


class ProposalStateError(TenureError):
    """The proposal was answered before, or nothing is left to answer."""

    code = "proposal-state"
    exit_code = 2
    title = "The proposal cannot be answered any more"


class OutcomeError(DataError):
    """An outcome cannot be joined: no id, no key, or a value that the target cannot have."""

    code = "outcome-invalid"
    title = "The outcome cannot be used"
