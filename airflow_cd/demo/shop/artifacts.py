"""The artifacts there are: which code each of them is. Cheap to import; the code itself is loaded by instances only."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_cd.demo.shop.releases.v1_0 import Shop

ARTIFACTS = {
    "shop:1.0": "v1_0",
    "shop:1.1": "v1_1",
    "shop:1.2": "v1_2",
    "shop:1.3": "v1_3",
    "shop:1.4": "v1_4",
}


def load(artifact: str) -> type[Shop]:
    """The shop that an artifact holds; raises :class:`KeyError` for one that does not exist."""
    module = importlib.import_module(f"airflow_cd.demo.shop.releases.{ARTIFACTS[artifact]}")
    shop: type[Shop] = module.Shop
    return shop
