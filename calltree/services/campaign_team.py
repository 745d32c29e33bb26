"""Who works in which campaign: joining, leaving, and what the pacing rule counts (R-DL-7)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select, update
from sqlalchemy.orm import Session

from calltree.db import announce
from calltree.errors import NotAllowed, NotFound, Refused
from calltree.models import (
    Attempt,
    Campaign,
    CampaignState,
    Operator,
    OperatorState,
    Role,
    User,
)
from calltree.services import campaign_leads, desk, operators, records, scope
from calltree.services.operators import Move
from calltree.services.rights import Right, Viewer

WORKING = (
    OperatorState.READY,
    OperatorState.OFFERED,
    OperatorState.DIALLING,
    OperatorState.TALKING,
    OperatorState.WRAP_UP,
)
"""States in which one works in the campaign one has joined."""


def offered(session: Session, *, viewer: Viewer) -> list[Campaign]:
    """Return the running campaigns whose lists in use are all granted to the viewer."""
    if not viewer.may(Right.DIAL):
        return []
    return list(
        session.scalars(
            select(Campaign)
            .where(Campaign.state == CampaignState.RUNNING, _all_granted(viewer))
            .order_by(Campaign.name)
        )
    )


def join(session: Session, *, viewer: Viewer, campaign_id: int, now: datetime) -> None:
    """開始: leave the open customer, join the campaign and go to 待機.

    Raises NotAllowed, NotFound, Refused 'campaign_not_running', 'campaign_not_granted',
    'in_a_call', 'wrap_up_open', 'no_leg', 'mic_…'; nothing is changed then.
    """
    if not viewer.may(Right.DIAL):
        raise NotAllowed
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFound(f"campaign {campaign_id}")
    if campaign.state is not CampaignState.RUNNING:
        raise Refused("campaign_not_running")
    granted = select(Campaign.id).where(Campaign.id == campaign_id, _all_granted(viewer))
    if session.scalar(granted) is None:
        raise Refused("campaign_not_granted")
    desk.stand_by(session, user_id=viewer.user_id, now=now)
    _set(session, viewer.user_id, campaign_id)


def leave(session: Session, *, user_id: int, reason: str = "", now: datetime) -> None:
    """Leave the campaign and go to 離席. Raises Refused 'in_a_call', 'wrap_up_open'."""
    desk.go_away(session, user_id=user_id, reason=reason, now=now)
    _set(session, user_id, None)


def leave_after_call(session: Session, *, user_id: int, wanted: bool = True) -> None:
    """この通話で終了: no further customer is pushed after this one; or take that back."""
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id, Operator.campaign_id.is_not(None))
        .values(leaves_campaign=wanted)
    )
    announce(session, "operator", user_id=user_id)


def leaves(session: Session, *, user_id: int) -> bool:
    """Answer whether the present call is the last one (この通話で終了)."""
    return bool(session.scalar(select(Operator.leaves_campaign).where(Operator.user_id == user_id)))


def wait_for_next(session: Session, *, user_id: int, now: datetime) -> bool:
    """保存して待機, after the result was saved: be ready for the next customer.

    False when that was the last one (この通話で終了, or the campaign was stopped meanwhile, or a
    grant taken away): the customer is left, the campaign too, and the operator is 離席. Raises
    Refused 'in_a_call', 'wrap_up_open', 'no_leg', 'mic_…'.
    """
    row = session.execute(
        select(Operator.leaves_campaign, Campaign.state, Campaign.id)
        .outerjoin(Campaign, Campaign.id == Operator.campaign_id)
        .where(Operator.user_id == user_id)
    ).one_or_none()
    over = row is None or row.leaves_campaign or row.state in (None, CampaignState.STOPPED)
    if over or (row is not None and user_id in ungranted(session, campaign_id=row.id)):
        away(session, user_id=user_id, leave_too=True, now=now)
        return False
    desk.stand_by(session, user_id=user_id, now=now)
    return True


def away(
    session: Session, *, user_id: int, reason: str = "", leave_too: bool = False, now: datetime
) -> None:
    """保存して離席, after the result was saved: leave the customer and go to 離席.

    The campaign is kept for coming back unless `leave_too`. Raises as `leave`.
    """
    state = session.scalar(select(Operator.state).where(Operator.user_id == user_id))
    if state is OperatorState.WRAP_UP:
        raise Refused("wrap_up_open")  # leaving now would leave 空白 behind (R-DL-7)
    records.leave(session, user_id=user_id, now=now)
    desk.go_away(session, user_id=user_id, reason=reason, now=now)
    if leave_too:
        _set(session, user_id, None)


def campaign_of(session: Session, *, user_id: int) -> Campaign | None:
    """Return the campaign in which the user works now."""
    return session.scalar(
        select(Campaign)
        .join(Operator, Operator.campaign_id == Campaign.id)
        .where(Operator.user_id == user_id)
    )


def ungranted(session: Session, *, campaign_id: int) -> list[int]:
    """Return who works in the campaign and may not dial one of its lists (any more) (R-DL-7).

    Without those who leave after their call anyhow.
    """
    manages = exists().where(
        User.id == Operator.user_id, User.role.in_((Role.MANAGER, Role.SUPERVISOR))
    )
    foreign = exists(
        campaign_leads.in_use(campaign_id)
        .where(~scope.granted(Operator.user_id))
        .correlate(Operator)
    )
    return list(
        session.scalars(
            select(Operator.user_id).where(
                Operator.campaign_id == campaign_id,
                ~Operator.leaves_campaign,
                ~manages,
                foreign,
            )
        )
    )


def stopped(session: Session, *, campaign_id: int, now: datetime) -> None:
    """Let a stopped campaign's operators go; those in 待機 once nobody rings or waits any more.

    Whoever answers until then is still served. Called at 停止, and as each of its calls is joined
    or over; a campaign that is not stopped keeps its operators.
    """
    session.flush()
    state = session.scalar(select(Campaign.state).where(Campaign.id == campaign_id))
    if state is not CampaignState.STOPPED:
        return
    unjoined = select(Attempt.id).where(
        Attempt.campaign_id == campaign_id,
        Attempt.ended_at.is_(None),
        Attempt.joined_at.is_(None),
    )
    rings = session.scalar(unjoined.limit(1)) is not None
    dismiss(session, campaign_id=campaign_id, ready_too=not rings, now=now)


def dismiss(
    session: Session,
    *,
    campaign_id: int,
    users: list[int] | None = None,
    ready_too: bool = True,
    now: datetime,
) -> None:
    """Let everybody, or these, leave a campaign; who has a customer keeps them to the end."""
    wanted = select(Operator.user_id, Operator.state).where(Operator.campaign_id == campaign_id)
    if users is not None:
        wanted = wanted.where(Operator.user_id.in_(users))
    rows = session.execute(wanted).all()
    busy = (OperatorState.OFFERED, OperatorState.DIALLING, OperatorState.TALKING)
    for user_id, state in rows:
        if state is OperatorState.READY and not ready_too:
            continue
        if state in busy or state is OperatorState.WRAP_UP:
            leave_after_call(session, user_id=user_id)
            continue
        if state is OperatorState.READY:
            operators.move(session, user_id=user_id, by=Move.GO_AWAY, now=now)
        _set(session, user_id, None)


def tell(session: Session, *, campaign_id: int) -> None:
    """Have everybody's page show that the campaign's state is another (一時停止)."""
    for user_id in session.scalars(
        select(Operator.user_id).where(Operator.campaign_id == campaign_id)
    ):
        announce(session, "operator", user_id=user_id)


def ready(campaign_id: int) -> ColumnElement[bool]:
    """Condition on Operator: 待機 in this campaign, kept for nobody, and able to hear."""
    return and_(
        Operator.campaign_id == campaign_id,
        Operator.state == OperatorState.READY,
        Operator.attempt_id.is_(None),
        Operator.leg_state.in_(operators.LIVE_LEGS),
    )


def _all_granted(viewer: Viewer) -> ColumnElement[bool]:
    """Condition on Campaign: it dials a list, and the viewer may dial all that it dials."""
    foreign = exists(
        campaign_leads.in_use(Campaign.id).where(~scope.lists_dialled(viewer)).correlate(Campaign)
    )
    return and_(exists(campaign_leads.in_use(Campaign.id).correlate(Campaign)), ~foreign)


def _set(session: Session, user_id: int, campaign_id: int | None) -> None:
    session.execute(
        update(Operator)
        .where(Operator.user_id == user_id)
        .values(campaign_id=campaign_id, leaves_campaign=False)
    )
    announce(session, "operator", user_id=user_id)
    announce(session, "campaign", campaign_id=campaign_id)
