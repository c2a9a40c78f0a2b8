"""Load a stored model and make it reproduce its stored rows, so that a damaged one never takes office."""

from __future__ import annotations

from tenure.core.errors import ArtifactError, BundleError
from tenure.core.ports import Context
from tenure.model.scorer import Scorer


def verify(ctx: Context, model: str, whose: str) -> None:
    """Load a bundle and make it reproduce its stored rows.

    Raises:
        BundleError: it is missing or damaged, or does not reproduce them.
    """
    try:
        Scorer.load(ctx.artifacts.get_tree(model), verify=True)
    except (ArtifactError, BundleError) as error:
        raise BundleError(
            f"The stored model of {whose} cannot take office, and nothing was changed. {error.message}",
            where=error.where,
            hint="Choose another version (tenure history lists them), or train a new one with: tenure run",
        ) from error
