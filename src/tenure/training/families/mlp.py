"""Neural networks (extra `torch`): a small network of the RealMLP kind, in as many epochs as the time allows.

Holzmueller et al. 2024, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data"; other than
there, one rise and fall of the learning rate (better than four in few epochs), SiLU (cheaper than SELU), and averages
of the parameters over the last epoch (which can end early on data that change).
A round is an epoch. The member is plain arrays, so serving does not need PyTorch.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, inf, isinf, pi
from typing import Any, ClassVar, Final

import numpy as np

from tenure.core.errors import ExtraMissingError
from tenure.core.modelling import Configuration, DataShape, Floats, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.mlp import MLPDesign, MLPMember
from tenure.training.network import Network, Rows, plain_arrays, torch_library

_FEWEST_ROWS: Final = 300
_MOST_ROWS: Final = 60_000
_MOST_CELLS: Final = 6_000_000
_FEWEST_EPOCHS: Final = 6
_EPOCHS: Final = (20, 64)
_STEPS: Final = 2000
"""Epochs are chosen between those two, so that about this many steps are done."""
_BATCH: Final = 256
_PATIENCE: Final = 0.35
"""Part of all epochs without a better one after which the rest is not learned."""
_LOADING_SECONDS: Final = 5.0
"""What importing PyTorch takes at most on a busy machine; once in a process."""
_WORTH_LOADING: Final = 1.0
"""A fit that had more seconds than this is followed by others that have the time for a network."""
_PROBE_STEPS: Final = 12
_WARM_SHARE: Final = 0.1
_USED_SHARE: Final = 0.9
"""Of the time left, for what was timed on few steps only."""
_AVERAGED: Final = 3
"""Parameters are averaged over about the last epoch, but never over more than one in so many of all steps."""
_LAG: Final = 0.05
"""How far the schedule may be behind the clock before the clock leads it."""
_MASK_CELLS: Final = 1 << 20
_TEMPERATURES: Final = tuple(2.0 ** (k / 4) for k in range(-2, 9))


class MLPFamily:
    """Three hidden layers with dropout over periodic embeddings of numbers and learned rows of levels."""

    name: ClassVar[str] = "mlp"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose one network where rows are neither too few to learn from nor too many for the time.

        Raises:
            ExtraMissingError: PyTorch is not installed.
        """
        if importlib.util.find_spec("torch") is None:
            raise ExtraMissingError.from_extra("torch", needed_for="A neural network")
        if not _FEWEST_ROWS <= shape.rows <= _MOST_ROWS or shape.rows * shape.features > _MOST_CELLS:
            return ()
        rate = 0.1 if shape.task is Task.REGRESSION else 0.08
        params = {"hidden": [256, 256, 256], "learning_rate": rate, "dropout": 0.15, "weight_decay": 0.02}
        return (Configuration("mlp", self.name, params, rank=48),)

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        """Learn for `rounds` epochs, or as many as fit the time, and keep the epoch with the lowest validated loss."""
        if deadline.left <= (0.0 if "torch" in sys.modules else _LOADING_SECONDS):
            if deadline.left > _WORTH_LOADING:
                _load_meanwhile()
            return None
        design = MLPDesign.fit(problem.matrix[train], problem.categorical)
        if design.width == 0:
            return None
        torch = torch_library()
        if torch.get_num_threads() != problem.threads:  # the number is one for all threads of the process
            torch.set_num_threads(problem.threads)
        scale = _Scale.of(problem, train)
        lesson = _Lesson.of(configuration, problem, design, scale, train, valid)
        epochs = lesson.affordable_epochs(rounds, deadline)
        if epochs < min(_FEWEST_EPOCHS, rounds or _FEWEST_EPOCHS):
            return None
        learned = lesson.learn(epochs, deadline)
        if learned is None:
            return None
        temperature = _settled_temperature(problem, configuration, None if valid is None else learned.temperature)
        arrays = plain_arrays(learned.parameters, factor=scale.spread / temperature, shift=scale.centre)
        member = MLPMember(problem.task, design, arrays, limits=scale.limits)
        return Fitted(member, learned.epoch, chosen={"epochs": epochs, "temperature": temperature})


