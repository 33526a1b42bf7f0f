"""Kubernetes' own commands, built from its Go modules once and kept; as a module into the folder that it is given.

Python's standard library is enough for it, so that it can begin before anything is installed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.real.compiling import compiled, go

VERSION = "1.34.4"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")


def build(cache: Path) -> Path:
    """The folder with the commands; the first time it takes minutes.

    :param cache: used by one at a time; whoever comes second waits.
    """
    # Go builds in a folder of its own, from where a relative path leads elsewhere.
    cache = cache.resolve()
    folder = cache / f"kubernetes-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (cache / "kubernetes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / command).exists() for command in COMMANDS):
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="airflow-cd-kubernetes-") as temporary:
        work = Path(temporary)
        (work / "go.mod").write_text("module kube\n\ngo 1.24.0\n")
        listed = go(work, "mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}")
        source = Path(json.loads(listed)["Dir"])
        (work / "go.mod").write_text(_module((source / "go.mod").read_text()))
        imports = "\n".join(f'import _ "k8s.io/kubernetes/cmd/{command}/app"' for command in COMMANDS)
        (work / "kube.go").write_text(f"package kube\n\n{imports}\n")
        go(work, "mod", "tidy")
        compiled(work, folder, *(f"k8s.io/kubernetes/cmd/{command}" for command in COMMANDS))


def _module(original: str) -> str:
    """The module file: replacements of a dependency by its own folders do not count, its published modules do."""
    staging = re.findall(r"(k8s\.io/[a-z0-9-]+) => \./staging", original)
    patch = VERSION.partition(".")[2]
    replaced = "\n".join(f"\t{module} => {module} v0.{patch}" for module in staging)
    required = f"require k8s.io/kubernetes v{VERSION}"
    return f"module kube\n\ngo 1.24.0\n\ngodebug default=go1.24\n\n{required}\n\nreplace (\n{replaced}\n)\n"


def missing() -> str:
    """Why no cluster can be built and started here, ``""`` when one can."""
    tools = ("go", "etcd", "containerd", "runc", "ctr", "iptables", "conntrack", "ip", "nsenter", "openssl", "setpriv")
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if not Path("/usr/lib/cni/bridge").exists():
        absent.append("containernetworking-plugins")
    if not Path("/bin/busybox").exists():
        absent.append("busybox-static")
    if absent:
        return f"there is no {', '.join(absent)} on this machine"
    return "" if os.geteuid() == 0 else "a cluster is started by root alone"


if __name__ == "__main__" and not missing():
    build(Path(sys.argv[1]))
