"""sounds of a campaign

Revision ID: 0004
Revises: 0003
"""

from alembic import op
import sqlalchemy as sa


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

NAMES = ('waiting_guidance_id', 'apology_guidance_id')


def upgrade() -> None:
    with op.batch_alter_table('campaigns', schema=None) as batch_op:
        for name in NAMES:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=True))
            batch_op.create_foreign_key(f'fk_campaigns_{name}_guidances', 'guidances', [name], ['id'])


def downgrade() -> None:
    with op.batch_alter_table('campaigns', schema=None) as batch_op:
        for name in NAMES:
            batch_op.drop_constraint(f'fk_campaigns_{name}_guidances', type_='foreignkey')
            batch_op.drop_column(name)
