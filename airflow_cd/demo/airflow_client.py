"""What a person does in Airflow's UI, over the REST API that the UI uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from airflow_cd.errors import AirflowCdError

FINISHED = ("success", "failed")
PATIENCE = 90.0  # seconds; a laptop that does other work as well makes Airflow slow, not wrong


def _passes(error: BaseException) -> bool:
    """SQLite answers 500 when a lock lasted too long; a server that is busy starting does not answer at all."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def _raised(line: Mapping[str, Any]) -> list[str]:
    return [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ()]


class AirflowClient:
    """One logged-in user.

    :param url: of the API server, without ``/api/v2``.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        answer = self._http.post("/auth/token", json={"username": user, "password": password})
        if answer.status_code >= 400:
            raise AirflowCdError(f"Airflow at {url} refuses user {user}: HTTP {answer.status_code}.")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One API call, tried again while the server is busy or starting.

        :param method: HTTP method.
        :param path: path with query, from ``/api/v2``.
        :param body: JSON values.
        :raises httpx.HTTPStatusError: Airflow refuses the request.
        :raises AirflowCdError: it does not answer.
        """
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_passes),
                stop=stop_after_delay(PATIENCE),
                wait=wait_exponential(0.2, max=3),
                reraise=True,
            ):
                with attempt:
                    answer = self._http.request(method, path, json=body)
                    answer.raise_for_status()
        except httpx.TransportError as error:
            raise AirflowCdError(
                f"Airflow at {self._http.base_url} does not answer {method} {path}: {type(error).__name__} {error}.",
                state=f"it was asked again for {PATIENCE:.0f} s.",
                next_step="Check whether the machine is overloaded or Airflow has died: see its log.",
            ) from error
        return answer.json() if answer.content else None

    def wait_for_dag(self, dag_id: str, *, seconds: float = 120) -> None:
        """Wait until Airflow has parsed the DAG.

        :raises AirflowCdError: its file has an import error, or the time is over.
        """

        def parsed() -> bool:
            try:
                self.call("GET", f"/api/v2/dags/{dag_id}")
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404:
                    raise
            else:
                return True
            for broken in self.call("GET", "/api/v2/importErrors")["import_errors"]:
                raise AirflowCdError(f"{broken['filename']} cannot be imported: {broken['stack_trace']}")
            return False

        wait_until(parsed, f"DAG {dag_id} is parsed", seconds=seconds)

    def unpause(self, dag_id: str) -> None:
        """Unpause the DAG once Airflow has parsed it.

        :raises AirflowCdError: as of :meth:`wait_for_dag`.
        """
        self.wait_for_dag(dag_id)
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Trigger a run and return its id."""
        body: dict[str, Any] = {"conf": dict(conf), "logical_date": None}
        if run_id:
            body["dag_run_id"] = run_id
        try:
            return str(self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])
        except httpx.HTTPStatusError as error:
            # A request that Airflow answered with 500 may have succeeded all the same.
            if run_id and error.response.status_code == 409:
                return run_id
            raise AirflowCdError(f"cannot trigger {dag_id}: {error.response.text}") from error

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run."""
        return str(self.call("GET", self._run(dag_id, run_id))["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of every task of a run."""
        rows = self.call("GET", f"{self._run(dag_id, run_id)}/taskInstances?limit=200")["task_instances"]
        return {row["task_id"]: row["state"] for row in rows}

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """State of one task; None when it has none yet."""
        try:
            state = self.call("GET", f"{self._run(dag_id, run_id)}/taskInstances/{task_id}")["state"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            return None
        return None if state is None else str(state)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, note: str = "") -> None:
        """Mark a task, as the grid's *Mark as* does."""
        body = {"new_state": state, **({"note": note} if note else {})}
        self.call("PATCH", f"{self._run(dag_id, run_id)}/taskInstances/{task_id}", body)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task and all after it, as the grid's *Clear* does."""
        body = {
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
            "dry_run": False,
        }
        self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a whole run."""
        self.call("PATCH", self._run(dag_id, run_id), {"state": state})

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str = "") -> None:
        """Answer a required action, as its button does."""
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        self.call("PATCH", f"{self._run(dag_id, run_id)}/taskInstances/{task_id}/-1/hitlDetails", body)

    def task_log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """A task's log as text: one event a line, an exception's own words on the line after its event."""
        lines: list[str] = []
        for line in self._logged(dag_id, run_id, task_id, attempt):
            if not isinstance(line, dict):
                lines.append(str(line))
                continue
            lines += [str(line.get("event", line)), *_raised(line)]
        return "\n".join(lines)

    def why_failed(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What a failed task raised, as the log of its last attempt has it; empty when it has nothing of the kind."""
        task = self.call("GET", f"{self._run(dag_id, run_id)}/taskInstances/{task_id}")
        lines = self._logged(dag_id, run_id, task_id, max(1, task["try_number"]))
        raised = [words for line in lines if isinstance(line, dict) for words in _raised(line)[:1]]
        return raised[-1] if raised else ""

    def _logged(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> list[Any]:
        path = f"{self._run(dag_id, run_id)}/taskInstances/{task_id}/logs/{attempt}?full_content=true"
        lines: list[Any] = self.call("GET", path)["content"]
        return lines

    def wait_for_run(self, dag_id: str, run_id: str, *, seconds: float = 600) -> str:
        """The state a run ends in.

        :raises AirflowCdError: the time is over; says what states its tasks are in.
        """
        found = ""

        def ended() -> bool:
            nonlocal found
            found = self.run_state(dag_id, run_id)
            return found in FINISHED

        with self._telling_of_tasks(dag_id, run_id):
            wait_until(ended, f"{dag_id} {run_id} ends", seconds=seconds)
        return found

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str, seconds: float = 300) -> str | None:
        """The state, one of ``states``, that a task has come to.

        :raises AirflowCdError: the time is over; says what states the run's tasks are in.
        """
        found: str | None = None

        def come() -> bool:
            nonlocal found
            found = self.task_state(dag_id, run_id, task_id)
            return found in states

        with self._telling_of_tasks(dag_id, run_id):
            wait_until(come, f"{dag_id} {run_id} {task_id} is {' or '.join(states)}", seconds=seconds)
        return found

    @contextmanager
    def _telling_of_tasks(self, dag_id: str, run_id: str) -> Iterator[None]:
        try:
            yield
        except AirflowCdError as error:
            try:
                stands = self._stands(dag_id, run_id)
            except (AirflowCdError, httpx.HTTPError):
                raise error from None  # an Airflow that is away tells of no task, and must not hide what was waited for
            raise AirflowCdError(f"{error} {stands}") from error

    def _stands(self, dag_id: str, run_id: str) -> str:
        tasks = self.tasks(dag_id, run_id)
        found = ", ".join(f"{task} {state or 'not begun'}" for task, state in tasks.items())
        why = [f" {task}: {self.why_failed(dag_id, run_id, task)}" for task in tasks if tasks[task] == "failed"]
        return f"Its tasks: {found or 'none'}.{''.join(why)}"

    @staticmethod
    def _run(dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float, every: float | None = None) -> None:
    """Wait until the condition holds.

    :param condition: asked again and again.
    :param what: the condition as a clause, for the error.
    :param seconds: how long to wait at most.
    :param every: seconds between two questions; when None 0.6 at first, later on a twentieth of what has been waited,
        up to 2, as each question takes from what is waited for.
    :raises AirflowCdError: the time is over.
    """
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > seconds:
            raise AirflowCdError(f"timed out after {seconds:.0f} s waiting until {what}.")
        time.sleep(max(0.6, min(waited / 20, 2.0)) if every is None else every)
