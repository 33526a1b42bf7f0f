"""Times as evidence and reports write them: ISO 8601 in UTC, to the millisecond."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def iso_time(moment: datetime) -> str:
    """A time as text.

    :param moment: aware.
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def iso_time_of(milliseconds: int | None) -> str:
    """A number of milliseconds since 1970 as text, ``""`` for None.

    :param milliseconds: since 1970.
    """
    return "" if milliseconds is None else iso_time(datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc))


def iso_now() -> str:
    """The present time as text."""
    return iso_time(datetime.now(timezone.utc))


def milliseconds_of(times: pd.Series) -> np.ndarray:
    """A column of times as whole milliseconds since 1970.

    :param times: aware.
    """
    import numpy as np
    import pandas as pd

    utc = pd.to_datetime(times, utc=True).dt.as_unit("ns")
    return np.asarray(utc.astype("int64").to_numpy() // 1_000_000)
