from __future__ import annotations

import pytest

from tenure.core.errors import ConfigError
from tenure.core.project import OwnSection, parse_project

MINIMAL = '[project]\nname = "churn"\ntask = "binary"\n[data]\nsource = "c.csv"\ntarget = "left"\n'


def own(text: str) -> list[OwnSection]:
    return parse_project(f"{MINIMAL}[[training.own]]\n{text}").training.own


def test_a_model_of_ones_own_needs_a_name_and_a_path() -> None:
    (model,) = own('name = "forest"\npath = "sklearn.ensemble:ExtraTreesClassifier"\nparams = { n_estimators = 9 }')
    assert (model.kind, model.input, model.params) == ("estimator", "numbers", {"n_estimators": 9})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "net"\npath = "nets:Net"\nkind = "torch"', 'trust = ["nets.Net"]'),
        ('name = "net"\npath = "nets:Net"\nkind = "keras"\ntrust = ["nets.Other"]', 'trust = ["nets.Net"]'),
        ('name = "net"\npath = "nets.Net"', "training.own.0.path"),
        ('name = "My Net"\npath = "nets:Net"', "training.own.0.name"),
        ('name = "a"\npath = "b:c"\n[[training.own]]\nname = "a"\npath = "b:d"', "share a name"),
    ],
)
def test_what_cannot_be_meant_is_refused_as_the_file_is_read(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own(text)
    assert says in caught.value.message


def test_a_misspelt_key_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        own('name = "net"\npath = "nets:Net"\nparam = { depth = 3 }')
    assert caught.value.hint == "Did you mean 'params'?"
