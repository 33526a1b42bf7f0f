"""How the parts of a cluster are started, and the files they read."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.real.engine import run

NODE = "node0"
NODE_ADDRESS = "10.201.0.1"
"""Of the node, inside its namespace."""
PODS, SERVICES = "10.202.0.0/16", "10.96.0.0/16"


@dataclass(frozen=True)
class Place:
    """What a cluster has on this machine that no other one may have at the same time.

    :param number: one digit, so that no folder's name begins with another's.
    """

    number: int

    @property
    def folder(self) -> Path:
        """Of its files: short, as a socket's path has to be, and always the same, so that leftovers are found."""
        return Path(tempfile.gettempdir()) / f"airflow-cd-cluster{self.number}"

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"airflow-cd-cluster{self.number}"

    @property
    def link(self) -> str:
        """This machine's end of the link to it."""
        return f"acd-k8s{self.number}"

    @property
    def machine_address(self) -> str:
        """Of this machine, on the link."""
        return f"10.203.{self.number}.1"

    @property
    def address(self) -> str:
        """Of the cluster, on the link."""
        return f"10.203.{self.number}.2"


def write(folder: Path, token: str, address: str) -> None:
    """Write certificates, tokens and the files of containerd and kubelet."""
    for name in ("certs", "etcd", "cni", "run", "containerd", "kubelet", "log"):
        (folder / name).mkdir(exist_ok=True)
    _certificates(folder / "certs", address)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    (folder / "containerd.toml").write_text(_containerd(folder))
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_pod_network(folder)))
    (folder / "kubelet.yaml").write_text(json.dumps(_kubelet(folder)))


def etcd(folder: Path) -> list[str]:
    """The command of etcd."""
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        *("etcd", "--data-dir", str(folder / "etcd"), "--initial-cluster", f"default={peer}"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        "--unsafe-no-fsync",
    ]


def apiserver(folder: Path, certificates: Path) -> list[str]:
    """The command of the API server."""
    return [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        f"--advertise-address={NODE_ADDRESS}",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates / 'accounts.key'}",
        f"--service-account-signing-key-file={certificates / 'accounts.key'}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    ]


def controllers(folder: Path) -> dict[str, list[str]]:
    """The commands of what works with the API, by name."""
    config, certificates = f"--kubeconfig={folder / 'admin.conf'}", folder / "certs"
    return {
        "kube-controller-manager": [
            "kube-controller-manager",
            config,
            f"--service-account-private-key-file={certificates / 'accounts.key'}",
            f"--root-ca-file={certificates / 'ca.crt'}",
            "--leader-elect=false",
            "--profiling=false",
            "--horizontal-pod-autoscaler-sync-period=1s",
        ],
        "kube-scheduler": ["kube-scheduler", config, "--leader-elect=false", "--profiling=false"],
        "kubelet": [
            "kubelet",
            f"--config={folder / 'kubelet.yaml'}",
            config,
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
            f"--root-dir={folder / 'kubelet'}",
            f"--cert-dir={folder / 'kubelet-certs'}",
        ],
        "kube-proxy": [
            "kube-proxy",
            config,
            f"--hostname-override={NODE}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            f"--cluster-cidr={PODS}",
        ],
    }


def mounts_in(folder: Path) -> list[str]:
    """What is mounted in the folder, the innermost first."""
    places = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((str(place) for place in places if place.is_relative_to(folder)), reverse=True)


def _certificates(folder: Path, address: str) -> None:
    """An authority, and a certificate of the API server that clients can check."""
    run(["openssl", "genrsa", "-out", str(folder / "accounts.key"), "2048"])
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    run(
        [
            *(*request, "-x509", "-days", "30", "-subj", "/CN=airflow-cd-tests"),
            *("-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt")),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        ]
    )
    server = ("-keyout", str(folder / "apiserver.key"), "-out", str(folder / "apiserver.csr"))
    run([*request, "-subj", "/CN=kube-apiserver", *server])
    names = ["IP:127.0.0.1", f"IP:{NODE_ADDRESS}", f"IP:{address}", "IP:10.96.0.1", "DNS:localhost"]
    (folder / "names").write_text(f"subjectAltName={','.join([*names, 'DNS:kubernetes.default.svc'])}\n")
    signing = ("-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", "30")
    run(
        [
            *("openssl", "x509", "-req", "-in", str(folder / "apiserver.csr"), *signing),
            *("-out", str(folder / "apiserver.crt"), "-extfile", str(folder / "names")),
        ]
    )


def _containerd(folder: Path) -> str:
    plugin = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{folder / "containerd"}"
state = "{folder / "run"}"
[grpc]
  address = "{folder / "run" / "containerd.sock"}"
[{plugin}]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [{plugin}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder / "cni"}"
  [{plugin}.containerd]
    snapshotter = "overlayfs"
    [{plugin}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _pod_network(folder: Path) -> dict[str, object]:
    addresses = {"type": "host-local", "dataDir": str(folder / "run" / "ipam"), "ranges": [[{"subnet": PODS}]]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{**bridge, "ipam": addresses}, {"type": "loopback"}]}


def _kubelet(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder / 'run' / 'containerd.sock'}",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "registerNode": True,
        "maxPods": 250,
        "address": "0.0.0.0",
        # Another cluster's kubelet deletes what it does not know.
        "podLogsDir": str(folder / "pods"),
        # The least there is: a pod fills a file in seconds.
        "containerLogMaxSize": "1Mi",
        "containerLogMonitorInterval": "3s",
        "readOnlyPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "5s",
    }


def base64_of(file: Path) -> str:
    """The content of a file as objects of Kubernetes have it."""
    return base64.b64encode(file.read_bytes()).decode()


def in_namespace(name: str, command: list[str]) -> str:
    """Run a command inside a cluster's network namespace and return what it printed."""
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{name}", *command], capture_output=True, text=True, check=True
    ).stdout
