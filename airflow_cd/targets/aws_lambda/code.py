"""What an artifact is on Lambda: an image, an archive in S3, or code that is there already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_cd.errors import TargetRejected

CODE = "sha256:"
"""Beginning of the artifact of a version that something else has published from an archive."""

_S3 = re.compile(r"s3://(?P<bucket>[^/#]+)/(?P<key>[^#]+)(?:#(?P<version>[^#]+))?")


def code_of(artifact: str, package: str) -> dict[str, str]:
    """The arguments by which Lambda takes an artifact.

    :param artifact: the name of an image, or ``s3://bucket/key`` with ``#version`` of the object where it has one.
    :param package: what the function is made of, ``Image`` or ``Zip``.
    :raises TargetRejected: the function cannot be made of that.
    """
    archive = _S3.fullmatch(artifact)
    if package == "Image":
        if archive or artifact.startswith(CODE):
            raise _other(artifact, "an image, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:1.2")
        return {"ImageUri": artifact}
    if archive is None:
        raise _other(artifact, "an archive, such as s3://releases/shop-1.2.zip, or s3://releases/shop.zip#<version>")
    version = {"S3ObjectVersion": archive["version"]} if archive["version"] else {}
    return {"S3Bucket": archive["bucket"], "S3Key": archive["key"], **version}


def artifact_of(version: Mapping[str, Any]) -> str:
    """The artifact of a version that something else has published.

    :param version: ``Configuration`` and ``Code``, as Lambda answers them.
    """
    code = version.get("Code") or {}
    return str(code.get("ImageUri") or f"{CODE}{version['Configuration'].get('CodeSha256', '')}")


def _other(artifact: str, wanted: str) -> TargetRejected:
    return TargetRejected(
        f"{artifact} is nothing that this function can be made of: give {wanted}.", state="nothing was changed."
    )
