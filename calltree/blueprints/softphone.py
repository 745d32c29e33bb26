"""The telephone in the operator's page: its credentials, what it says of itself, and what the
switch asks about those who sign in there.
"""

from __future__ import annotations

import hmac
import re
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from flask import (
    Blueprint,
    Flask,
    Response,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from calltree.blueprints.access import public, requires, viewer
from calltree.blueprints.calling import require_page, sit_down
from calltree.blueprints.headers import LOCAL_SWITCH
from calltree.blueprints.page import page_id
from calltree.config import Settings
from calltree.db import utcnow
from calltree.errors import Refused
from calltree.extensions import csrf, limiter, reading, settings, writing
from calltree.htmx import wants_fragment
from calltree.locale import sentence
from calltree.models import LegKind, Operator
from calltree.services import leases, operators, softphones, switch_nodes
from calltree.services.rights import Right

bp = Blueprint("softphone", __name__)

NOT_FOUND = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<document type="freeswitch/xml">'
    '<section name="result"><result status="not found"/></section></document>\n'
)
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?\Z")
_TURN = re.compile(r"(turns?):([^:@]+):([^@]+)@(.+)\Z")


@bp.errorhandler(Refused)
def refused(refusal: Refused) -> ResponseReturnValue:
    """Say why to the page's script, in words that it can show."""
    return jsonify(code=refusal.code, message=sentence(refusal.code, **refusal.values)), 409


@bp.post("/operator/softphone/connect")
@requires(Right.DIAL)
def connect() -> ResponseReturnValue:
    """Make this the operator's page and give it what it signs in at the switch with."""
    now, mine = utcnow(), viewer().user_id
    sit_down(now)
    with writing() as session:
        require_page(session)
        given = softphones.issue(session, user_id=mine, page_id=page_id(), now=now)
    url = _own_switch_url()
    return jsonify(
        uri=f"sip:{given.user}@{softphones.DOMAIN}",
        password=given.token,
        target=f"sip:{softphones.EXTENSION}@{softphones.DOMAIN}",
        url=url,
        via=_via(url),
        ice=[_ice(server) for server in settings().ice_servers],
    )


def _own_switch_url() -> str:
    operator = reading().get(Operator, viewer().user_id, populate_existing=True)
    return switch_url(settings(), operator.leg_node if operator else "")


def switch_url(of: Settings, node: str = "") -> str:
    """Return where a page that asks us reaches this switch; the first, if it is no name of one."""
    if of.switch_wss_urls:
        return of.switch_wss_url(node)
    return f"wss://{request.host}/sip" if request.is_secure else LOCAL_SWITCH


def _via(url: str) -> str:
    """Return what FreeSWITCH takes this connection for, which a page behind a proxy cannot know.

    It answers no request whose Via says otherwise, without a word. Where it listens itself for TLS
    (SWITCH_WSS_LISTEN) that port is WSS; all else comes through a proxy that ends TLS, or has none.
    """
    of = settings()
    own = {of.place_of(node).wss.rpartition(":")[2] for node in of.node_names} - {""}
    return "WSS" if str(urlsplit(url).port) in own else "WS"


def _ice(server: str) -> dict[str, str]:
    turn = _TURN.match(server)
    if turn is None:
        return {"urls": server}
    scheme, user, password, place = turn.groups()
    return {"urls": f"{scheme}:{place}", "username": user, "credential": password}


@bp.post("/operator/softphone/report")
@requires(Right.DIAL)
def report() -> ResponseReturnValue:
    """Hear how the page's telephone is; say how its leg is known here."""
    mine = viewer().user_id
    with writing() as session:
        ours = softphones.report(
            session,
            user_id=mine,
            page_id=page_id(),
            microphone=request.form.get("microphone", ""),
            trouble=request.form.get("trouble", ""),
            now=utcnow(),
        )
    if not ours:
        raise Refused("page_in_use")
    operator = reading().get(Operator, mine)
    return jsonify(
        url=_own_switch_url(),
        leg=operator.leg_state if operator else "none",
        heard=operator is not None
        and leases.link_is_up(reading(), node=operator.leg_node or settings().node_names[0]),
    )


