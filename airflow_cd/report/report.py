"""The report of one verification: what was judged, and what was done about it. Built from a ledger, files or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_cd.errors import VerificationError
from airflow_cd.release import Release
from airflow_cd.secret_values.showing import shown
from airflow_cd.states import DeploymentState
from airflow_cd.verification.files.opening import InputFile
from airflow_cd.verification.verdict import Judgement

if TYPE_CHECKING:
    from airflow_cd.verification.files.verification import Verified

SCHEMA = 1
"""Version of the JSON that :meth:`Report.as_dict` writes."""

T = TypeVar("T")


@dataclass(frozen=True)
class ReportedRelease:
    """A release as the report shows it: as it was stored, whether or not its digest fits.

    :param service: what is deployed.
    :param version: the version as people write it.
    :param artifact: what the target fetches.
    :param configuration: run-time configuration; JSON values.
    :param digest: as :attr:`airflow_cd.release.Release.digest` is written.
    """

    service: str = ""
    version: str = ""
    artifact: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def of(cls, release: Release) -> ReportedRelease:
        """A release of the ledger.

        :param release: as the ledger has it.
        """
        return cls(release.service, release.version, release.artifact, shown(release.configuration), release.digest)

    @property
    def name(self) -> str:
        """Service and version."""
        return f"{self.service} {self.version}".strip() or "the release"


@dataclass(frozen=True)
class Action:
    """A side effect on the environment.

    :param kind: one of :class:`~airflow_cd.states.ActionKind`, or what a newer version wrote.
    :param ok: True when it was done, False when it failed, None while it is under way.
    :param began: ISO 8601 time; ``ended`` likewise.
    :param detail: what it was done to; JSON values.
    """

    kind: str
    ok: bool | None = None
    began: str | None = None
    ended: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ManualAction:
    """What a person did by hand.

    :param who: name of the user.
    :param action: one of :class:`~airflow_cd.states.HumanAction`, or the option a question was answered with.
    :param when: ISO 8601 time.
    :param why: the reason given, ``""`` if none was.
    """

    who: str
    action: str
    when: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Clocks:
    """How long it took, in seconds; None where it was not measured.

    :param to_verdict: from the first bad event to the verdict.
    :param to_safe: from the verdict to the last canary request.
    :param to_restored: from the verdict until artifact and configuration are back and checked.
    """

    to_verdict: float | None = None
    to_safe: float | None = None
    to_restored: float | None = None

    @property
    def measured(self) -> bool:
        """Whether any of them was."""
        return any(isinstance(seconds, int | float) for seconds in asdict(self).values())


@dataclass(frozen=True)
class Outcome:
    """What became of the deployment.

    :param state: one of :class:`~airflow_cd.states.DeploymentState`, or what a newer version wrote.
    :param text: how it ended, in a sentence; ``""`` while it has not.
    :param vetoed: of one that was rolled back, whether its release is held to be at fault; None where that is unknown.
    """

    state: str = ""
    text: str = ""
    vetoed: bool | None = None


@dataclass(frozen=True)
class Settings:
    """How files were judged.

    :param sensitivity: ``low``, ``medium`` or ``high``.
    :param expected: patterns of events that the release was meant to bring.
    :param minimum_effect: smallest change of a metric that counts as a regression, as a share.
    """

    sensitivity: str = "medium"
    expected: Sequence[str] = ()
    minimum_effect: float = 0.2


@dataclass(frozen=True)
class Report:
    """The report of one verification, of a deployment or of files.

    :param evidence: the judgement, or as it was stored; read by :attr:`judgement`.
    :param service: what was deployed; the texts that say where and by what are ``""`` for files.
    :param pipeline: the DAG that deployed it.
    :param run_id: the run that deployed it.
    :param environment: where it was deployed.
    :param phase: which phase was verified.
    :param release: what was deployed.
    :param previous: the releases that ran before, each once.
    :param actions: side effects on the environment, oldest first.
    :param clocks: how long verdict, drain and rollback took.
    :param outcome: what became of the deployment.
    :param manual_actions: what people did by hand in that run, oldest first.
    :param rolls_back: whether the deployment is itself a rollback that a person asked for.
    :param files: what was read, for files.
    :param settings: how the files were judged, for files.
    :param records_hidden: whether records of logs were taken out, for a reader who may not see them.
    :param target: kind and name of how the environment is reached, ``""`` where nothing is known of it.
    :param changed: what the release differs in from what ran before, where that has the same version.
    """

    evidence: Judgement | Mapping[str, Any]
    service: str = ""
    pipeline: str = ""
    run_id: str = ""
    environment: str = ""
    phase: str = ""
    release: ReportedRelease | None = None
    previous: Sequence[ReportedRelease] = ()
    actions: Sequence[Action] = ()
    clocks: Clocks | None = None
    outcome: Outcome | None = None
    manual_actions: Sequence[ManualAction] = ()
    rolls_back: bool = False
    files: Sequence[InputFile] = ()
    settings: Settings | None = None
    records_hidden: bool = False
    target: str = ""
    changed: str = ""

    @classmethod
    def of_files(cls, verified: Verified) -> Report:
        """The report of a verification of files.

        :param verified: the outcome, laid out where the page will be shown.
        """
        given = verified.given
        settings = Settings(given.sensitivity, list(given.expected), given.minimum_effect)
        return cls(verified.judgement, files=verified.files, settings=settings)

    @cached_property
    def judgement(self) -> Judgement:
        """What was judged.

        :raises airflow_cd.errors.VerificationError: the evidence is damaged, or of a newer version.
        """
        return self.evidence if isinstance(self.evidence, Judgement) else Judgement.from_dict(self.evidence)

    @property
    def stored_judgement(self) -> Mapping[str, Any]:
        """What was judged as JSON values, readable by this version or not."""
        return self.evidence.as_dict() if isinstance(self.evidence, Judgement) else self.evidence

    @property
    def state(self) -> DeploymentState | None:
        """The state of the deployment; None for files, and for one that this version does not know."""
        state = self.outcome.state if self.outcome is not None else ""
        return DeploymentState(state) if state in list(DeploymentState) else None

    def without_records(self) -> Report:
        """The report for somebody who may not read the logs that it quotes: counts and patterns, no records."""
        evidence = dict(self.stored_judgement)
        quality = evidence.get("quality")
        if isinstance(quality, Mapping):
            events = [{**event, "samples": []} for event in quality.get("events") or () if isinstance(event, Mapping)]
            evidence["quality"] = {**quality, "events": events}
        return replace(self, evidence=evidence, records_hidden=True)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, read back by :meth:`from_dict`.

        Keys are the fields' names, with ``schema``, ``judgement`` for the evidence and ``human`` for the manual
        actions. Files have ``verdict``, ``sentence``, ``files`` and ``settings`` beside them.
        """
        of_files = bool(self.files)
        verdict = {"verdict": str(self.judgement.verdict), "sentence": self.judgement.sentence} if of_files else {}
        more: dict[str, Any] = {}
        if of_files:
            more = {"files": [asdict(file) for file in self.files], "settings": _dict_or_none(self.settings)}
        if self.rolls_back:
            more["rolls_back"] = True
        if self.records_hidden:
            more["records_hidden"] = True
        more |= {name: text for name, text in (("target", self.target), ("changed", self.changed)) if text}
        return {
            "schema": SCHEMA,
            **verdict,
            "service": self.service,
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "environment": self.environment,
            "phase": self.phase,
            "release": _dict_or_none(self.release),
            "previous": [asdict(release) for release in self.previous],
            "judgement": self.stored_judgement,
            "actions": [asdict(action) for action in self.actions],
            "clocks": asdict(self.clocks) if self.clocks is not None else {},
            "outcome": _dict_or_none(self.outcome),
            "human": [asdict(action) for action in self.manual_actions],
            **more,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Report:
        """Read what :meth:`as_dict` wrote; unknown keys are passed over, missing ones are as for no deployment.

        :param content: JSON values.
        :raises airflow_cd.errors.VerificationError: it is not a report, or one of another schema.
        """
        if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
            schema = content.get("schema") if isinstance(content, Mapping) else None
            raise VerificationError(
                f"the report is of schema {schema!r}, this installation shows {SCHEMA}.",
                next_step="Show it with the version of airflow-cd that wrote it.",
            )
        try:
            return cls(
                evidence=content.get("judgement") or {},
                **{name: content.get(name) or "" for name in ("service", "pipeline", "run_id", "environment", "phase")},
                release=_read(ReportedRelease, content["release"]) if content.get("release") else None,
                previous=_read_all(ReportedRelease, content.get("previous")),
                actions=_read_all(Action, content.get("actions")),
                clocks=_read(Clocks, content["clocks"]) if content.get("clocks") else None,
                outcome=_read(Outcome, content["outcome"]) if content.get("outcome") else None,
                manual_actions=_read_all(ManualAction, content.get("human")),
                rolls_back=bool(content.get("rolls_back")),
                records_hidden=bool(content.get("records_hidden")),
                target=str(content.get("target") or ""),
                changed=str(content.get("changed") or ""),
                files=_read_all(InputFile, content.get("files")),
                settings=_read(Settings, content["settings"]) if content.get("settings") else None,
            )
        except (TypeError, AttributeError) as error:
            raise VerificationError(
                f"the report is damaged: {error}.", next_step="Write it again from the ledger or the files."
            ) from error


def _dict_or_none(value: ReportedRelease | Outcome | Settings | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def _read(kind: type[T], content: Mapping[str, Any]) -> T:
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: value for name, value in content.items() if name in known})


def _read_all(kind: type[T], rows: Sequence[Mapping[str, Any]] | None) -> list[T]:
    return [_read(kind, row) for row in rows or ()]
