"""Networks of the owner's own, PyTorch or Keras: the owner's code makes the layers, the weights are arrays.

One row and a table must get the same answer. PyTorch therefore counts in float64; Keras cannot on every backend, and
is asked about batches of one size, whose sums are always added up in the same order.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import BundleError
from tenure.core.modelling import Floats, Task
from tenure.model.own.code import dotted, library, named, owners_code, refuse_untrusted

_CHUNK: Final = 1 << 14
_BATCH: Final = 32
_SEEDING: Final = threading.Lock()

Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class Blueprint:
    """How a network is made: the owner's class or function, called with `inputs`, `outputs` and `params`."""

    kind: str
    path: str
    params: dict[str, Any]
    inputs: int
    outputs: int
    trust: tuple[str, ...]

    def make(self, *, seed: int = 0) -> Network:
        """Call the owner's code; the seed is for the weights it starts with.

        Raises:
            ConfigError: the owner does not trust that code by name, or it failed.
            ExtraMissingError: the network's library is not installed.
        """
        refuse_untrusted(self.path, [dotted(self.path)], self.trust)
        return NETWORKS[self.kind](self, seed)


class Network(Protocol):
    """What both libraries offer: scores (n, outputs) of a table, and weights to take and to put back."""

    net: Any

    def scores(self, table: Floats) -> Floats:
        """Return the raw answers (n, outputs)."""
        ...

    def weights(self) -> Weights:
        """Return a copy of all weights."""
        ...

    def restore(self, weights: Weights) -> None:
        """Put all weights back."""
        ...


class TorchNetwork:
    """A `torch.nn.Module`."""

    def __init__(self, blueprint: Blueprint, seed: int) -> None:
        self.library = library("torch", needed_for=f"The model {blueprint.path}")
        with _SEEDING, owners_code(blueprint.path, "making the network"):
            self.library.set_num_threads(1)  # small layers: threads would wait for each other longer than they work
            self.library.manual_seed(seed)
            made = named(blueprint.path)(inputs=blueprint.inputs, outputs=blueprint.outputs, **blueprint.params)
            self.net = made.double().eval()

    def scores(self, table: Floats) -> Floats:
        """Return the raw answers (n, outputs)."""
        with self.library.inference_mode():
            said: Floats = self.net(self.library.from_numpy(np.ascontiguousarray(table))).numpy()
        return said

    def weights(self) -> Weights:
        """Return a copy of all parameters and buffers, in the order of the state."""
        return [value.detach().cpu().numpy().copy() for value in self.net.state_dict().values()]

    def restore(self, weights: Weights) -> None:
        """Put all parameters and buffers back."""
        names = list(self.net.state_dict())
        tensors = [self.library.from_numpy(np.array(value)) for value in weights]
        self.net.load_state_dict(dict(zip(names, tensors, strict=True)))


class KerasNetwork:
    """A `keras.Model` (Keras 3, on whichever backend is installed)."""

    def __init__(self, blueprint: Blueprint, seed: int) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            os.environ.setdefault("KERAS_BACKEND", "torch")
        self.library = library("keras", needed_for=f"The model {blueprint.path}")
        with _SEEDING, owners_code(blueprint.path, "making the network"):
            if self.library.config.backend() == "torch":
                library("torch", needed_for="Keras").set_num_threads(1)
            self.library.utils.set_random_seed(seed)
            self.net = named(blueprint.path)(inputs=blueprint.inputs, outputs=blueprint.outputs, **blueprint.params)
            self.net(np.zeros((1, blueprint.inputs)))  # a model without an input layer gets its weights only now

    def scores(self, table: Floats) -> Floats:
        """Return the raw answers (n, outputs)."""
        filled = np.zeros((-(-len(table) // _BATCH) * _BATCH, table.shape[1]), dtype=np.float32)
        filled[: len(table)] = table
        said = [self._batch(filled[start : start + _BATCH]) for start in range(0, len(filled), _BATCH)]
        return np.concatenate(said)[: len(table)]

    def _batch(self, rows: NDArray[np.float32]) -> Floats:
        said: Floats = self.library.ops.convert_to_numpy(self.net(rows, training=False)).astype(np.float64)
        return said.reshape(len(rows), -1)

    def weights(self) -> Weights:
        """Return a copy of all weights."""
        return [np.array(self.library.ops.convert_to_numpy(value)) for value in self.net.weights]

    def restore(self, weights: Weights) -> None:
        """Put all weights back."""
        self.net.set_weights(weights)


NETWORKS: Final[dict[str, Callable[[Blueprint, int], Network]]] = {"torch": TorchNetwork, "keras": KerasNetwork}


class NetworkModel:
    """Turns a network's scores into probabilities (softmax, or sigmoid of one score) or values."""

    kind: ClassVar[str] = "network"

    def __init__(
        self, task: Task, blueprint: Blueprint, network: Network, *, centre: float = 0.0, spread: float = 1.0
    ) -> None:
        self.task = task
        self.blueprint = blueprint
        self.network = network
        self.centre = centre
        self.spread = spread

    def answer(self, table: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,) of a prepared table."""
        return self._answer_of(scores_of(self.network, table, self.blueprint.outputs))

    def _answer_of(self, scores: Floats) -> Floats:
        if self.task is Task.REGRESSION:
            values: Floats = scores[:, 0] * self.spread + self.centre
            return values
        if self.task is Task.BINARY:
            yes = 1.0 / (1.0 + np.exp(-np.clip(scores[:, 0], -500.0, 500.0)))
            return np.column_stack([1.0 - yes, yes])
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>-<number>.npy` for each array of weights and return what `load` needs."""
        files = []
        for at, array in enumerate(self.network.weights()):
            files.append(f"{stem}-{at:03d}.npy")
            np.save(folder / files[-1], array, allow_pickle=False)
        about = {"blueprint": asdict(self.blueprint), "centre": self.centre, "spread": self.spread}
        return {"task": self.task.value, "files": files, **about}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Call the owner's code again, and put the weights in."""
        blueprint = Blueprint(**{**spec["blueprint"], "trust": tuple(spec["blueprint"]["trust"])})
        network = blueprint.make()
        weights = [np.load(folder / file, allow_pickle=False) for file in spec["files"]]
        if [w.shape for w in weights] != [w.shape for w in network.weights()]:
            raise BundleError(
                f"The code of {blueprint.path} no longer makes the network whose weights are stored.",
                where=str(folder),
                hint="Bring that code back as it was, or train again: tenure run",
            )
        network.restore(weights)
        return cls(Task(spec["task"]), blueprint, network, centre=spec["centre"], spread=spec["spread"])


def scores_of(network: Network, table: Floats, outputs: int) -> Floats:
    """Return a network's raw answers (n, outputs), asked for in parts."""
    scores = np.empty((len(table), outputs))
    for start in range(0, len(table), _CHUNK):
        part = table[start : start + _CHUNK]
        scores[start : start + _CHUNK] = network.scores(part).reshape(len(part), -1)
    return scores


def outputs_of(task: Task, classes: int) -> int:
    """Return how many numbers a network gives for a row: one, or one for each of several classes."""
    return classes if task is Task.MULTICLASS else 1
