"""Evaluations: what a config predicted for the test clips, and how that was scored, in one file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wavetag import files, scoring, splits


@dataclass(frozen=True)
class Evaluation:
    """One config on the test clips.

    Attributes:
        predictions: float32 [seeds, clips, tags], in the order of the split's test clips and tags.
        metrics: the scores, as in ``metrics/NAME.json``.
    """

    predictions: np.ndarray
    metrics: dict[str, Any]

    def where(self, chosen: np.ndarray) -> "Evaluation":
        """The same for some of the clips, bool [clips]: the metrics stay those of the views."""
        return Evaluation(self.predictions[:, chosen], self.metrics)


def score_views(
    test: splits.Split, predictions: np.ndarray, resamples: int, seed: int, decimals: int
) -> dict[str, Any]:
    """The scores of some predictions on each view of the test clips.

    Args:
        test: the test clips, all of them.
        predictions: [seeds, clips, tags].
        resamples: of the bootstrap over artists.
        seed: of the bootstrap.
        decimals: to which scores are rounded.

    Returns:
        As ``scoring.score_table`` gives them for the headline view, with ``view`` and ``test_clips`` beside; and under
        ``views`` the same for each other view that has a clip.
    """
    by_view = {}
    for name in splits.VIEWS:
        seen = test.view(name)
        if not seen.any():
            continue
        part = test.where(seen)
        artists = part.clips["artist"].to_numpy()
        scores = scoring.score_table(part.labels, predictions[:, seen], part.tags, artists, resamples, seed)
        by_view[name] = {**files.rounded(scores, decimals), "test_clips": len(part)}
    headline = by_view.pop(splits.TAGGED)
    return {"view": splits.TAGGED, **headline, "views": by_view}


def by_tag(test: splits.Split, predictions: np.ndarray, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """The scores of each tag, with intervals, on each view of the test clips that has a clip.

    Args:
        test: the test clips, all of them.
        predictions: [seeds, clips, tags].
        resamples: of the bootstrap over artists.
        seed: of the bootstrap.

    Returns:
        ``view``, then the columns of ``scoring.per_tag_table``.
    """
    parts = []
    for name in splits.VIEWS:
        seen = test.view(name)
        if seen.any():
            part = test.where(seen)
            artists = part.clips["artist"].to_numpy()
            rows = scoring.per_tag_table(part.labels, predictions[:, seen], part.tags, artists, resamples, seed)
            table = pd.DataFrame(rows)
            table.insert(0, "view", name)
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def write(path: str | Path, predictions: np.ndarray, metrics: Mapping[str, Any]) -> None:
    """Write predictions and metrics as one .npz, whole or not at all."""
    files.write_arrays(path, predictions=predictions.astype(np.float32), metrics=np.array(json.dumps(dict(metrics))))


def read(path: str | Path) -> Evaluation:
    """Read what ``write`` wrote. Raises ``ValueError`` that names the file if it is not there or not whole."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            predictions, metrics = arrays["predictions"], json.loads(str(arrays["metrics"]))
        if predictions.dtype != np.float32 or predictions.ndim != 3 or not isinstance(metrics, dict):
            raise ValueError("its predictions are not float32 [seeds, clips, tags], or its metrics no mapping")
        return Evaluation(predictions, metrics)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file: evaluate this config first") from error
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file; each means the same to a user
        said = files.one_line(error)
        raise ValueError(f"{path}: not a whole evaluation ({said}): evaluate this config again") from error
