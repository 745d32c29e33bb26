"""calls that come in

Revision ID: 0002
Revises: 0001
"""

from alembic import op
import sqlalchemy as sa
import calltree.db


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

LIVE = sa.text('ended_at IS NULL')
LIVE_AND_OURS = sa.text("ended_at IS NULL AND origin <> 'inbound'")
OPEN = sa.text("outcome = 'open'")
UNSEEN = sa.text("outcome IN ('missed', 'voicemail', 'guidance') AND done_at IS NULL")
BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('inbound_calls',
    sa.Column('attempt_id', BIG, autoincrement=False, nullable=False),
    sa.Column('group_id', sa.Integer(), nullable=True),
    sa.Column('reason', sa.String(length=32), nullable=False),
    sa.Column('reason_name', sa.String(length=64), nullable=False),
    sa.Column('steps', calltree.db.Json, nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('action', sa.Enum('ring_all', 'ring_idle', 'queue', 'guidance', 'forward', 'voicemail', 'refuse', 'accept', name='inboundaction', native_enum=False, length=32), nullable=False),
    sa.Column('step_started_at', calltree.db.UtcDateTime(), nullable=False),
    sa.Column('step_ends_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('passed_over', calltree.db.Json, nullable=False),
    sa.Column('offered_user_id', sa.Integer(), nullable=True),
    sa.Column('offered_until', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('taken_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('parked_by_id', sa.Integer(), nullable=True),
    sa.Column('parked_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('serial', sa.Integer(), nullable=False),
    sa.Column('carried_serial', sa.Integer(), nullable=False),
    sa.Column('carried_epoch', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.Enum('open', 'joined', 'missed', 'voicemail', 'guidance', 'forwarded', 'refused', name='inboundoutcome', native_enum=False, length=32), nullable=False),
    sa.Column('assigned_user_id', sa.Integer(), nullable=True),
    sa.Column('done_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('done_by_id', sa.Integer(), nullable=True),
    sa.Column('called_back_attempt_id', BIG, nullable=True),
    sa.ForeignKeyConstraint(['attempt_id'], ['attempts.id'], name=op.f('fk_inbound_calls_attempt_id')),
    sa.ForeignKeyConstraint(['called_back_attempt_id'], ['attempts.id'], name=op.f('fk_inbound_calls_called_back_attempt_id')),
    sa.ForeignKeyConstraint(['assigned_user_id'], ['users.id'], name=op.f('fk_inbound_calls_assigned_user_id')),
    sa.ForeignKeyConstraint(['done_by_id'], ['users.id'], name=op.f('fk_inbound_calls_done_by_id')),
    sa.ForeignKeyConstraint(['group_id'], ['groups.id'], name=op.f('fk_inbound_calls_group_id')),
    sa.ForeignKeyConstraint(['offered_user_id'], ['users.id'], name=op.f('fk_inbound_calls_offered_user_id')),
    sa.ForeignKeyConstraint(['parked_by_id'], ['users.id'], name=op.f('fk_inbound_calls_parked_by_id')),
    sa.PrimaryKeyConstraint('attempt_id', name=op.f('pk_inbound_calls'))
    )
    with op.batch_alter_table('inbound_calls', schema=None) as batch_op:
        batch_op.create_index('ix_inbound_calls_open', ['attempt_id'], unique=False, sqlite_where=OPEN, postgresql_where=OPEN)
        batch_op.create_index('ix_inbound_calls_unseen', ['attempt_id'], unique=False, sqlite_where=UNSEEN, postgresql_where=UNSEEN)
    # without batch: the table of all calls is not to be copied for an index
    op.drop_index('uq_attempts_live_number', table_name='attempts')
    op.create_index('uq_attempts_live_number', 'attempts', ['number'], unique=True, sqlite_where=LIVE_AND_OURS, postgresql_where=LIVE_AND_OURS)


def downgrade() -> None:
    op.drop_index('uq_attempts_live_number', table_name='attempts')
    op.create_index('uq_attempts_live_number', 'attempts', ['number'], unique=True, sqlite_where=LIVE, postgresql_where=LIVE)
    op.drop_table('inbound_calls')
