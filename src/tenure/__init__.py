"""Self-running software for predictive models: from one goal file to a model in service that looks after itself.

>>> import tenure
>>> project = tenure.open("churn")            # doctest: +SKIP
>>> run = project.run(budget="60s")           # doctest: +SKIP
>>> project.champion.predict(rows)            # doctest: +SKIP
>>> tenure.TenureClassifier().fit(X, y)       # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    __version__: str
    from tenure.api import Champion, OpenProject, init, open
    from tenure.core.errors import TenureError
    from tenure.estimators.classifier import TenureClassifier
    from tenure.estimators.regressor import TenureRegressor

__all__ = [
    "Champion",
    "OpenProject",
    "TenureClassifier",
    "TenureError",
    "TenureRegressor",
    "__version__",
    "init",
    "open",
]

# Where each public name lives: importing tenure stays free of everything heavy (PEP 562).
_HOMES: Final = {
    "Champion": "tenure.api",
    "OpenProject": "tenure.api",
    "TenureClassifier": "tenure.estimators.classifier",
    "TenureError": "tenure.core.errors",
    "TenureRegressor": "tenure.estimators.regressor",
    "init": "tenure.api",
    "open": "tenure.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("tenure")  # slow to load, seldom asked for
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tenure' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
