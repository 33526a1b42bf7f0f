"""Finding a target by the name of its connection."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from airflow_cd import targets
from airflow_cd.pipeline.plan import described
from airflow_cd.targets import DockerTarget, HttpTarget, KubernetesTarget, Target, resolve_target, target_kinds


class Nomad:
    """A target of another package."""

    def __init__(self, conn_id: str, environment: str) -> None:
        self.conn_id, self.environment = conn_id, environment

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> Nomad:
        return cls(conn_id, environment)

    def nothing(self, *_: object, **__: object) -> list[Any]:
        return []

    instances = check = deploy = drain = restore = nothing


class Unfinished:
    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> Unfinished:
        return cls()


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Pretend that other packages are installed."""

    def install(**places: str) -> None:
        points = [EntryPoint(name.rstrip("_"), value, targets.GROUP) for name, value in places.items()]
        monkeypatch.setattr(targets, "entry_points", lambda group: points)
        targets._plugged_in.cache_clear()

    yield install
    targets._plugged_in.cache_clear()


def test_the_kind_is_what_stands_before_the_first_underscore() -> None:
    assert resolve_target("http_production_eu", "production") == HttpTarget("http_production_eu", "production")
    assert resolve_target("http", "dev") == HttpTarget(conn_id="http", environment="dev")


def test_a_target_is_taken_as_it_is() -> None:
    target = HttpTarget("anything", "production")
    assert resolve_target(target, "other") is target
    assert isinstance(target, Target)


@pytest.mark.parametrize("spec", ["ftp_production", "http-production", "", "_http"])
def test_an_unknown_kind_lists_the_known_ones(plug_in: Any, spec: str) -> None:
    plug_in(nomad=f"{__name__}:Nomad")
    with pytest.raises(ValueError, match=r"known kinds: http, .*, nomad") as caught:
        resolve_target(spec, "production")
    assert repr(spec) in str(caught.value)
    assert "'production'" in str(caught.value)


@pytest.mark.parametrize("spec", [object(), None, 7, HttpTarget])
def test_what_is_no_target_is_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match="neither a connection id nor a target"):
        resolve_target(spec, "production")


def test_another_package_adds_its_kind(plug_in: Any) -> None:
    plug_in(nomad=f"{__name__}:Nomad")
    target = resolve_target("nomad_production", "production")
    assert isinstance(target, Nomad)
    assert (target.conn_id, target.environment) == ("nomad_production", "production")
    assert target_kinds().items() >= {"http": HttpTarget, "nomad": Nomad}.items()


def test_a_built_in_kind_cannot_be_replaced(plug_in: Any) -> None:
    plug_in(http=f"{__name__}:Nomad")
    assert isinstance(resolve_target("http_x", "x"), HttpTarget)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"nomad": "no_such_module:Nomad"}, "cannot be loaded from no_such_module:Nomad"),
        ({"nomad": f"{__name__}:plug_in"}, "is not a class"),
        ({"nomad": f"{__name__}:Nomad", "nomad_": f"{__name__}:Unfinished"}, "is provided twice"),
        ({"nomad": f"{__name__}:Unfinished"}, "is not a target"),
    ],
)
def test_a_broken_kind_is_named_and_does_not_hinder_the_others(
    plug_in: Any, places: dict[str, str], words: str
) -> None:
    plug_in(**places)
    with pytest.raises(ValueError, match=words) as caught:
        resolve_target("nomad_production", "production")
    assert "'nomad'" in str(caught.value)
    assert isinstance(resolve_target("http_production", "production"), HttpTarget)


def test_the_specification_says_its_mistakes() -> None:
    assert HttpTarget("http_production", "production").mistakes() == []
    assert len(HttpTarget("", " ").mistakes()) == 2
    assert "control characters" in HttpTarget("http_x", "a\nb").mistakes()[0]
    assert ".." in HttpTarget("http_x", "..").mistakes()[0]
    assert "conn_id" in HttpTarget(7, "x").mistakes()[0]  # type: ignore[arg-type]


def test_the_specification_is_a_plain_value() -> None:
    target = HttpTarget("http_production", "production")
    assert repr(target) == "HttpTarget(conn_id='http_production', environment='production')"
    hook = target.hook
    for twin in (copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        assert (twin, hash(twin)) == (target, hash(target))
        assert twin.hook is not hook
    assert target.hook is hook


def test_a_pipeline_file_pays_little_for_it() -> None:
    program = (
        "import sys; from airflow_cd.targets import resolve_target; from airflow_cd.targets.rollout import wait_until;"
        "resolve_target('http_x', 'x'); resolve_target('docker_x', 'x').mistakes();"
        "print([m for m in ('airflow', 'requests', 'docker', 'pandas', 'pytest', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "spec",
    [
        "http_production",
        HttpTarget("http_production", "prod"),
        DockerTarget("docker_production", "prod", containers=["label=tier=web", "name=web-*"], hosts=["docker_eu1"]),
    ],
)
def test_a_target_that_was_described_is_the_same_target(spec: Any) -> None:
    described = targets.describe_target(spec, "production")
    assert described is not None
    assert targets.described_target(described) == targets.resolve_target(spec, "production")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("http_production", "HTTP deployment API: production (connection http_production)"),
        (
            DockerTarget("docker_eu", "prod", containers=["label=web", "name=web-*"], hosts=["docker_us"]),
            "Docker: containers label=web, name=web-* (connection docker_eu, docker_us)",
        ),
        (
            KubernetesTarget("kubernetes_eu", "prod", namespace="shop", route="web"),
            "Kubernetes: Deployment shop/prod, HTTPRoute web (connection kubernetes_eu)",
        ),
    ],
)
def test_people_see_kind_and_name_whatever_described_the_target(spec: Any, said: str) -> None:
    in_a_plan = described(targets.resolve_target(spec, "production"))
    for description in (targets.describe_target(spec, "production"), in_a_plan):
        assert str(targets.label_of(description)) == said


def test_a_target_of_somebody_elses_is_called_by_its_class() -> None:
    assert str(targets.label_of(described(Nomad("nomad_eu", "production")))).startswith("Nomad: production")
    assert str(targets.label_of({"kind": "uninstalled", "fields": {}, "environment": "x"})) == "uninstalled"
    assert targets.label_of(None) is None


def test_an_object_of_no_registered_kind_cannot_be_described() -> None:
    assert targets.describe_target(Nomad("x", "production"), "production") is None


def test_only_registered_kinds_are_made_from_a_description() -> None:
    with pytest.raises(ValueError, match="kind 'subprocess'"):
        targets.described_target({"kind": "subprocess", "fields": {"args": "id"}, "environment": "production"})
    with pytest.raises(ValueError, match="cannot be made as it was described"):
        targets.described_target({"kind": "http", "fields": {"no_such": 1}, "environment": "production"})
