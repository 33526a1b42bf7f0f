"""Reading a metric source: every bucket as it is by now, however often its window is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_cd.verification.pace import Rhythm, is_stalled
from airflow_cd.verification.reading import Instances, Patience, Reader
from airflow_cd.verification.samples import METRIC_COLUMNS, Metric, MetricSource, Window
from airflow_cd.verification.throttled_reading import read_sample

if TYPE_CHECKING:
    import pandas as pd

    from airflow_cd.verification.log_reading import Earlier

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class MetricReader(Reader):
    """A metric source, kept as rows; a bucket that is read again replaces what it held.

    :ivar metrics: the metrics that its last sample held.
    :ivar of_release: whether what it gives says something of the release as a whole: then only the canary is asked for,
        and nothing from before the deployment.

    :param source: the source; the others are as for :class:`Reader`.
    :param earlier: earlier phases of the same deployment, the first one first.
    """

    kind = "metrics"
    columns = ("metric", "value")

    def __init__(
        self,
        source: MetricSource,
        instances: Instances,
        since: datetime,
        patience: Patience,
        *,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(source, instances, since, patience)
        self.source = source
        self._earlier = earlier
        self.metrics: tuple[Metric, ...] = ()
        self._rows: pd.DataFrame | None = None
        self._past: pd.DataFrame | None = None
        self._already: pd.DataFrame | None = None
        self._bucket: timedelta | None = getattr(source, "bucket", None)
        self._whole_buckets = bool(getattr(source, "whole_buckets", False))
        self.of_release = bool(getattr(source, "of_release", False))

    @property
    def bucket_ms(self) -> int:
        """Width of its buckets in milliseconds, 0 while it is unknown."""
        return round(self._bucket.total_seconds() * 1000) if isinstance(self._bucket, timedelta) else 0

    def reachable(self, until: datetime, end: datetime) -> datetime:
        """Only whole buckets, until the very end: half a bucket beside whole ones compares badly."""
        return end if until >= self.over(end) else self.aligned(until)

    def over(self, end: datetime) -> datetime:
        """When the last bucket that begins within the time is over."""
        last = self.aligned(end)
        if not self._whole_buckets or last == end or not isinstance(self._bucket, timedelta):
            return end
        return last + self._bucket

    def aligned(self, moment: datetime) -> datetime:
        """The start of the bucket that holds a moment; whole ones begin at multiples of their width since 1970."""
        if not isinstance(self._bucket, timedelta) or self._bucket <= timedelta(0):
            return moment
        first = _EPOCH if self._whole_buckets else self.since
        return max(self.since, first + (moment - first) // self._bucket * self._bucket)

    def read_past(self) -> None:
        """Read all instances before the deployment: beside a control they show how much like ones differ.

        Without a control, read also those that had the release already while the phase before was watched.
        """
        if self.instances.before is None or self.of_release:
            return
        self._past = self._read(self.instances.before, self.instances.past)
        if self._earlier and not self.instances.control:
            self._already = self._read(self._earlier[-1].window, self._earlier[-1].canary)

    def read(self, window: Window, now: datetime, *, whole: bool) -> None:
        """Put the window's buckets in the place of what was read of them before."""
        found = self._read(window, self.instances.canary if self.of_release else self.instances.all)
        if self._rows is None:
            self._rows = found
            return
        again = (self._rows["time"] >= window.since) & (self._rows["time"] < window.until)
        self._learn_lag(self._rows[again], found[found["time"] < self.cursor], now)
        self._rows = _concatenated([self._rows[~again], found])

    @property
    def rows(self) -> int:
        """How many rows it keeps."""
        return len(self._rows) if self._rows is not None else 0

    def _learn_lag(self, before: pd.DataFrame, after: pd.DataFrame, now: datetime) -> None:
        """What grew since it was read first came late: by how much, at most, its age says."""
        import numpy as np
        import pandas as pd

        place = ["time", "instance"]
        old, new = (
            rows.assign(count=rows["count"].fillna(1)).groupby(place)["count"].sum() for rows in (before, after)
        )
        if not len(new):
            return
        grown = (new > old.reindex(new.index, fill_value=0)).to_numpy()
        starts = pd.to_datetime(new.index.get_level_values("time"), utc=True).astype("datetime64[ns, UTC]")
        seconds = starts.astype("int64").to_numpy() / 1e9
        # A bucket that lacked something when it was read last lacked what may be as young as its end.
        ages = self._pace.last_reads(seconds) - seconds - self.bucket_ms / 1000
        if self._whole_buckets:
            # The source itself gave nothing of it then, as it was not over for long enough.
            grown = grown & ~(ages < self.lag.guess.total_seconds())
        least = np.nan_to_num(ages)
        most = now.timestamp() - seconds
        names = list(new.index.get_level_values("instance"))
        self.lag.add(names, np.where(grown, least, 0.0), np.where(grown, most, 0.0), late=int(grown.sum()))

    def stalled_since(self, end: datetime) -> datetime | None:
        """The end of the newest bucket when data of all instances stopped there, as it never did before."""
        if self.of_release:
            return None  # what is given once is not behind
        rhythms = [Rhythm.of(self._rows, Window(self.since, end), self._bucket)] if self._rows is not None else []
        if not rhythms:
            return None
        past = Rhythm.of(self._past, self.instances.before, self._bucket) if self.instances.before is not None else None
        return is_stalled(rhythms[0], past if self._past is not None else None)

    @property
    def lag_of_errors_is_known(self) -> bool:
        """Whether the canary has shown an error, or the source has no metric of errors."""
        names = [metric.name for metric in self.metrics if metric.kind == "errors"]
        if not names or self._rows is None:
            return not names
        errors = self.frame(self.instances.canary)
        return bool((errors["metric"].isin(names) & (errors["value"] > 0)).any())

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Rows of these instances so far.

        :param names: of the instances.
        """
        rows = _concatenated([self._rows] if self._rows is not None else [])
        chosen: pd.DataFrame = rows[rows["instance"].isin(list(names))]
        return chosen

    def past(self) -> pd.DataFrame | None:
        """Rows of the canary's instances before the deployment; None when they were not needed."""
        return _concatenated([self._past]) if self._past is not None else None

    def already(self) -> pd.DataFrame | None:
        """Rows of the release itself in the phase before; None when they were not needed."""
        return _concatenated([self._already]) if self._already is not None else None

    def _read(self, window: Window, names: Sequence[str]) -> pd.DataFrame:
        sample = read_sample(self.source.read, window, names)
        self.note(sample, window)
        self.metrics = sample.metrics
        self._bucket = sample.bucket if self._bucket is None else self._bucket
        return sample.frame


def _concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(METRIC_COLUMNS))
