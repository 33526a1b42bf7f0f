"""A Keycloak of its own: a realm as ``airflow keycloak-auth-manager create-all`` makes it, and two people in it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
VERSION = "26.0.7"
PROVIDER = "apache-airflow-providers-keycloak"
MANAGER = "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"
REALM, CLIENT = "airflow", "airflow"
PEOPLE = ("mallory", "boss")
START_SECONDS = 1200
_FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def missing() -> str:
    """Why there can be no Keycloak on this machine, ``""`` when there can."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"there is no {' and no '.join(absent)} on this machine" if absent else ""


def python(cache: Path) -> Path:
    """A Python that has what this one has, and the provider.

    :param cache: where its environment is made, and found the next time.
    """
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("airflow.providers.keycloak") is not None:
            return Path(sys.executable)
    folder = cache / "python"
    made = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        [site] = (folder / "lib").glob("python*/site-packages")
        below = [path for path in sys.path if path.endswith("site-packages")]
        # Above the packages of this one, which stay as they are.
        (site / "below.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in below))
        command = [made, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", PROVIDER]
        subprocess.run([*map(str, command)], check=True)
        (folder / "ready").touch()
    return made


def distribution(cache: Path) -> Path:
    """Keycloak's files, from Maven's repository.

    :param cache: where they are put, and found the next time.
    """
    home = cache / f"keycloak-{VERSION}"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        subprocess.run(
            ["mvn", "-q", "-B", _FETCH, f"-Dartifact={artifact}", f"-DoutputDirectory={cache}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        [archive] = cache.glob(f"*{VERSION}.zip")
        with zipfile.ZipFile(archive) as content:
            content.extractall(cache)
        archive.unlink()
        (home / "bin" / "kc.sh").chmod(0o755)
        (home / "ready").touch()
    return home


def attacked(cache: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Send every changing request to an API server whose auth manager is Keycloak's.

    :param cache: where Keycloak and its provider are kept.
    :param folder: for what is written meanwhile.
    """
    cache.mkdir(parents=True, exist_ok=True)
    command = [python(cache), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--show-capture=no"]
    with keycloak(cache, folder) as settings:
        return subprocess.run(
            [*map(str, command), "-o", "timeout=3000", "tests/attacks/test_changing_routes.py"],
            cwd=ROOT,
            env=os.environ | settings | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )


@contextlib.contextmanager
def keycloak(cache: Path, folder: Path) -> Iterator[Mapping[str, str]]:
    """A Keycloak; gives the environment variables of an Airflow that uses it.

    :param cache: where its files are.
    :param folder: for what it writes.
    """
    password = secrets.token_urlsafe(12)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    home = folder / "keycloak"
    shutil.copytree(distribution(cache), home)
    log = folder / "keycloak.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(home / "bin" / "kc.sh"), "start-dev", "--http-host=127.0.0.1", f"--http-port={port}"],
            env=os.environ | {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": password},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, address, log)
        yield _configured(address, password, python(cache))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/realms/master", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    raise RuntimeError(f"Keycloak does not answer: {log.read_text(errors='replace')[-3000:]}")


def _configured(address: str, password: str, interpreter: Path) -> Mapping[str, str]:
    """Make the realm, its client, its people and their permissions."""
    secret = secrets.token_urlsafe(24)
    form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": password}
    answer = httpx.post(f"{address}/realms/master/protocol/openid-connect/token", data=form, timeout=60)
    answer.raise_for_status()
    with httpx.Client(
        base_url=f"{address}/admin", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}, timeout=60
    ) as admin:
        _made(admin, "/realms", {"realm": REALM, "enabled": True, "accessTokenLifespan": 7200, "sslRequired": "none"})
        client = {
            "clientId": CLIENT, "secret": secret, "publicClient": False, "serviceAccountsEnabled": True,
            "authorizationServicesEnabled": True, "directAccessGrantsEnabled": True, "redirectUris": ["*"],
            # One permission of several is enough: each role brings one of its own.
            "authorizationSettings": {"decisionStrategy": "AFFIRMATIVE"},
        }  # fmt: skip
        _made(admin, f"/realms/{REALM}/clients", client)
        for role in ("Viewer", "User", "Op", "Admin", "SuperAdmin"):
            _made(admin, f"/realms/{REALM}/roles", {"name": role})
        role = admin.get(f"/realms/{REALM}/roles/Admin").raise_for_status().json()
        for name in PEOPLE:
            person = {
                "username": name, "enabled": True, "email": f"{name}@x.test", "emailVerified": True,
                "firstName": name, "lastName": name,
                "credentials": [{"type": "password", "value": password, "temporary": False}],
            }  # fmt: skip
            _made(admin, f"/realms/{REALM}/users", person)
            [found] = admin.get(f"/realms/{REALM}/users", params={"username": name, "exact": True}).json()
            _made(admin, f"/realms/{REALM}/users/{found['id']}/role-mappings/realm", [role])
    settings = {
        "AIRFLOW__CORE__AUTH_MANAGER": MANAGER,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__SERVER_URL": address,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__REALM": REALM,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_ID": CLIENT,
        "AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_SECRET": secret,
        "ATTACKS_PASSWORD": password,
    }
    command = [str(interpreter), "-m", "airflow", "keycloak-auth-manager", "create-all", "--username", "admin"]
    done = subprocess.run(
        [*command, "--password", password],
        # It speaks to Keycloak alone; the database of an Airflow would only be told that it did.
        env=os.environ | settings | {"AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the realm cannot be made: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return settings


def _made(admin: httpx.Client, path: str, content: Any) -> None:
    answer = admin.post(path, json=content)
    if answer.status_code not in (200, 201, 204):
        raise RuntimeError(f"Keycloak refuses {path}: {answer.status_code} {answer.text}")
