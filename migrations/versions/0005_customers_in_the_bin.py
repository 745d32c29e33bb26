"""customers in the bin

Revision ID: 0005
Revises: 0004
"""

from alembic import op
import sqlalchemy as sa


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

RESTING = sa.text('deleted_by IS NOT NULL')


def upgrade() -> None:
    op.create_index(
        'ix_customers_bin', 'customers', ['list_id', 'id'],
        sqlite_where=RESTING, postgresql_where=RESTING,
    )


def downgrade() -> None:
    op.drop_index('ix_customers_bin', table_name='customers')
