"""place in the queue

Revision ID: 0006
Revises: 0005
"""

from alembic import op
import sqlalchemy as sa
import calltree.db


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('guidances') as batch:
        batch.add_column(sa.Column('queue_place', sa.Integer(), nullable=True))
    with op.batch_alter_table('inbound_calls') as batch:
        batch.add_column(sa.Column('told_place', sa.Integer(), server_default='0', nullable=False))
        batch.add_column(sa.Column('told_at', calltree.db.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('inbound_calls') as batch:
        batch.drop_column('told_at')
        batch.drop_column('told_place')
    with op.batch_alter_table('guidances') as batch:
        batch.drop_column('queue_place')
