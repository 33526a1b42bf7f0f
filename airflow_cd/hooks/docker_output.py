"""What a container has written, as its Docker host hands it out: in blocks of bytes, with a terminal or without."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

_BLOCK = 64 * 1024


def blocks(client: Any, container: str, **asked: Any) -> Generator[bytes, None, None]:
    """Read a container's log with stamps until its end, block by block.

    :param client: of the Docker host, the SDK's.
    :param container: its id.
    :param asked: ``stdout``, ``stderr``, ``since`` and ``until``, as the SDK's ``logs`` has them.
    """
    stream = client.logs(container, timestamps=True, stream=True, follow=False, **asked)
    terminal = False
    try:
        # The SDK's own iterator ends quietly where the connection breaks, as if that were all.
        for number, chunk in enumerate(getattr(stream, "_stream", stream)):
            # Of a terminal it makes texts in an encoding that it guesses, or single bytes; no stamp is so short.
            terminal = number == 0 and (isinstance(chunk, str) or len(chunk) == 1)
            if terminal:
                break
            yield chunk
    finally:
        # Closed by itself the stream leaves its socket behind.
        close = getattr(getattr(stream, "_response", stream), "close", None)
        if close is not None:
            close()
    if terminal:
        yield from _of_a_terminal(client, container, asked)


def _of_a_terminal(client: Any, container: str, asked: dict[str, Any]) -> Iterator[bytes]:
    given = {name: int(value) for name, value in asked.items()}
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/logs"
    with client.get(url, params={"timestamps": 1, **given}, stream=True, timeout=client.timeout) as response:
        response.raise_for_status()
        yield from response.iter_content(_BLOCK)
