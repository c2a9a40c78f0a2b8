"""The network of the `mlp` family in PyTorch: how it reads rows, starts, and becomes plain arrays.

After RealMLP-TD of Holzmueller et al. 2024, "Better by default": periodic embeddings of numbers, a scaling layer,
neural tangent parametrisation, a start from the data. PyTorch is imported at the first fit, as that takes seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import ExtraMissingError
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Problem
from tenure.model.members.mlp import MLPDesign

_WAVES: Final = 16
_MADE: Final = 3
_SIGMA: Final = 0.1
_TABLE_WIDTH: Final = 8
_START_ROWS: Final = 1024
_MIXED_ROWS: Final = 5
_CHUNK: Final = 4096
_FACTORS: Final = {"scale": 6.0, "weight": 1.0, "table": 1.0}
_SLOW_FACTOR: Final = 0.1


def torch_library() -> Any:
    """Return the torch package.

    Raises:
        ExtraMissingError: it is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ExtraMissingError.from_extra("torch", needed_for="A neural network") from error


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as the network reads them: tensors with one entry a row. The weights have mean 1."""

    numbers: Any
    marks: Any
    positions: Any
    target: Any
    weight: Any

    @classmethod
    def of(cls, problem: Problem, design: MLPDesign, rows: Indices, target: NDArray[Any], device: Any) -> Rows:
        """Make tensors of the problem's rows; `target` holds the answers of exactly these."""
        torch = torch_library()
        matrix = problem.matrix[rows]
        weight = np.ones(len(rows)) if problem.weight is None else problem.weight[rows]
        return cls(
            torch.as_tensor(design.numbers(matrix), dtype=torch.float32, device=device),
            torch.as_tensor(design.marks(matrix), dtype=torch.float32, device=device),
            torch.as_tensor(design.positions(matrix), dtype=torch.int64, device=device),
            torch.as_tensor(
                target, dtype=torch.int64 if problem.task is Task.MULTICLASS else torch.float32, device=device
            ),
            torch.as_tensor(weight / weight.mean(), dtype=torch.float32, device=device),
        )

    def __len__(self) -> int:
        return len(self.target)

    def at(self, rows: Any) -> Rows:
        """Return some of the rows: a slice, or a tensor of row numbers."""
        return Rows(self.numbers[rows], self.marks[rows], self.positions[rows], self.target[rows], self.weight[rows])

    def batches(self, size: int, generator: Any) -> Iterator[Rows]:
        """Yield all rows once in random order, but for a rest that does not fill a batch."""
        order = torch_library().randperm(len(self), generator=generator).to(self.target.device)
        mixed = self.at(order)
        for start in range(0, len(self) - size + 1, size):
            yield mixed.at(slice(start, start + size))