@cache
def _load_meanwhile() -> None:
    """Start to import PyTorch, so that it is there at the next fit; once in a process."""
    threading.Thread(target=torch_library, name="load-torch").start()


def _settled_temperature(problem: Problem, configuration: Configuration, found: float | None) -> float:
    """Return the temperature found on validated rows; without any, the geometric mean of what other fits found."""
    known: list[float] = problem.shared.setdefault(configuration.family, {}).setdefault(configuration.name, [])
    if found is not None:
        known.append(found)
        return found
    return float(np.exp(np.mean(np.log(sorted(known))))) if known else 1.0


@dataclass(frozen=True)
class _Scale:
    """Moves a regression target to mean 0 and spread 1 while learning; values stay within the limits seen."""

    centre: float = 0.0
    spread: float = 1.0
    limits: tuple[float, float] | None = None

    @classmethod
    def of(cls, problem: Problem, train: Indices) -> _Scale:
        if problem.task is not Task.REGRESSION:
            return cls()
        target = problem.target[train]
        limits = (float(target.min()), float(target.max()))
        return cls(float(target.mean()), float(target.std()) or 1.0, limits)

    def shrunk(self, target: Floats) -> Floats:
        """Return answers in the units of learning."""
        return (target - self.centre) / self.spread


@dataclass(frozen=True, eq=False)
class _Learned:
    """The averaged parameters after an epoch; their loss on validated rows at the best temperature, and which it is."""

    parameters: dict[str, Any]
    epoch: int
    loss: float = inf
    temperature: float = 1.0


