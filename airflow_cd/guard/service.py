"""The guard's loop: look every two seconds, act on what has been stuck for long enough, one environment a thread."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd import paging
from airflow_cd.errors import AirflowCdError, LedgerError, Refused, RollbackIncomplete
from airflow_cd.guard.airflow_runs import AirflowFacts, RunKey, read_airflow
from airflow_cd.guard.finishing import Outcome, finish, reach
from airflow_cd.guard.handed_over import handed_verdicts
from airflow_cd.guard.put_back import PutBack
from airflow_cd.guard.stuck import Stuck, due, why_stuck
from airflow_cd.guard.watching import Signs
from airflow_cd.same_ledger import require_same
from airflow_cd.states import DeploymentState, FindingState, StuckCause

if TYPE_CHECKING:
    from airflow_cd.delivery.late_verdict import HandedVerdict
    from airflow_cd.ledger import Deployment, Finding, Ledger, Work
    from airflow_cd.ledger.records import Claim
    from airflow_cd.targets.base import Target

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks."""
TTL = timedelta(seconds=15)
"""How long a guard that is silent stays the acting one."""
AT_A_TIME = 8
LONGEST_PAUSE = 60.0
"""Seconds between two attempts, at most."""
PAGE_AGAIN = 600.0
"""Seconds after which a person is told again of what still fails."""

Place = tuple[str, str]


@dataclass
class _Attempts:
    """How often an environment was tried, and when it may be tried again."""

    number: int = 0
    began: float = 0.0
    not_before: float = 0.0
    paged: float = field(default=float("-inf"))


