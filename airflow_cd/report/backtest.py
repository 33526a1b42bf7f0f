"""The result of a backtest: as text for a terminal, as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_cd.report import words
from airflow_cd.report.jinja import templates
from airflow_cd.verification.backtest.replay import Backtest, Case, Score, result_of
from airflow_cd.verification.sensitivity import Sensitivity

SCHEMA = 1
NOTE = "Logs only: metrics are judged from their series, which are not kept."
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Scope:
    """What was replayed.

    :param service: whose deployments.
    :param environment: where; ``""`` for plain files.
    :param baseline: what each deployment was compared with.
    :param notes: what a reader must know beside the numbers.
    """

    service: str
    environment: str = ""
    baseline: str = "all"
    notes: Sequence[str] = (NOTE,)

    @property
    def title(self) -> str:
        """What a heading calls it."""
        return f"{self.service} in {self.environment}" if self.environment else self.service


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param name: what is counted.
    :param cells: for each sensitivity, how many of how many.
    :param wanted: ``all`` where every one of them would be best, ``none`` where none would, ``""`` otherwise.
    """

    name: str
    cells: Sequence[tuple[int, int]]
    wanted: str = ""


def rows(backtest: Backtest) -> list[Row]:
    """The table: deployments as they were, then each injected regression.

    :param backtest: the result of a replay.
    """
    scores = [backtest.score(sensitivity) for sensitivity in backtest.sensitivities]
    table = [
        Row("rolled back, and blocked", [(score.blocked_rightly, score.bad) for score in scores], "all"),
        Row("promoted, but blocked", [(score.blocked_wrongly, score.good) for score in scores], "none"),
    ]
    for regression in backtest.regressions:
        scores = [backtest.score(sensitivity, regression) for sensitivity in backtest.sensitivities]
        table.append(Row(f"injected: {regression}", [(score.blocked_rightly, score.bad) for score in scores], "all"))
    return table


def sentence(backtest: Backtest, sensitivity: Sensitivity) -> str:
    """What this sensitivity would have done, in one sentence.

    :param sensitivity: one of those that were replayed.
    """
    score = backtest.score(sensitivity)
    parts = [
        f"{score.blocked_rightly} of {score.bad} rolled-back deployments blocked",
        f"{score.blocked_wrongly} of {score.good} good ones blocked wrongly",
    ]
    injected = [backtest.score(sensitivity, regression) for regression in backtest.regressions]
    if injected:
        caught = sum(one.blocked_rightly for one in injected)
        parts.append(f"{caught} of {sum(one.bad for one in injected)} injected regressions caught")
    return f"At {sensitivity}: {', '.join(parts)}."


def notes_on(backtest: Backtest) -> list[str]:
    """What was not counted, and why.

    :param backtest: the result of a replay.
    """
    undecided = [case for case in backtest.deployments if result_of(case, backtest.sensitivities[0]) == "no verdict"]
    uncounted = [case for case in backtest.deployments if case.bad is None]
    notes = []
    if undecided:
        names = ", ".join(case.deployment.name for case in undecided[:3]) + (", …" if len(undecided) > 3 else "")
        reason = undecided[0].answers[backtest.sensitivities[0]].reason
        notes.append(f"Not judged: {len(undecided)} ({names}). {reason}")
    if uncounted:
        names = ", ".join(case.deployment.name for case in uncounted)
        notes.append(f"Judged, not counted: {names}, rolled back for what logs need not show.")
    notes += [
        f"Not injected: {regression}, in {count} deployments that logged nothing which could change so."
        for regression, count in backtest.not_injected.items()
    ]
    return notes


def as_text(scope: Scope, backtest: Backtest) -> str:
    """The result for a terminal: the table, then each deployment that was judged wrongly, and why.

    :param scope: what was replayed.
    :param backtest: the result.
    """
    width = max(len(row.name) for row in rows(backtest))
    lines = [
        _heading(scope, backtest),
        "",
        f"{'':{width}}" + "".join(f"{sensitivity:>10}" for sensitivity in backtest.sensitivities),
    ]
    for row in rows(backtest):
        cells = (f"{caught}/{of}" if of else words.MISSING for caught, of in row.cells)
        lines.append(f"{row.name:{width}}" + "".join(f"{cell:>10}" for cell in cells))
    lines.append("")
    lines += [sentence(backtest, sensitivity) for sensitivity in backtest.sensitivities]
    for sensitivity in backtest.sensitivities:
        for case in misjudged(backtest, sensitivity):
            reason = words.one_line(str(words.visible(case.answers[sensitivity].reason)), _LONGEST_REASON)
            lines.append(f"  {sensitivity}: {case.deployment.name} {result_of(case, sensitivity)}. {reason}")
    return "\n".join([*lines, *notes_on(backtest), *scope.notes])


def misjudged(backtest: Backtest, sensitivity: Sensitivity) -> list[Case]:
    """Deployments that were blocked wrongly or missed.

    :param backtest: the result of a replay.
    :param sensitivity: at which they were judged.
    """
    return [case for case in backtest.deployments if result_of(case, sensitivity) in ("blocked wrongly", "missed")]


def _heading(scope: Scope, backtest: Backtest) -> str:
    cases = backtest.deployments
    good = sum(case.deployment.good is True for case in cases)
    injected = len(backtest.cases) - len(cases)
    return (
        f"{scope.title}: {len(cases)} deployments replayed, {good} promoted and {len(cases) - good} rolled back; "
        f"{injected} regressions injected. Compared with: {scope.baseline}."
    )


def as_json(scope: Scope, backtest: Backtest) -> dict[str, Any]:
    """The result as JSON values: the scores by sensitivity, then every case.

    :param scope: what was replayed.
    :param backtest: the result.
    """

    def content(score: Score) -> dict[str, int]:
        return asdict(score)

    return {
        "schema": SCHEMA,
        **asdict(scope),
        "notes": list(scope.notes),
        "sensitivities": {
            sensitivity: {
                "deployments": content(backtest.score(sensitivity)),
                "injected": {name: content(backtest.score(sensitivity, name)) for name in backtest.regressions},
            }
            for sensitivity in backtest.sensitivities
        },
        "not_injected": dict(backtest.not_injected),
        "cases": [
            {
                "deployment": case.deployment.id,
                "version": case.deployment.version,
                "promoted": case.deployment.good,
                "outcome": case.deployment.outcome,
                "regression": case.regression,
                "answers": {
                    sensitivity: {
                        "verdict": str(answer.verdict),
                        "way": result_of(case, sensitivity),
                        "reason": answer.reason,
                    }
                    for sensitivity, answer in case.answers.items()
                },
            }
            for case in backtest.cases
        ],
    }


def render_backtest(scope: Scope, backtest: Backtest) -> str:
    """The page, as ``<!doctype html>…``; whatever came from logs or people is shown as text.

    :param scope: what was replayed.
    :param backtest: the result.
    """
    page: str = (
        templates()
        .get_template("backtest.html.j2")
        .render(
            scope=scope,
            backtest=backtest,
            heading=_heading(scope, backtest),
            tone="wait" if any(misjudged(backtest, sensitivity) for sensitivity in backtest.sensitivities) else "good",
            sentences=[sentence(backtest, sensitivity) for sensitivity in backtest.sensitivities],
            notes=[*notes_on(backtest), *scope.notes],
            rows=rows(backtest),
            cases=[
                (case, [(answer, result_of(case, sensitivity)) for sensitivity, answer in case.answers.items()])
                for case in backtest.cases
            ],
            tones={"blocked rightly": "good", "passed rightly": "good", "blocked wrongly": "bad", "missed": "bad"},
        )
    )
    return page