@dataclass(frozen=True, eq=False)
class _Lesson:
    """One network, the rows it learns from, and the rows that say which epoch was best (None: the last one)."""

    task: Task
    params: dict[str, Any]
    network: Network
    optimiser: Any
    drop: _Drop
    generator: Any
    rows: Rows
    judged: Rows | None
    limits: tuple[float, float]

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        problem: Problem,
        design: MLPDesign,
        scale: _Scale,
        train: Indices,
        valid: Indices | None,
    ) -> _Lesson:
        torch, params = torch_library(), configuration.params
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        generator = torch.Generator().manual_seed(problem.seed)
        target = scale.shrunk(problem.target)
        rows = Rows.of(problem, design, train, target[train], device)
        judged = None if valid is None else Rows.of(problem, design, valid, target[valid], device)
        outputs = problem.classes if problem.task is Task.MULTICLASS else 1
        network = Network(design, params["hidden"], outputs, generator=generator, device=device)
        network.start_from(rows, generator)
        optimiser = torch.optim.AdamW(network.groups(), lr=0.0, betas=(0.9, 0.95), fused=True)
        drop = _Drop(generator, device, problem.seed)
        limits = (float(target[train].min()), float(target[train].max()))
        return cls(problem.task, params, network, optimiser, drop, generator, rows, judged, limits)

    @property
    def batch(self) -> int:
        return min(_BATCH, len(self.rows))

    @property
    def steps(self) -> int:
        """Return the steps of one epoch."""
        return len(self.rows) // self.batch

    def affordable_epochs(self, rounds: int | None, deadline: Deadline) -> int:
        """Return how many epochs fit the time, at most `rounds` or what is useful. Without a clock, that many."""
        wanted = rounds or int(np.clip(_STEPS // self.steps, *_EPOCHS))
        if isinf(deadline.left):
            return wanted
        judging = 0.0 if self.judged is None else len(self.judged) / self.batch / 3
        epoch_seconds = self._seconds_per_step(deadline) * (self.steps + judging)
        return min(wanted, int(_USED_SHARE**2 * deadline.left / max(epoch_seconds, 1e-9)))

    def _seconds_per_step(self, deadline: Deadline) -> float:
        """Measure steps that change nothing, because the learning rate starts at 0; the first ones warm up.

        Endless where the time ends first.
        """
        batch = self.rows.at(slice(0, self.batch))
        looks = []
        for _ in range(_PROBE_STEPS):
            if deadline.passed:
                return inf
            self._learn_from(batch, 0.0)
            looks.append(deadline.left)
        return float(np.mean(-np.diff(looks[2:])))

    def learn(self, epochs: int, deadline: Deadline) -> _Learned | None:
        """Return the best epoch, None where no loss was finite. When time runs short, the schedule runs faster."""
        best: _Learned | None = None
        before, done, progress = deadline.left, 0, 0.0
        for epoch in range(1, epochs + 1):
            self.drop.draw(self.params["dropout"] * _flat_then_down(progress))
            for batch in self.rows.batches(self.batch, self.generator):
                progress = max(done / (epochs * self.steps), _due(deadline.left, before))
                if progress >= 1.0:
                    break
                self._learn_from(batch, progress)
                done += 1
                self.network.settle(max(1.0 / self.steps, _AVERAGED / (_AVERAGED + done)))
            now = self._judge(epoch)
            if self.judged is None or (now.loss < (inf if best is None else best.loss)):
                best = now
            if progress >= 1.0 or (best is not None and epoch - best.epoch > _PATIENCE * epochs):
                break
        return best

    def _learn_from(self, batch: Rows, progress: float) -> None:
        rate, decay = _rise_and_fall(progress), _flat_then_down(progress)
        for group in self.optimiser.param_groups:
            group["lr"] = self.params["learning_rate"] * rate * group["factor"]
            group["weight_decay"] = self.params["weight_decay"] * decay if group["factor"] == 1.0 else 0.0
        loss = (self._losses(self.network.scores(batch, self.drop), batch.target) * batch.weight).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def _losses(self, scores: Any, target: Any) -> Any:
        functional = torch_library().nn.functional
        if self.task is Task.MULTICLASS:
            return functional.cross_entropy(scores, target, reduction="none")
        if self.task is Task.BINARY:
            return functional.binary_cross_entropy_with_logits(scores[:, 0], target, reduction="none")
        return functional.mse_loss(scores[:, 0], target, reduction="none")

    def _judge(self, epoch: int) -> _Learned:
        """Return the parameters and their loss: for classes, at the temperature that suits best ("refine first")."""
        if self.judged is None:
            return _Learned(self.network.settled(), epoch)
        rows, scores = self.judged, self.network.settled_scores(self.judged)
        if self.task is Task.REGRESSION:
            losses = {1.0: self._losses(scores.clamp(*self.limits), rows.target)}
        else:
            losses = {by: self._losses(scores / by, rows.target) for by in _TEMPERATURES}
        means = {by: float((loss * rows.weight).mean()) for by, loss in losses.items()}
        temperature = min(means, key=lambda by: means[by])
        return _Learned(self.network.settled(), epoch, means[temperature], temperature)


class _Drop:
    """Dropout from one store of random bytes: drawing new ones for every step takes longer than a layer."""

    def __init__(self, generator: Any, device: Any, seed: int) -> None:
        torch = torch_library()
        self._bytes = torch.randint(256, (_MASK_CELLS,), generator=generator, dtype=torch.uint8).to(device)
        self._starts = np.random.default_rng(seed)
        self.draw(0.0)

    def draw(self, share: float) -> None:
        """Set the share of hidden units that are left out."""
        kept = round(256 * (1.0 - share))
        self._masks = (self._bytes < kept) * (256.0 / kept)

    def __call__(self, hidden: Any) -> Any:
        cells = hidden.numel()
        start = int(self._starts.integers(0, _MASK_CELLS - cells))
        return hidden * self._masks[start : start + cells].view_as(hidden)


def _due(left: float, before: float) -> float:
    """Return how far the schedule must be by the clock: 1 when the time is up, 0 where there is none."""
    if left == 0:
        return 1.0
    return 0.0 if isinf(left) else (before - left) / (_USED_SHARE * before) - _LAG


def _rise_and_fall(progress: float) -> float:
    """Return the learning rate's share of its maximum: up in a tenth of the way, then down along a cosine."""
    if progress < _WARM_SHARE:
        return progress / _WARM_SHARE
    return 0.5 * (1.0 + cos(pi * (progress - _WARM_SHARE) / (1.0 - _WARM_SHARE)))


def _flat_then_down(progress: float) -> float:
    """Return 1 for the first half of the way, then a cosine down to 0."""
    return 1.0 if progress < 0.5 else 0.5 * (1.0 + cos(pi * (2.0 * progress - 1.0)))