class Guard:
    """Looks, and acts.

    :param ledger: the ledger.
    :param read: reads Airflow's database.
    :param holder: name of this guard, unique.
    :param clock: returns seconds that never go backwards.
    :param page: tells a person, as :func:`airflow_cd.paging.page` does.
    :param handed: reads the verdicts that a run could not record.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        read: Callable[[Collection[RunKey]], AirflowFacts] = read_airflow,
        holder: str = "",
        clock: Callable[[], float] = time.monotonic,
        page: Callable[..., None] = paging.page,
        handed: Callable[[RunKey], Sequence[HandedVerdict]] = handed_verdicts,
    ) -> None:
        self.ledger = ledger
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.acts = False
        self.unfinished = 0
        self._in_use: str | None = None
        self._read = read
        self._clock = clock
        self._page = page
        self._handed = handed
        self._signs = Signs(clock)
        self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="guard")
        self._busy: dict[Place, Future[None]] = {}
        self._attempts: dict[Claim, _Attempts] = {}
        self._targets: dict[Claim, Target | None] = {}
        self._put_back = PutBack(ledger, page, clock)

    def look(self) -> None:
        """Look once at everything, and begin what has to be done.

        :raises LedgerError: the ledger is away; what was seen so far proves nothing any more.
        """
        try:
            token = self.ledger.guarding.hold(self.holder, TTL)
            if token is None:
                self._stand_by()
                return
            if not self.acts:
                log.info("This guard acts from now on: %s", self.holder)
            self.acts = True
            self._look(token)
        except LedgerError:
            self._signs.start_over()
            raise

    def wait(self) -> None:
        """Return when nothing is being done any more."""
        for future in list(self._busy.values()):
            future.result()
        self._put_back.wait()

    def close(self) -> None:
        """Let another guard act; what is being done here is void then, and done again by that one."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._put_back.close()
        if self.acts:
            self.ledger.guarding.give_up(self.holder)

    def _stand_by(self) -> None:
        if self.acts:
            log.warning("Another guard has taken over from %s.", self.holder)
        self.acts, self.unfinished = False, 0
        self._signs.start_over()

    # -- one look ----------------------------------------------------------------------------------------------

    def _look(self, token: int) -> None:
        self._busy = {place: future for place, future in self._busy.items() if not future.done()}
        deployments = {_claim(one): one for one in self.ledger.guarding.unsettled()}
        owners = self.ledger.guarding.owners()
        claims = {*deployments, *owners, *self.ledger.guarding.queued()}
        self.unfinished = len(deployments) + len(self._busy)
        self._forget(claims)
        works = self.ledger.work.of_claims(claims)
        airflow = self._airflow(claims)
        self._in_use = (airflow.ledger if airflow is not None else None) or self._in_use
        # What an old ledger has left unfinished is history: its guard would put an old release over a good one.
        require_same(self.ledger, self._in_use, whose="this guard", since="this Airflow uses")
        for claim in _in_turn(claims, deployments, owners):
            if claim in deployments:
                self._prepare(claim, works.get(claim))
            deployment = deployments.get(claim)
            decided = _decided(deployment)
            found = why_stuck(claim, works.get(claim), airflow, self._signs, decided=decided)
            if found is not None and due(claim, found, self._signs, decided=decided):
                self._begin(claim, found, deployment, works.get(claim), token)
        self._close_findings(deployments, claims)
        self._put_back.look(token)
        self._signs.end_look()

    def _airflow(self, claims: Collection[Claim]) -> AirflowFacts | None:
        if not claims:
            return AirflowFacts()
        try:
            return self._read({(pipeline, run_id) for _, _, pipeline, run_id in claims})
        except Exception as error:  # noqa: BLE001 - drivers have errors of their own for a database that is away
            log.warning("Airflow's database cannot be read: %s", str(error).partition("\n")[0])
            return None

    def _forget(self, claims: Collection[Claim]) -> None:
        for kept in (self._attempts, self._targets):
            for claim in kept.keys() - set(claims):
                del kept[claim]

    def _prepare(self, claim: Claim, work: Work | None) -> None:
        """Reach the target now, while the connection can be read: in the moment of need nothing may be missing."""
        if claim in self._targets or work is None:
            return
        self._targets[claim] = None
        self._pool.submit(self._reach, claim, work)

    def _reach(self, claim: Claim, work: Work) -> None:
        try:
            target = reach(work)
            target.instances()
        except AirflowCdError as error:
            log.warning("%s of %s is not reached yet: %s", claim[1], claim[0], error)
            # Once it has tried to restore, its attempts tell a person, and not at every look.
            if isinstance(error, (Refused, RollbackIncomplete)) and claim not in self._attempts:
                self._page(f"The guard could not reach {claim[1]} of {claim[0]}: {error}", **_where(claim))
        except Exception:
            log.exception("%s of %s is not reached", claim[1], claim[0])
        else:
            self._targets[claim] = target

    # -- acting ------------------------------------------------------------------------------------------------

    def _begin(self, claim: Claim, found: Stuck, deployment: Deployment | None, work: Work | None, token: int) -> None:
        place, attempts = claim[:2], self._attempts.setdefault(claim, _Attempts())
        if place in self._busy:
            self._say_that_it_hangs(claim, attempts)
            return
        if self._clock() < attempts.not_before:
            return
        attempts.number += 1
        attempts.began = self._clock()
        finding: Finding | None = None
        if deployment is not None:
            finding = self.ledger.guarding.found(
                claim, deployment_id=deployment.id, cause=found.cause, detail=found.detail, token=token
            )
            if attempts.number == 1:
                self._page(
                    f"{deployment.release} was left unfinished in {claim[1]}: {found.detail}. The guard restores what "
                    "ran before.",
                    **_where(claim),
                )
        log.warning("%s of %s, run %s of %s: %s", claim[1], claim[0], claim[3], claim[2], found.detail)
        self._busy[place] = self._pool.submit(self._finish, claim, found, finding, work, token)

    def _finish(self, claim: Claim, found: Stuck, finding: Finding | None, work: Work | None, token: int) -> None:
        attempts = self._attempts.get(claim, _Attempts())
        target = self._targets.get(claim)
        readable = found.cause is not StuckCause.AIRFLOW_AWAY
        try:
            outcome = finish(
                self.ledger,
                claim,
                found,
                target=target,
                work=work,
                attempt=attempts.number,
                guard=token,
                handed=self._handed((claim[2], claim[3])) if readable else (),
            )
        except AirflowCdError as error:
            outcome = Outcome(FindingState.FAILING, str(error))
        except Exception as error:
            log.exception("The guard failed in %s of %s", claim[1], claim[0])
            outcome = Outcome(FindingState.FAILING, f"{type(error).__name__}: {error}")
        log.warning("%s of %s, run %s: %s", claim[1], claim[0], claim[3], outcome.text)
        if outcome.state is FindingState.FAILING:
            # What was kept of the target may be what fails.
            self._targets.pop(claim, None)
            attempts.not_before = self._clock() + min(LONGEST_PAUSE, 2.0 ** min(attempts.number, 10))
            if self._clock() - attempts.paged >= PAGE_AGAIN:
                attempts.paged = self._clock()
                self._page(f"The guard cannot finish and tries again: {outcome.text}", **_where(claim))
        if finding is not None:
            try:
                self.ledger.guarding.ended(finding.number, outcome.state, outcome.text)
            except AirflowCdError as error:
                log.warning("What the guard did is not recorded yet: %s", error)

    def _say_that_it_hangs(self, claim: Claim, attempts: _Attempts) -> None:
        """Tell a person of an attempt that does not come to an end: a target of an author's own may never answer."""
        length = self._clock() - attempts.began
        if attempts.number and length >= PAGE_AGAIN and self._clock() - attempts.paged >= PAGE_AGAIN:
            attempts.paged = self._clock()
            self._page(
                f"The guard has been restoring {claim[1]} of {claim[0]} for {length / 60:.0f} minutes without an end: "
                "its target does not answer. Bring it back at the target itself.",
                **_where(claim),
            )

    def _close_findings(self, deployments: Mapping[Claim, Deployment], claims: Collection[Claim]) -> None:
        for finding in self.ledger.guarding.findings(only_open=True):
            claim = (finding.service, finding.environment, finding.pipeline, finding.run_id)
            if claim not in deployments and claim[:2] not in self._busy:
                self.ledger.guarding.ended(finding.number, FindingState.OVER, finding.outcome or "It is settled.")


