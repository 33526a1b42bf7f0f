"""The role of a task, as pages read it from the serialized DAG: a subclass of an operator keeps its operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    _Base = BaseOperator
else:
    _Base = object

FIELD = "airflow_cd_role"
"""Field of a serialized task. Operators of other packages have a ``role`` of their own, such as a database's."""


BOUND = "airflow_cd_bound"
"""Field of a serialized task that a pipeline has made: its runs are bound to a plan, and to known parameters."""


class RoleMixin(_Base):
    """An operator or sensor that has a role in a delivery.

    The role is a field of the serialized task, of a mapped one an argument that all its instances share.
    """

    role: ClassVar[Role]

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop(FIELD, None)
        super().__init__(**kwargs)

    @property
    def airflow_cd_role(self) -> str:
        """The role's text; what a subclass calls ``role`` on its instances does not change it."""
        return str(type(self).role)

    @property
    def airflow_cd_bound(self) -> bool:
        """Whether its runs are bound to a plan."""
        return getattr(self, "plan", None) is not None

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """Airflow's fields, the role, and whether runs are bound."""
        # Untyped in Airflow.
        fields: frozenset[str] = cast("Any", super()).get_serialized_fields()
        return fields | {FIELD, BOUND}

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Airflow's, with the role among the arguments."""
        partial = super().partial(**kwargs)
        partial.kwargs[FIELD] = str(cls.role)
        return partial


def is_bound(task: Any) -> bool:
    """Whether the runs of a task of a serialized DAG are bound to a plan and to the parameters of a pipeline.

    :param task: an operator as Airflow has deserialized it.
    """
    return getattr(task, BOUND, None) is True


def role_of(task: Any) -> Role | None:
    """The role of a task of a serialized DAG; None for a task that is not one of Airflow CD's.

    :param task: an operator as Airflow has deserialized it, mapped or not.
    """
    value = getattr(task, FIELD, None) or getattr(task, "partial_kwargs", {}).get(FIELD)
    return Role(value) if value in list(Role) else None
