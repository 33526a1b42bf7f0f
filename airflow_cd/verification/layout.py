"""Where the dots of a report are: events whose messages are alike lie near each other.

Templates become TF-IDF vectors of character n-grams, which a truncated SVD lays flat. Both are seeded, and the
events are sorted first, so the same events always give the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.verdict import Event

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.05
_LENGTH = 400  # characters of a template that are looked at
_FEATURES = 4_096


def placed(events: Sequence[Event]) -> list[Event]:
    """The events in their order, with ``x`` and ``y`` between 0 and 1."""
    order = sorted(range(len(events)), key=lambda position: (events[position].id, events[position].template))
    points = _points([events[position].template[:_LENGTH] for position in order])
    result = list(events)
    for (x, y), position in zip(points, order, strict=True):
        result[position] = replace(events[position], x=round(float(x), 4), y=round(float(y), 4))
    return result


def _points(texts: Sequence[str]) -> np.ndarray:
    import numpy as np

    if len(texts) < 3:
        return np.array([[(number + 1) / (len(texts) + 1), 0.5] for number in range(len(texts))]).reshape(-1, 2)
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=_FEATURES, sublinear_tf=True)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # nothing but white space
        vectors = None
    if vectors is None or vectors.shape[1] < 3:
        return np.array([[(number + 1) / (len(texts) + 1), 0.5] for number in range(len(texts))])
    with np.errstate(invalid="ignore"):  # events that are all alike have no variance to explain
        flat = TruncatedSVD(n_components=2, random_state=0, n_iter=4).fit_transform(vectors)
    return _spread(_even(flat))


def _even(flat: np.ndarray) -> np.ndarray:
    """Half place, half rank: keeps neighbours together without leaving all dots in one corner."""
    import numpy as np

    low, high = flat.min(axis=0), flat.max(axis=0)
    scaled = (flat - low) / np.where(high > low, high - low, 1.0)
    ranks = np.argsort(np.argsort(flat, axis=0, kind="stable"), axis=0, kind="stable") / max(1, len(flat) - 1)
    return MARGIN + (1.0 - 2.0 * MARGIN) * (scaled + ranks) / 2.0


def _spread(points: np.ndarray) -> np.ndarray:
    """Push dots that hide each other apart, a little, the same way every time."""
    import numpy as np

    cell = min(0.03, 0.6 / np.sqrt(len(points)))
    taken: set[tuple[int, int]] = set()
    moved = points.copy()
    for number, (x, y) in enumerate(points):
        for step in range(400):
            # A sunflower spiral: radius grows with the root of the step, the angle by the golden one.
            radius, angle = cell * np.sqrt(step), step * 2.39996
            at = (
                float(np.clip(x + radius * np.cos(angle), MARGIN / 2, 1 - MARGIN / 2)),
                float(np.clip(y + radius * np.sin(angle), MARGIN / 2, 1 - MARGIN / 2)),
            )
            key = (int(at[0] / cell), int(at[1] / cell))
            if key not in taken:
                taken.add(key)
                moved[number] = at
                break
    return moved