@bp.post("/operator/telephone/move")
@requires(Right.DIAL)
def move() -> ResponseReturnValue:
    """Go to another switch, off one that is lost."""
    mine, nodes = viewer().user_id, settings().node_names
    try:
        with writing() as session:
            switch_nodes.move(session, user_id=mine, nodes=nodes, now=utcnow())
    except Refused as refusal:
        if not wants_fragment():
            flash(sentence(refusal.code), "bad")
    if wants_fragment():
        lost = switch_nodes.lost(reading(), user_id=mine, nodes=nodes)
        return render_template("operator/_switch_lost.html", lost=lost)
    return redirect(url_for("operator.home"), 303)


def panel() -> dict[str, Any]:
    """Return what the top bar's panel is drawn from."""
    if settings().practice:
        return {"browser": False, "practice": True}
    session, mine = reading(), viewer().user_id
    operator = session.get(Operator, mine)
    kind = operator.leg_kind if operator else operators.leg_kind(session, user_id=mine)
    return {"browser": kind is LegKind.BROWSER, "practice": False}


@bp.get("/check")
@requires(Right.OWN_ACCOUNT)
def environment() -> ResponseReturnValue:
    """ご利用環境チェック: what this machine brings along, each green or red (R-AR-1)."""
    return render_template(
        "operator/environment.html",
        switch_url="" if settings().practice else switch_url(settings()),
    )


@bp.post("/switch/directory")
@csrf.exempt  # type: ignore[untyped-decorator]  # the library has no types
@limiter.exempt
@public
def directory() -> ResponseReturnValue:
    """Tell the switch of one telephone that signs in (mod_xml_curl); nothing else is answered."""
    if not _is_switch():
        return Response(
            status=401, headers={"WWW-Authenticate": 'Basic realm="switch", charset="UTF-8"'}
        )
    asked = request.form
    domain = asked.get("domain", "")
    account = None
    if asked.get("section") == "directory" and _DOMAIN.match(domain):
        account = softphones.find(reading(), sip_user=asked.get("user", ""), now=utcnow())
    body = NOT_FOUND if account is None else _document(account, domain)
    return Response(body, mimetype="text/xml")


def _is_switch() -> bool:
    given = request.authorization
    if given is None or given.type != "basic" or not settings().switch_secret:
        return False
    pair = f"{given.username or ''}:{given.password or ''}"
    return hmac.compare_digest(pair.encode(), f"switch:{settings().switch_secret}".encode())


def _document(account: softphones.Account, domain: str) -> str:
    """Return the directory's answer; `dial-string` lets desk phones be called where they are."""
    dial = (
        "{presence_id=${dialed_user}@${dialed_domain}}"
        "${sofia_contact(${dialed_user}@${dialed_domain})}"
    )
    variables = {
        "user_context": "agents",
        "calltree_user_id": str(account.user_id),
        "calltree_site": account.site_key,
    }
    listed = "".join(
        f"<variable name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in variables.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<document type="freeswitch/xml">'
        f'<section name="directory"><domain name={quoteattr(domain)}>'
        f'<params><param name="dial-string" value={quoteattr(dial)}/></params>'
        '<groups><group name="operators"><users>'
        f"<user id={quoteattr(account.user)}>"
        f'<params><param name="a1-hash" value={quoteattr(account.a1_hash)}/></params>'
        f"<variables>{listed}</variables></user>"
        "</users></group></groups></domain></section></document>\n"
    )


def init_app(app: Flask) -> None:
    """Give templates what the panel is drawn from; fragments are pushed without a context."""
    app.add_template_global(panel, "softphone_panel")
    app.jinja_env.globals["has_softphones"] = not app.extensions["calltree.settings"].practice
