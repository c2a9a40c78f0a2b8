"""Answers as arrays, or as the frames that `set_output` asked for."""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
from numpy.typing import NDArray

CONTAINERS: Final[dict[str, Any]] = {
    "default": None,
    "pandas": nw.Implementation.PANDAS,
    "polars": nw.Implementation.POLARS,
}


def in_container(values: NDArray[Any], names: list[str], *, container: str, like: Any) -> Any:
    """Return values (n,) as a series or (n, k) as a frame of the container's library; arrays stay by default.

    In pandas the rows keep the index of `like`, where it has one.
    """
    library = CONTAINERS[container]
    if library is None:
        return values
    if values.ndim == 1:
        native = nw.new_series(names[0], values.tolist(), backend=library).to_native()
    else:
        columns = {name: values[:, at] for at, name in enumerate(names)}
        native = nw.from_dict(columns, backend=library).to_native()
    if container == "pandas" and nw.dependencies.is_pandas_dataframe(like):
        native.index = like.index
    return native
