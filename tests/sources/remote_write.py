"""Native histograms for a real Prometheus, by its remote write protocol: protobuf, in snappy's frame of one literal."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.sources.metric_servers import free_port, running

SCHEMA = 1  # a bucket is half a power of two wide


def _varint(number: int) -> bytes:
    parts = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        parts.append(low | (0x80 if number else 0))
        if not number:
            return bytes(parts)


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _sized(place: int, content: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(content)) + content


def _double(place: int, number: float) -> bytes:
    return _varint(place << 3 | 1) + struct.pack("<d", number)


def histogram(at: float, total: float, counts: Mapping[float, int]) -> bytes:
    """One sample of a histogram.

    :param at: in seconds since 1970.
    :param total: sum of the measurements.
    :param counts: how many there are of each size, by the size.
    """
    places: dict[int, int] = {}
    for size, count in counts.items():
        place = math.ceil(math.log2(size) * 2**SCHEMA)
        places[place] = places.get(place, 0) + count
    spans, deltas, last, before = b"", b"", None, 0
    for place, count in sorted(places.items()):
        gap = place if last is None else place - last - 1
        spans += _sized(11, b"\x08" + _zigzag(gap) + b"\x10" + _varint(1))
        deltas += _zigzag(count - before)
        last, before = place, count
    return b"".join(
        [
            b"\x08" + _varint(sum(counts.values())),
            _double(3, total),
            b"\x20" + _zigzag(SCHEMA),
            _double(5, 1e-9),
            b"\x30" + _varint(0),
            spans,
            _sized(12, deltas),
            b"\x78" + _varint(round(at * 1000)),
        ]
    )


def write(url: str, series: Iterable[tuple[Mapping[str, str], Sequence[bytes]]]) -> None:
    """Write series of histograms.

    :param url: of the server.
    :param series: labels, and samples.
    """
    request = b""
    for labels, samples in series:
        named = b"".join(
            _sized(1, _sized(1, name.encode()) + _sized(2, value.encode())) for name, value in sorted(labels.items())
        )
        request += _sized(1, named + b"".join(_sized(4, sample) for sample in samples))
    packed = _varint(len(request))
    for start in range(0, len(request), 65_536):
        part = request[start : start + 65_536]
        packed += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    requests.post(f"{url}/api/v1/write", data=packed, headers=headers, timeout=30).raise_for_status()


@contextmanager
def prometheus(folder: Path) -> Any:
    """An empty Prometheus that takes native histograms; its address."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ]
    with running(command, f"{url}/-/ready", folder):
        yield url
