"""transfers, and pauses of recordings

Revision ID: 0003
Revises: 0002
"""

from alembic import op
import sqlalchemy as sa
import calltree.db


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

UNDER_WAY = sa.text('settled_at IS NULL')
OPEN = sa.text('ended_at IS NULL')
BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
STATES = ('signed_out', 'away', 'browsing', 'ready', 'offered', 'dialling', 'talking', 'wrap_up')


def upgrade() -> None:
    op.create_table('transfers',
    sa.Column('id', BIG, nullable=False),
    sa.Column('attempt_id', BIG, nullable=False),
    sa.Column('press_id', sa.String(length=36), nullable=True),
    sa.Column('kind', sa.Enum('blind', 'attended', name='transferkind', native_enum=False, length=32), nullable=False),
    sa.Column('state', sa.Enum('ringing', 'answered', 'consulting', 'three_way', 'connected', 'ended', name='transferstate', native_enum=False, length=32), nullable=False),
    sa.Column('wish', sa.Enum('', 'complete', 'three_way', 'back', name='transferwish', native_enum=False, length=32), nullable=False),
    sa.Column('wished_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('from_user_id', sa.Integer(), nullable=False),
    sa.Column('to_user_id', sa.Integer(), nullable=True),
    sa.Column('was', sa.Enum(*STATES, name='operatorstate', native_enum=False, length=32), nullable=True),
    sa.Column('number', sa.String(length=16), nullable=False),
    sa.Column('caller_number_id', sa.Integer(), nullable=True),
    sa.Column('trunk_id', sa.Integer(), nullable=True),
    sa.Column('node', sa.String(length=64), nullable=False),
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('began_at', calltree.db.UtcDateTime(), nullable=False),
    sa.Column('answered_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('consulted_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('three_way_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('joined_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('settled_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('ended_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('outcome', sa.Enum('', 'transferred', 'busy', 'no_answer', 'refused', 'not_in_use', 'target_left', 'withdrawn', 'customer_left', 'failed', name='transferoutcome', native_enum=False, length=32), nullable=False),
    sa.Column('hangup_cause', sa.String(length=64), nullable=False),
    sa.Column('sip_status', sa.String(length=8), nullable=False),
    sa.Column('talk_ms', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['attempt_id'], ['attempts.id'], name=op.f('fk_transfers_attempt_id')),
    sa.ForeignKeyConstraint(['caller_number_id'], ['caller_numbers.id'], name=op.f('fk_transfers_caller_number_id')),
    sa.ForeignKeyConstraint(['from_user_id'], ['users.id'], name=op.f('fk_transfers_from_user_id')),
    sa.ForeignKeyConstraint(['to_user_id'], ['users.id'], name=op.f('fk_transfers_to_user_id')),
    sa.ForeignKeyConstraint(['trunk_id'], ['trunks.id'], name=op.f('fk_transfers_trunk_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transfers')),
    sa.UniqueConstraint('press_id', name=op.f('uq_transfers_press_id'))
    )
    with op.batch_alter_table('transfers', schema=None) as batch_op:
        batch_op.create_index('uq_transfers_under_way', ['attempt_id'], unique=True, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)
        batch_op.create_index('ix_transfers_open', ['uuid'], unique=False, sqlite_where=OPEN, postgresql_where=OPEN)
        batch_op.create_index('ix_transfers_attempt', ['attempt_id', 'id'], unique=False)
    op.create_table('recording_pauses',
    sa.Column('id', BIG, nullable=False),
    sa.Column('recording_id', BIG, nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=True),
    sa.Column('began_at', calltree.db.UtcDateTime(), nullable=False),
    sa.Column('until', calltree.db.UtcDateTime(), nullable=False),
    sa.Column('ended_at', calltree.db.UtcDateTime(), nullable=True),
    sa.Column('ended_by', sa.Enum('', 'operator', 'hold', 'limit', 'call', name='pauseend', native_enum=False, length=32), nullable=False),
    sa.ForeignKeyConstraint(['recording_id'], ['recordings.id'], name=op.f('fk_recording_pauses_recording_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_recording_pauses_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recording_pauses'))
    )
    with op.batch_alter_table('recording_pauses', schema=None) as batch_op:
        batch_op.create_index('uq_recording_pauses_open', ['recording_id'], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
        batch_op.create_index('ix_recording_pauses_recording', ['recording_id', 'id'], unique=False)


def downgrade() -> None:
    op.drop_table('recording_pauses')
    op.drop_table('transfers')
