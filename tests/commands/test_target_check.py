"""``airflow-cd target check`` of a pipeline file: every environment, with the parameters that the file gives it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from airflow_cd.cli import main

FILE = """
from airflow_cd import Approval, Environment, Pipeline
from tests.commands.test_target_check import Pretended

dev = Environment("dev", target=Pretended("dev", "web"))
live = Environment("production", target=Pretended("production", "web", container={container!r}))
stages = [dev, Approval(approvers=["ada"]), live]
first, second = (Pipeline(name, service="shop", stages=stages).dag() for name in ("shop", "tax"))
"""


class Pretended:
    """A target whose container has to be called ``web``."""

    asked: list[str] = []  # noqa: RUF012 - of all of them

    def __init__(self, environment: str, deployment: str, container: str = "web") -> None:
        self.environment, self.deployment, self.container = environment, deployment, container

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pretended) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.environment)

    def instances(self):
        from airflow_cd.errors import TargetRejected
        from airflow_cd.instances import Instance

        self.asked.append(self.environment)
        if self.container != "web":
            raise TargetRejected(f"there is no container {self.container!r}.")
        return [Instance(f"{self.environment}-{number}", "1.0", "web:1.0") for number in (1, 2)]

    def check(self, release):
        from airflow_cd.errors import ArtifactNotFound

        assert release.service == "shop"
        if release.artifact != "web:1.0":
            raise ArtifactNotFound("there is no such image.")

    def deploy(self, release, instances, *, key, token): ...

    def drain(self, instances, *, key, token): ...

    def restore(self, instances, *, key, token): ...


@pytest.fixture(autouse=True)
def asked() -> list[str]:
    Pretended.asked.clear()
    return Pretended.asked


def file(folder: Path, container: str = "web") -> str:
    made = folder / "shop.py"
    made.write_text(textwrap.dedent(FILE.format(container=container)))
    return str(made)


def test_every_environment_is_looked_at_once(
    tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["target", "check", file(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert list(dict.fromkeys(asked)) == ["dev", "production"]
    assert said.count("dev, Pretended: dev\nok     2 instances") == 1, "though two pipelines name it"
    assert "production: nothing that would fail was found." in said


def test_what_the_file_gives_a_target_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["target", "check", file(tmp_path, container="app")]) == 1
    said = capsys.readouterr().out
    assert "dev: nothing that would fail was found." in said
    assert "WRONG  What runs cannot be read: there is no container 'app'." in said
    assert said.endswith("production: a deployment would fail.\n")


def test_one_environment_may_be_named(tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["target", "check", file(tmp_path, container="app"), "--environment", "dev"]) == 0
    assert set(asked) == {"dev"}
    assert main(["target", "check", file(tmp_path), "--environment", "prodction"]) == 3
    assert "has no environment 'prodction'; did you mean 'production'?" in capsys.readouterr().err


def test_nothing_is_tried_on_several_environments_at_once(
    tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["target", "check", file(tmp_path), "--deploy", "web:1.0", "web:1.1"]) == 3
    assert "--deploy tries one environment, and" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("from airflow_cd import Pipeline\nPipeline('shop', stages=[]).dag()", "no stages"),
        ("x = 1", "there is no pipeline in it"),
        (None, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "shop.py").write_text(content)
    assert main(["target", "check", str(tmp_path / "shop.py")]) == 3
    assert said in capsys.readouterr().err
