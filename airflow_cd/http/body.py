"""The body of an answer: decompressed as it arrives, and never more of it than is wanted."""

from __future__ import annotations

import zlib

ACCEPTED = "gzip, deflate"
"""What is asked for; another encoding would have to be bounded, too."""
_CHUNK = 64 * 1024


class TooLarge(Exception):
    """The body is larger than is wanted."""


class Undecodable(Exception):
    """The body is in an encoding that nobody asked for, or is not in the one it claims."""


class Body:
    """Collects a body.

    :param encoding: the header ``Content-Encoding``, None where there is none.
    :param most: bytes that it may have, as it was sent and decompressed.
    :raises Undecodable: nobody asked for this encoding.
    """

    def __init__(self, encoding: str | None, most: int) -> None:
        self._most = most
        self._arrived = 0
        self._content = bytearray()
        # One encoding at most: two of them together make a megabyte of a few bytes.
        name = (encoding or "identity").strip().lower()
        if name not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise Undecodable(f"the answer is encoded as {name[:40]!r}, which was not asked for")
        self._compressed = name not in ("identity", "")
        self._decompress = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        self._begun = False

    def take(self, chunk: bytes) -> None:
        """Add what has arrived.

        :param chunk: as it was sent.
        :raises TooLarge: more is not wanted.
        :raises Undecodable: it cannot be decompressed.
        """
        self._arrived += len(chunk)
        if self._arrived > self._most:
            raise TooLarge
        if not self._compressed:
            self._content += chunk
            return
        try:
            self._inflate(chunk)
        except zlib.error as error:
            raise Undecodable(f"the answer cannot be decompressed: {error}") from error

    def content(self) -> bytes:
        """Return the whole body.

        :raises Undecodable: it ends in the middle of its compression.
        """
        if self._compressed and self._begun and not self._decompress.eof:
            raise Undecodable("the answer cannot be decompressed: it ends too early")
        return bytes(self._content)

    def _inflate(self, chunk: bytes) -> None:
        if not self._begun and chunk and chunk[0] & 0x0F != 8 and chunk[:1] != b"\x1f":
            # Some servers send "deflate" without zlib's header.
            self._decompress = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._begun = self._begun or bool(chunk)
        while chunk:
            self._content += self._decompress.decompress(chunk, _CHUNK)
            if len(self._content) > self._most:
                raise TooLarge
            chunk = self._decompress.unconsumed_tail
            if self._decompress.eof and self._decompress.unused_data:
                chunk = self._decompress.unused_data
                if chunk[:1] != b"\x1f":
                    return  # padding behind the last member
                self._decompress = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
