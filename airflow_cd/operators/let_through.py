"""What comes after an approval, up to the next one: read from the deploys of its DAG, where nobody has said it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_cd.errors import AirflowCdError
from airflow_cd.operators.role import role_of
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_cd.release import Release


def let_through(approval: BaseOperator, context: Context, *, known: Sequence[str]) -> dict[str, Release]:
    """By environment, the release that a deploy after an approval would bring there, as it is known now.

    A deploy whose release is not known yet (it is built later, say) is left out, and refused when its time comes:
    nobody can have approved it.

    :param approval: in a DAG that was written by hand.
    :param context: of its task.
    :param known: environments whose release the approval has been told.
    :raises ReleaseError: a deploy cannot be, or its configuration holds a secret.
    """
    found: dict[str, Release] = {}
    for deploy in _deploys(approval):
        task = deploy.prepare_for_execution()
        try:
            task.render_template_fields(context)
        except AirflowCdError:
            raise
        except Exception as error:  # noqa: BLE001 - a template may hold anything
            approval.log.warning("What %s would deploy is not known yet: %s", deploy.task_id, error)
            continue
        # Later phases go on with what the first has opened.
        if task.environment not in known and task.environment not in found:
            found[task.environment] = task.release()
    return found


def _deploys(approval: BaseOperator) -> Iterator[Any]:
    # Untyped in Airflow.
    if not cast("Any", approval).has_dag():
        return
    after = list(approval.get_flat_relatives(upstream=False))
    others = [one for one in after if role_of(one) is Role.APPROVAL]
    behind = {one.task_id for other in others for one in other.get_flat_relatives(upstream=False)}
    deploys = [
        one
        for one in after
        if role_of(one) is Role.DEPLOY and one.task_id not in behind and callable(getattr(one, "release", None))
    ]
    yield from sorted(deploys, key=lambda one: (len(one.get_flat_relative_ids(upstream=True)), one.task_id))
