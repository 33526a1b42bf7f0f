"""Log records as Sumo Logic's messages: a map of lower-case fields to texts."""

from __future__ import annotations

import zlib

from airflow_cd.demo.telemetry import LogRecord

Row = dict[str, str]

MESSAGE_FIELDS: tuple[tuple[str, str], ...] = (
    ("_messageid", "long"),
    ("_sourceid", "long"),
    ("_sourcename", "string"),
    ("_sourcehost", "string"),
    ("_sourcecategory", "string"),
    ("_format", "string"),
    ("_size", "long"),
    ("_messagetime", "long"),
    ("_receipttime", "long"),
    ("_messagecount", "int"),
    ("_raw", "string"),
    ("_source", "string"),
    ("_collectorid", "long"),
    ("_collector", "string"),
    ("_blockid", "long"),
)
"""Name and type of every field a message has."""

_FORMAT = "t:full:o:0:l:24:p:yyyy-MM-dd'T'HH:mm:ss.SSSZ"


def message(record: LogRecord, number: int = 0) -> Row:
    """A record as a message.

    :param number: its place within its source.
    """
    collector = f"demo-{record.environment}"
    return {
        "_messageid": str(record.id),
        "_sourceid": str(zlib.crc32(record.path.encode())),
        "_sourcename": record.path,
        "_sourcehost": record.instance,
        "_sourcecategory": f"{record.environment}/shop",
        "_format": _FORMAT,
        "_size": str(len(record.text.encode())),
        "_messagetime": str(record.time_ms),
        "_receipttime": str(record.arrival_ms),
        "_messagecount": str(number),
        "_raw": record.text,
        "_source": "shop",
        "_collectorid": str(zlib.crc32(collector.encode())),
        "_collector": collector,
        "_blockid": str(record.id >> 20),
    }
