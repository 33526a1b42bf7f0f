"""How Alembic reaches the ledger: over the connection, and inside the transaction, it is handed."""

from __future__ import annotations

from alembic import context

from airflow_cd.ledger.models import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
