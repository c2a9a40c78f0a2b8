"""A signature and answers as a server would hold them, without a model behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.data import Kind
from tenure.core.modelling import Task
from tenure.serving.protocols.ask import Reason, Said, Signature, Violation


@pytest.fixture(scope="session")
def signature() -> Signature:
    return Signature(
        name="churn",
        version="v3",
        task=Task.BINARY,
        classes=("no", "yes"),
        columns=("age", "plan", "on"),
        kinds={"age": Kind.NUMERIC, "plan": Kind.CATEGORICAL, "on": Kind.BOOLEAN, "customer": Kind.CATEGORICAL},
        has_interval=True,
    )


@pytest.fixture(scope="session")
def values(signature: Signature) -> Signature:
    return replace(signature, name="price", task=Task.REGRESSION, classes=(), has_interval=False)


@pytest.fixture
def said() -> list[Said]:
    return [
        Said("a1", "yes", "v3", (0.25, 0.75), ("no", "yes"), 0.7, 0.8, action="call", reasons=[Reason("age", 31, 0.5)]),
        Said("a2", "no", "v3", (0.9, 0.1), ("no", "yes"), 0.05, 0.2, violations=[Violation("plan", "level")]),
    ]
