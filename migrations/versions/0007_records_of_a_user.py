"""records of a user

Revision ID: 0007
Revises: 0006
"""

from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

BEFORE = ['user_id', 'started_at', 'id']


def upgrade() -> None:
    op.drop_index('ix_call_records_user', table_name='call_records')
    op.create_index('ix_call_records_user', 'call_records', [*BEFORE, 'project_id', 'list_id'])


def downgrade() -> None:
    op.drop_index('ix_call_records_user', table_name='call_records')
    op.create_index('ix_call_records_user', 'call_records', BEFORE)
