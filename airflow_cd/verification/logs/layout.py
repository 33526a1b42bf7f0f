"""Where the dots of a report are: events whose messages are alike lie near each other.

Templates become TF-IDF vectors of character n-grams, reduced by a truncated SVD and joined into a tree by Ward's
linkage. The tree divides the picture: each of its branches gets a rectangle as large as what it holds, cut along the
longer side, with a gap that grows with how unlike the two halves are (a treemap after Johnson and Shneiderman 1991,
"Tree-maps"). So every dot has room of its own however many there are, and a family of messages is one patch.

The tree is made of the known events alone; each unknown one moves in with the known one that is most like it. So the
picture of a service stays the same from deployment to deployment as long as its known events do. The events are
sorted first and all else is seeded: the same events always give the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.verdict import Event, EventKind

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.04
ASPECT = 1.8  # width of the picture for its height: between a wide screen's and a phone's
_FEWEST_KNOWN = 3
_FAMILY = 0.9  # distance of unit vectors up to which unknown events are one family; about a cosine of 0.6
_LENGTH = 400  # characters of a template that are looked at
_FEATURES = 4_096
_DIMENSIONS = 60
_GAP = 0.5  # between two halves where nothing is more unlike, in lengths of the smaller one
_TIGHTEST = 0.3  # of the area of a rectangle that a family takes, when it is nothing but variants of one message
_ROOM_OF_A_DOT = 0.015  # share of the picture below which no family is drawn together any further
_ROOM_OF_A_RISK = 0.012  # share of the picture: a numbered dot and a little air on a phone
_MOST_ROOM_OF_RISKS = 0.6


def lay_out(events: Sequence[Event]) -> list[Event]:
    """Give each event its place in the report's picture.

    :param events: of one comparison; the same events always get the same places.
    :returns: the events in their order, with ``x`` and ``y`` between 0 and 1.
    """
    order = sorted(range(len(events)), key=lambda position: (events[position].id, events[position].template))
    known = [position for position in order if events[position].kind is not EventKind.UNKNOWN]
    if len(known) < _FEWEST_KNOWN:
        known = order
    order = [*known, *(position for position in order if position not in set(known))]
    ordered = [events[position] for position in order]
    points = _points([event.template[:_LENGTH] for event in ordered], _weights(ordered), len(known))
    result = list(events)
    for (x, y), position in zip(points, order, strict=True):
        result[position] = replace(events[position], x=round(float(x), 4), y=round(float(y), 4))
    return result


def _weights(events: Sequence[Event]) -> list[float]:
    """How much room each event gets: where there are many, a risk gets more, so that none hides another."""
    risks = sum(event.risk for event in events)
    others = len(events) - risks
    if not risks or not others:
        return [1.0] * len(events)
    share = min(_ROOM_OF_A_RISK, _MOST_ROOM_OF_RISKS / risks)
    weight = max(1.0, share * others / (1.0 - share * risks))
    return [weight if event.risk else 1.0 for event in events]


def _points(texts: Sequence[str], weights: Sequence[float], known: int) -> np.ndarray:
    """Places of the texts, of which so many, the first, are known."""
    import numpy as np

    found = _vectors(texts, known) if len(texts) > 2 else None
    if found is None:
        return np.array([[(number + 1) / (len(texts) + 1), 0.5] for number in range(len(texts))]).reshape(-1, 2)
    homes = _homes(found[:known], found[known:])
    room = np.array(weights[:known])
    np.add.at(room, homes, weights[known:])
    points = np.zeros((len(texts), 2))
    for leaf, (corner, size) in enumerate(_Treemap(found[:known], room).rectangles()):
        members = [leaf, *(known + int(at) for at in np.flatnonzero(homes == leaf))]
        for member, place in _shared(members, weights, corner, size):
            points[member] = place / (ASPECT, 1.0)
    return MARGIN + (1.0 - 2.0 * MARGIN) * points


def _homes(known: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """For each unknown text the known one it is placed beside: where those like it, taken together, fit best."""
    import numpy as np

    families = np.zeros(len(unknown), dtype=int)
    if len(unknown) > 1:
        from scipy.cluster.hierarchy import fcluster, linkage

        families = fcluster(linkage(unknown, "average"), _FAMILY, "distance")
    homes = np.zeros(len(unknown), dtype=int)
    for family in np.unique(families):
        homes[families == family] = int(np.argmax(known @ unknown[families == family].mean(axis=0)))
    return homes


def _shared(
    members: Sequence[int], weights: Sequence[float], corner: np.ndarray, size: np.ndarray
) -> list[tuple[int, np.ndarray]]:
    """The middle of each member's part of a rectangle that is halved along its longer side."""
    if len(members) == 1:
        return [(members[0], corner + size / 2)]
    axis = 0 if size[0] >= size[1] else 1
    first, second = members[: len(members) // 2], members[len(members) // 2 :]
    share = sum(weights[member] for member in first) / sum(weights[member] for member in members)
    sizes, start = (size.copy(), size.copy()), corner.copy()
    sizes[0][axis] *= share
    sizes[1][axis] *= 1.0 - share
    start[axis] += sizes[0][axis]
    return [*_shared(first, weights, corner, sizes[0]), *_shared(second, weights, start, sizes[1])]


def _vectors(texts: Sequence[str], known: int) -> np.ndarray | None:
    """One vector of length 1 for each text, alike where the texts are; None when there is nothing in them.

    Learned from the known ones, the first, alone.
    """
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=_FEATURES, sublinear_tf=True)
    try:
        found = vectorizer.fit_transform(texts[:known])
    except ValueError:  # nothing but white space
        return None
    dimensions = min(_DIMENSIONS, known - 1, found.shape[1] - 1)
    if dimensions < 2:
        return None
    reduction = TruncatedSVD(n_components=dimensions, random_state=0, n_iter=4)
    with np.errstate(divide="ignore", invalid="ignore"):  # events that are all alike have no variance to explain
        vectors = reduction.fit_transform(found)
    if known < len(texts):
        vectors = np.concatenate([vectors, reduction.transform(vectorizer.transform(texts[known:]))])
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


