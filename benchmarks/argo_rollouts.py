"""Argo Rollouts' controller and its plugin for kubectl, built from their Go module once and kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "1.9.0"
MODULE = "github.com/argoproj/argo-rollouts"
COMMANDS = ("rollouts-controller", "kubectl-argo-rollouts")


def build(cache: Path) -> Path:
    """The folder with the commands and, in ``crds``, the manifests that the controller needs.

    :param cache: where they are kept; the first time takes some minutes.
    """
    folder = cache.resolve() / f"argo-rollouts-{VERSION}"
    if all((folder / command).exists() for command in COMMANDS):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="airflow-cd-argo-") as temporary:
        work = Path(temporary)
        (work / "go.mod").write_text("module rollouts\n\ngo 1.24.0\n")
        source = Path(json.loads(_go(work, "mod", "download", "-json", f"{MODULE}@v{VERSION}"))["Dir"])
        original = (source / "go.mod").read_text()
        go = re.search(r"^go .*$", original, re.MULTILINE)
        replaced = original[original.index("\nreplace") :] if "\nreplace" in original else ""
        head = f"module rollouts\n\n{go.group() if go else 'go 1.24.0'}\n\nrequire {MODULE} v{VERSION}\n"
        (work / "go.mod").write_text(head + replaced)
        packages = (f"{MODULE}/controller", f"{MODULE}/pkg/kubectl-argo-rollouts/cmd")
        imports = "\n".join(f'import _ "{package}"' for package in packages)
        (work / "rollouts.go").write_text(f"package rollouts\n\n{imports}\n")
        _go(work, "mod", "tidy")
        commands = [f"{MODULE}/cmd/{command}" for command in COMMANDS]
        _go(work, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{folder}/", *commands)
        shutil.copytree(source / "manifests" / "crds", folder / "crds", dirs_exist_ok=True)
        shutil.copy(source / "manifests" / "notifications-install.yaml", folder / "crds")
    return folder


def _go(work: Path, *command: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(["go", *command], cwd=work, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"go {' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout
