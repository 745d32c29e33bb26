"""How a dial leaves: asked once more whether it still may, sent to a trunk, given its originate."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from calltree.db import announce
from calltree.models.calls import Attempt, CallState
from calltree.models.campaigns import Campaign
from calltree.services import do_not_call, leases, recordings, trunk_health, trunks
from calltree.telephony import commands, endings, safe_parts
from calltree.telephony.commands import ApiCommand
from calltree.telephony.orders import Ask, Order, Plan, Refusal


def dial(order: Order) -> Plan:
    """Mark the call as leaving and give its originate, or why it is not made."""
    refusal = _why_not_dial(order)
    route = refusal or _route(order)
    if isinstance(route, str):
        endings.not_sent(order.session, order.attempt, reason=route, now=order.now)
        return Refusal(route)
    attempt = order.session.scalar(
        update(Attempt)
        .where(Attempt.id == order.command.attempt_id, Attempt.state == CallState.QUEUED)
        .values(state=CallState.DIALLING, dialled_at=order.now, trunk_id=route.trunk_id)
        .returning(Attempt)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if attempt is None:
        return Refusal("not_queued")  # hung up or expired before it was dialled
    announce(order.session, "call", attempt_id=attempt.id, user_id=attempt.user_id)
    call = commands.OutsideCall(
        uuid=attempt.uuid,
        number=attempt.number,
        caller_number=str(order.command.args["caller"]),
        gateway=route.gateway,
        attempt_id=attempt.id,
        site_id=order.around.site.site_key,
        ring_s=int(order.command.args["ring_time_s"]),
        user_id=attempt.user_id,
        number_form=route.number_form,
        caller_id_form=route.caller_id_form,
    )
    return [Ask(_originate(order, attempt, call), job_uuid=attempt.uuid)]


def _originate(order: Order, attempt: Attempt, call: commands.OutsideCall) -> ApiCommand:
    """A campaign's customer waits in the dialplan once they answer; a press's is parked."""
    path = None
    if order.recordings_root:
        name = recordings.raw_name(attempt)
        path = safe_parts.switch_path(order.recordings_root, *name.split("/"))
    if attempt.campaign_id is None:
        return commands.originate_manual(call, recording=path)
    campaign = order.session.get_one(Campaign, attempt.campaign_id)
    return commands.originate_predictive(
        call,
        recording=path,
        wait_s=campaign.answered_wait_s,
        guidance=campaign.waiting_guidance_id,
        apology=campaign.apology_guidance_id,
    )


def _why_not_dial(order: Order) -> str:
    if order.now - order.command.created_at > timedelta(seconds=order.timings.dial_age_s):
        return "DIAL_TOO_OLD"
    if not leases.hears(order.around.leader_note, order.command.node):
        return "SWITCH_DOWN"  # nobody would hear what becomes of it
    return "NUMBER_BANNED" if _banned_since(order) else ""


def _banned_since(order: Order) -> bool:
    """Whether the number was banned between the gate's yes and a dial that waited (R-DN-5)."""
    command = order.command
    waited = order.now - command.created_at > timedelta(seconds=order.timings.yes_holds_s)
    if not waited and "without" not in command.args:  # a next trunk comes seconds after the yes
        return False
    return do_not_call.is_banned(
        order.session,
        number=str(command.args["number"]),
        project_id=order.attempt.project_id,
        now=order.now,
    )


def _route(order: Order) -> trunks.Route | str:
    args, ailing = order.command.args, order.around.ailing
    without = {*trunk_health.shut_among(ailing, order.now), *args.get("without", ())}
    route: trunks.Route | str = trunks.DEFAULT_ROUTE
    if not order.around.site.practice:  # trunks can be set up before there is a real switch
        route = trunks.route(
            order.session,
            number=args["number"],
            trunk_id=args.get("trunk_id"),
            without=without,
        )
    if isinstance(route, str):
        return route
    probes = route.gateway in ailing and route.gateway not in without
    if route.gateway in without or (
        probes
        and not trunk_health.taken(
            order.session,
            gateway=route.gateway,
            attempt_id=order.attempt.id,
            now=order.now,
        )
    ):
        return trunks.TRUNK_DOWN
    return route