class _Treemap:
    """A tree of likeness, laid out in a rectangle of :data:`ASPECT` by 1.

    Nodes are numbered as scipy does it: the texts first, then each pair that was joined, the whole last.
    """

    def __init__(self, vectors: np.ndarray, weights: np.ndarray) -> None:
        import numpy as np
        from scipy.cluster.hierarchy import linkage

        joined = linkage(vectors, "ward")
        self.leaves = len(vectors)
        self.halves = joined[:, :2].astype(int)
        self.unlike = joined[:, 2] / (joined[-1, 2] or 1.0)
        self.weight = np.concatenate([weights, np.zeros(self.leaves - 1)])
        # Where a node lies along the two main directions: decides which half goes left, and which on top.
        self.centre = np.concatenate([vectors[:, :2], np.zeros((self.leaves - 1, 2))])
        for number, (one, other) in enumerate(self.halves, self.leaves):
            self.weight[number] = self.weight[one] + self.weight[other]
            both = self.centre[one] * self.weight[one] + self.centre[other] * self.weight[other]
            self.centre[number] = both / self.weight[number]

    def rectangles(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Corner and size of each text's rectangle."""
        import numpy as np

        places = [(np.zeros(2), np.zeros(2))] * self.leaves
        waiting = [(2 * self.leaves - 2, np.zeros(2), np.array([ASPECT, 1.0]))]
        while waiting:
            node, corner, size = waiting.pop()
            if node < self.leaves:
                places[node] = (corner, size)
                continue
            axis = 0 if size[0] >= size[1] else 1
            first, second = self.halves[node - self.leaves]
            if self.centre[first, axis] > self.centre[second, axis]:
                first, second = second, first
            share = self.weight[first] / self.weight[node]
            gap = _GAP * self.unlike[node - self.leaves] * min(share, 1.0 - share)
            gap *= size[axis] / (1.0 + gap)
            length = (size[axis] - gap) * share
            sizes, start = (size.copy(), size.copy()), corner.copy()
            sizes[0][axis] = length
            sizes[1][axis] = size[axis] - gap - length
            start[axis] += length + gap
            for half, its_corner, its_size in ((int(first), corner, sizes[0]), (int(second), start, sizes[1])):
                waiting.append((half, *self._drawn_together(half, node, its_corner, its_size)))
        return places

    def _drawn_together(
        self, node: int, whole: int, corner: np.ndarray, size: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The node's rectangle, the smaller the more alike its texts are beside those of the whole."""
        import numpy as np

        if node < self.leaves:
            return corner, size
        alike = 1.0 - self.unlike[node - self.leaves] / (self.unlike[whole - self.leaves] or 1.0)
        area = size[0] * size[1]
        least = _ROOM_OF_A_DOT * ASPECT * self.weight[node]
        area = min(area, max(area * (1.0 - (1.0 - _TIGHTEST) * alike), least))
        short = min(float(np.sqrt(area)), size.min())
        drawn = np.minimum(size, area / short)
        return corner + (size - drawn) / 2, drawn