def run(
    *,
    open_ledger: Callable[[], Ledger],
    stopping: threading.Event,
    orphaned: Callable[[], bool] = lambda: False,
    every: float = EVERY,
    linger: float = 60.0,
) -> None:
    """Guard until told to stop.

    :param open_ledger: opens the ledger; asked again for as long as it is away.
    :param stopping: set from outside.
    :param orphaned: whether the process that started this one has died. The guard then stays for as long as anything
        is unfinished.
    :param every: seconds between two looks.
    :param linger: seconds that an orphan stays at least.
    """
    loop = _Loop(open_ledger)
    alone = 0.0
    while not stopping.is_set():
        loop.look()
        alone = (alone or time.monotonic()) if orphaned() else 0.0
        if alone and time.monotonic() - alone >= linger and not loop.unfinished:
            log.warning("Nothing is unfinished, and what started this guard is gone: it ends.")
            break
        stopping.wait(every)
    loop.close()


class _Loop:
    """A guard that nothing ends: whatever a look meets, the next one follows."""

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._open = open_ledger
        self._guard: Guard | None = None
        self._away_since = 0.0

    @property
    def unfinished(self) -> int:
        return self._guard.unfinished if self._guard is not None else 0

    def look(self) -> None:
        try:
            self._guard = self._guard or Guard(self._open())
            self._guard.look()
        except AirflowCdError as error:
            if not self._away_since:
                log.warning("The guard waits for the ledger: %s", error)
            self._away_since = self._away_since or time.monotonic()
        except Exception:
            log.exception("A look of the guard failed; the next one follows")
        else:
            if self._away_since:
                log.warning("The ledger is back after %.0f s.", time.monotonic() - self._away_since)
            self._away_since = 0.0

    def close(self) -> None:
        try:
            if self._guard is not None:
                self._guard.close()
        except AirflowCdError as error:
            log.warning("Another guard acts in %s, not at once: %s", TTL, error)


def _claim(deployment: Deployment) -> Claim:
    return deployment.service, deployment.environment, deployment.pipeline, deployment.run_id


def _in_turn(
    claims: Iterable[Claim], deployments: Mapping[Claim, Deployment], owners: Collection[Claim]
) -> list[Claim]:
    """Those to look at: of each environment what its owner left, or else the newest that was left there, and the queue.

    An owner restores what was left before it began, so that nothing else is done about that.
    """
    owned = {claim[:2]: claim for claim in owners}
    newest: dict[Place, Claim] = {}
    for claim in deployments:  # oldest first
        newest[claim[:2]] = claim
    left = {owned.get(place, claim) for place, claim in newest.items()}
    waiting = set(claims) - set(deployments)
    return sorted(left | waiting)


def _decided(deployment: Deployment | None) -> bool:
    """Whether it is to be rolled back, whoever does it."""
    return deployment is not None and (deployment.state != DeploymentState.RUNNING or deployment.cause is not None)


def _where(claim: Claim) -> dict[str, Any]:
    return dict(zip(("service", "environment", "pipeline", "run"), claim, strict=True))
