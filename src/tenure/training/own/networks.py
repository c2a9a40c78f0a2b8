"""Fit networks of the owner's own: Adam, minibatches, stopped early by validated rows and by the clock at any batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Task
from tenure.core.ports import Deadline
from tenure.core.project import OwnSection
from tenure.model.own.code import library, owners_code
from tenure.model.own.network import Blueprint, Network, NetworkModel, outputs_of, scores_of
from tenure.training.own.lesson import Lesson

_PATIENCE: Final = 12
_BATCHES: Final = 40
"""Fewest batches of an epoch, where the rows allow it."""
_BATCH: Final = (16, 256)
_ALONE: Final = threading.Lock()
"""Libraries draw from one source of chance: fits that must come out the same again do not run side by side."""

Step = Callable[[Floats, NDArray[Any], Floats], None]


def fit_network(
    own: OwnSection,
    lesson: Lesson,
    valid: Lesson | None,
    *,
    task: Task,
    classes: int,
    seed: int,
    rounds: int | None,
    deadline: Deadline,
) -> tuple[NetworkModel, int] | None:
    """Return a network and the epochs it took; None where the time was too short for one epoch."""
    outputs = outputs_of(task, classes)
    blueprint = Blueprint(own.kind, own.path, own.params, lesson.table.shape[1], outputs, tuple(own.trust))
    centre, spread = 0.0, 1.0
    if task is Task.REGRESSION:
        centre, spread = float(lesson.target.mean()), float(lesson.target.std()) or 1.0
        lesson, valid = _moved(lesson, centre, spread), None if valid is None else _moved(valid, centre, spread)
    with _ALONE if deadline.left == inf else nullcontext(), owners_code(own.path, "learning"):
        network = blueprint.make(seed=seed)
        step = _STEPS[own.kind](network, task, own.learning_rate)
        epochs = _learn(network, step, lesson, valid, _Course(task, outputs, rounds or own.epochs, seed, deadline))
    return (NetworkModel(task, blueprint, network, centre=centre, spread=spread), epochs) if epochs else None


class _Course:
    """What a fit goes by: the task, most epochs, the seed of the order, the clock."""

    def __init__(self, task: Task, outputs: int, epochs: int, seed: int, deadline: Deadline) -> None:
        self.task = task
        self.outputs = outputs
        self.epochs = epochs
        self.rng = np.random.default_rng(seed)
        self.deadline = deadline


def _learn(network: Network, step: Step, lesson: Lesson, valid: Lesson | None, course: _Course) -> int:
    """Run epochs until the validated loss stops falling or the time is up, keep the best, return how many it took."""
    best, best_weights, best_epoch = inf, network.weights(), 0
    size = int(np.clip(len(lesson) // _BATCHES, *_BATCH))
    for epoch in range(1, course.epochs + 1):
        order = course.rng.permutation(len(lesson))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            if course.deadline.passed:
                network.restore(best_weights)
                return best_epoch
            if len(rows) > 1 or len(order) == 1:  # layers that look at a whole batch cannot learn from one row
                weight = np.ones(len(rows)) if lesson.weight is None else lesson.weight[rows]
                step(lesson.table[rows], lesson.target[rows], weight)
        loss = -epoch if valid is None else _loss(network, valid, course)
        if loss < best:
            best, best_weights, best_epoch = loss, network.weights(), epoch
        elif epoch - best_epoch >= _PATIENCE:
            break
    network.restore(best_weights)
    return best_epoch


def _loss(network: Network, lesson: Lesson, course: _Course) -> float:
    scores = scores_of(network, lesson.table, course.outputs)
    if course.task is Task.REGRESSION:
        losses = np.square(scores[:, 0] - lesson.target)
    elif course.task is Task.BINARY:
        losses = np.logaddexp(0.0, np.where(lesson.target == 1, -1.0, 1.0) * scores[:, 0])
    else:
        moved = scores - scores.max(axis=1, keepdims=True)
        losses = np.log(np.exp(moved).sum(axis=1)) - moved[np.arange(len(lesson)), lesson.target]
    return float(np.average(losses, weights=lesson.weight))


def _torch_step(network: Network, task: Task, rate: float) -> Step:
    torch = library("torch", needed_for="A network")
    optimiser = torch.optim.Adam(network.net.parameters(), lr=rate)
    losses = torch.nn.functional

    def step(table: Floats, target: NDArray[Any], weight: Floats) -> None:
        network.net.train()
        said = network.net(torch.from_numpy(table)).reshape(len(table), -1)
        truth = torch.from_numpy(target)
        if task is Task.MULTICLASS:
            each = losses.cross_entropy(said, truth, reduction="none")
        elif task is Task.BINARY:
            each = losses.binary_cross_entropy_with_logits(said[:, 0], truth.double(), reduction="none")
        else:
            each = losses.mse_loss(said[:, 0], truth, reduction="none")
        optimiser.zero_grad()
        (each * torch.from_numpy(weight)).mean().backward()
        optimiser.step()
        network.net.eval()

    return step


def _keras_step(network: Network, task: Task, rate: float) -> Step:
    keras = library("keras", needed_for="A network")
    loss = {
        Task.MULTICLASS: lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        Task.BINARY: lambda: keras.losses.BinaryCrossentropy(from_logits=True),
        Task.REGRESSION: lambda: keras.losses.MeanSquaredError(),
    }[task]()
    network.net.compile(optimizer=keras.optimizers.Adam(learning_rate=rate), loss=loss)

    def step(table: Floats, target: NDArray[Any], weight: Floats) -> None:
        network.net.train_on_batch(table, target[:, None], sample_weight=weight)

    return step


_STEPS: Final[dict[str, Callable[[Network, Task, float], Step]]] = {"torch": _torch_step, "keras": _keras_step}


def _moved(lesson: Lesson, centre: float, spread: float) -> Lesson:
    return Lesson(lesson.table, (lesson.target - centre) / spread, lesson.weight)
