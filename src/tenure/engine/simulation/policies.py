"""Who flies: a project with a few sections changed, and what is done at the end of each window."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from tenure.core.errors import ConfigError, SourceMissingError, did_you_mean
from tenure.core.lifecycle import Alias
from tenure.core.modelling import Leaderboard
from tenure.core.project import Project, as_config_error
from tenure.engine.runner import run_walk
from tenure.engine.watch import Look, look_and_act
from tenure.engine.workspace import Workspace

CHANGEABLE: Final = ("operations", "promotion", "monitoring", "training", "validation")
"""The sections that a policy file may change: how things are done, not what is wanted."""


def do_nothing(workspace: Workspace) -> Look | None:
    """Leave the model in office alone, unseen."""
    return None


def retrain_and_release(workspace: Workspace) -> Look | None:
    """Walk once more, and put what comes of it in office whatever the gate says, as a scheduled job would."""
    before = workspace.champion()
    walk = run_walk(workspace, why="simulation: once every window")
    board = walk.records.get("leaderboard")
    if not isinstance(board, Leaderboard) or board.model == before.model:
        return None
    made = workspace.registry.register(
        board.model,
        run_id=walk.run_id,
        leaderboard=workspace.context.artifacts.put_record(board),
        actor=workspace.context.actor,
        note="retrained on schedule",
    )
    if workspace.champion().number != made.number:
        workspace.registry.move(
            {Alias.CHAMPION: made.number, Alias.PREVIOUS: before.number, Alias.CHALLENGER: None},
            actor=workspace.context.actor,
            reason="retrained on schedule, whatever the gate says",
            run_id=walk.run_id,
        )
    return None


@dataclass(frozen=True, slots=True)
class FlightPolicy:
    """One way to run a project.

    `overrides` hold keys of the project file by section. `act` is called when a window has ended, with the clock at
    its end, and returns what was seen and done (None where nothing was looked at).
    """

    name: str
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    act: Callable[[Workspace], Look | None] = look_and_act

    def applied(self, project: Project) -> Project:
        """Return the project under this policy.

        Raises:
            ConfigError: an override cannot be used.
        """
        if not self.overrides:
            return project
        content = project.model_dump(mode="json", exclude_unset=True)
        for section, keys in self.overrides.items():
            content[section] = content.get(section, {}) | dict(keys)
        try:
            return Project.model_validate(content)
        except ValidationError as error:
            raise as_config_error(error, self.name) from error


AS_IT_IS: Final = FlightPolicy("as it is")
STATIC: Final = FlightPolicy("static", act=do_nothing)
EVERY_WINDOW: Final = FlightPolicy("every window", act=retrain_and_release)
_TAKEN: Final = frozenset({AS_IT_IS.name, STATIC.name, EVERY_WINDOW.name})
BUILT_IN: Final = {"as-it-is": AS_IT_IS, "static": STATIC, "every-window": EVERY_WINDOW}


def policies_named(texts: Sequence[str]) -> tuple[FlightPolicy, ...]:
    """Return built-in policies by their names, and those in files; each once, in order, no two of one name.

    Raises:
        SourceMissingError: there is no such file, and no built-in policy is called so.
        ConfigError: a file is not TOML, or changes what a policy may not change; two policies have one name.
    """
    found = [policy_named(text) for text in dict.fromkeys(texts)]
    names = [policy.name for policy in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"Two policies are called {name!r}.", where="--policy", hint="Give their files different names."
            )
    return tuple(found)


def policy_named(text: str) -> FlightPolicy:
    """Return a built-in policy by its name, or the one in the file of that name; autonomy is auto unless it says else.

    Raises:
        SourceMissingError: there is no such file, and no built-in policy is called so.
        ConfigError: the file is not TOML, or changes what a policy may not change.
    """
    if text in BUILT_IN:
        return BUILT_IN[text]
    path = Path(text)
    if not path.is_file():
        raise SourceMissingError(
            f"There is no policy file {text}.",
            where=text,
            hint=f"Name a TOML file, or one of: {', '.join(BUILT_IN)}.",
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{text} is not valid TOML: {error}.", where=text, hint="Mend that line.") from error
    _check(content, where=text)
    name = path.stem if path.stem not in _TAKEN else path.name
    return FlightPolicy(name, content)


def _check(content: Mapping[str, Any], *, where: str) -> None:
    """Refuse what is no policy's to say.

    Raises:
        ConfigError: a section that may not be changed, or a key that is not known.
    """
    for section, keys in content.items():
        if section not in CHANGEABLE:
            raise ConfigError(
                f"A policy file cannot change {section!r}.",
                where=f"{where}: {section}",
                hint=f"It may change the sections {', '.join(CHANGEABLE)}. {did_you_mean(section, CHANGEABLE)}",
            )
        if not isinstance(keys, dict):
            raise ConfigError(
                f"{section!r} is a section, not a value.", where=f"{where}: {section}", hint=f"Write [{section}]."
            )
        model: Any = Project.model_fields[section].annotation
        assert issubclass(model, BaseModel)
        for key in keys:
            if key not in model.model_fields:
                raise ConfigError(
                    f"Unknown key {f'{section}.{key}'!r} in the policy file.",
                    where=f"{where}: {section}.{key}",
                    hint=did_you_mean(key, model.model_fields),
                )