class Network:
    """The parameters of a network, their averages over the last steps, and what both say of rows."""

    def __init__(self, design: MLPDesign, hidden: Sequence[int], outputs: int, *, generator: Any, device: Any) -> None:
        torch = torch_library()
        self._functional = torch.nn.functional
        self.depth = len(hidden)
        numbers, marks = len(design.number), len(design.flag) + len(design.level_of)
        widths = (numbers * (1 + _MADE) + marks + len(design.code_of) * _TABLE_WIDTH, *hidden, outputs)

        def even(*shape: int) -> Any:
            return 2.0 * torch.rand(shape, generator=generator) - 1.0

        def normal(*shape: int) -> Any:
            return torch.randn(shape, generator=generator)

        start = {
            "frequency": _SIGMA * normal(numbers, _WAVES),
            "phase": 0.5 * even(numbers, _WAVES),
            "mix": even(numbers, _WAVES, _MADE) * _WAVES**-0.5,
            "mix_bias": even(numbers, _MADE) * _WAVES**-0.5,
            "table": normal(int(design.sizes.sum()), _TABLE_WIDTH),
            "scale": torch.ones(widths[0]),
        }
        start["table"][np.cumsum(design.sizes) - design.sizes] = 0.0  # What was never seen says nothing.
        for layer, (width, wide) in enumerate(pairwise(widths)):
            start[f"weight_{layer}"] = normal(width, wide)
            start[f"bias_{layer}"] = torch.zeros(wide)
        self.parameters = {name: tensor.to(device).requires_grad_() for name, tensor in start.items()}
        self._averages = {name: tensor.detach().clone() for name, tensor in self.parameters.items()}

    def scores(self, rows: Rows, drop: Callable[[Any], Any]) -> Any:
        """Return (n, outputs) to learn from; `drop` is applied to hidden units."""
        return self._scores(self.parameters, rows, drop)

    def settled_scores(self, rows: Rows) -> Any:
        """Return what the averages say of any number of rows, (n, outputs)."""
        torch = torch_library()
        chunks = (rows.at(slice(start, start + _CHUNK)) for start in range(0, len(rows), _CHUNK))
        with torch.no_grad():
            return torch.cat([self._scores(self._averages, chunk, None) for chunk in chunks])

    def settle(self, share: float) -> None:
        """Move the averages by that share towards the parameters as they are now."""
        with torch_library().no_grad():
            for name, average in self._averages.items():
                average.lerp_(self.parameters[name], share)

    def settled(self) -> dict[str, Any]:
        """Return the averages as they are now."""
        return {name: average.clone() for name, average in self._averages.items()}

    def _scores(self, own: dict[str, Any], rows: Rows, drop: Callable[[Any], Any] | None) -> Any:
        hidden = self._inputs(own, rows)
        for layer in range(self.depth):
            hidden = self._functional.silu(self._through(own, layer, hidden))
            hidden = hidden if drop is None else drop(hidden)
        return self._through(own, self.depth, hidden)

    def _through(self, own: dict[str, Any], layer: int, hidden: Any) -> Any:
        weight = own[f"weight_{layer}"]
        return own[f"bias_{layer}"].addmm(hidden, weight, alpha=weight.shape[0] ** -0.5)

    def _inputs(self, own: dict[str, Any], rows: Rows) -> Any:
        torch = torch_library()
        waves = torch.cos(2.0 * pi * (rows.numbers[:, :, None] * own["frequency"] + own["phase"]))
        mixed = torch.baddbmm(own["mix_bias"][:, None, :], waves.transpose(0, 1), own["mix"]).transpose(0, 1)
        levels = self._functional.embedding(rows.positions, own["table"])
        return torch.cat([rows.numbers, mixed.flatten(1), rows.marks, levels.flatten(1)], dim=1) * own["scale"]

    def start_from(self, rows: Rows, generator: Any) -> None:
        """Give every unit spread 1 on a sample of the rows, and its zero at a random mix of five of them."""
        torch = torch_library()
        sample = rows.at(torch.randperm(len(rows), generator=generator)[:_START_ROWS])
        with torch.no_grad():
            hidden = self._inputs(self.parameters, sample)
            for layer in range(self.depth + 1):
                score = self._through(self.parameters, layer, hidden)
                spread = score.std(dim=0, correction=0).clamp_min(1e-3)
                shape = (_MIXED_ROWS, score.shape[1])
                shares = -torch.rand(shape, generator=generator).clamp_min(1e-6).log()
                picked = torch.randint(len(sample), shape, generator=generator).to(score.device)
                shares = (shares / shares.sum(dim=0)).to(score.device)
                self.parameters[f"weight_{layer}"] /= spread
                self.parameters[f"bias_{layer}"] -= (shares * score.gather(0, picked)).sum(dim=0) / spread
                hidden = self._functional.silu(self._through(self.parameters, layer, hidden))

    def groups(self) -> list[dict[str, Any]]:
        """Return the parameters for an optimiser, by their learning rate relative to the weights'."""
        factors = {name: _FACTORS.get(name.split("_")[0], _SLOW_FACTOR) for name in self.parameters}
        return [
            {"params": [self.parameters[name] for name in factors if factors[name] == factor], "factor": factor}
            for factor in sorted(set(factors.values()))
        ]


def plain_arrays(parameters: dict[str, Any], *, factor: float, shift: float) -> dict[str, Floats]:
    """Return the arrays of an `MLPMember` whose scores are `factor` times the network's, plus `shift`."""
    arrays: dict[str, Floats] = {name: tensor.cpu().numpy().astype(np.float64) for name, tensor in parameters.items()}
    arrays["weight_0"] *= arrays.pop("scale")[:, None]
    weights = sorted(name for name in arrays if name.startswith("weight_"))
    for name in weights:
        arrays[name] *= len(arrays[name]) ** -0.5
    bias = weights[-1].replace("weight", "bias")
    arrays[weights[-1]] *= factor
    arrays[bias] = arrays[bias] * factor + shift
    return arrays
