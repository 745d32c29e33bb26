"""whom nobody dialled

And the audit log, which refuses to be emptied, too (Postgres; SQLite knows no TRUNCATE).

Revision ID: 0008
Revises: 0007
"""

from alembic import op
import sqlalchemy as sa


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

UNDIALLED = sa.text('dials = 0')


def upgrade() -> None:
    op.create_index(
        'ix_customers_undialled', 'customers', ['list_id', 'position', 'id'],
        sqlite_where=UNDIALLED, postgresql_where=UNDIALLED,
    )
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(
            'CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries '
            'FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse()'
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP TRIGGER audit_entries_no_truncate ON audit_entries')
    op.drop_index('ix_customers_undialled', table_name='customers')
