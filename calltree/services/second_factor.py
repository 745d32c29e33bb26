"""The second factor: a code of six digits that an app on the user's telephone shows (R-US-6).

TOTP by RFC 6238. It is asked of the roles that the site settings name, for as long as they are
named; a factor that was set up is kept when a role is taken off, and counts again later.

The secret is shown once and stored encrypted with a key made from SECRET_KEY: a copy of the
database, such as a backup, gives nobody the codes. With another SECRET_KEY every code is wrong;
recovery codes still let in, and a manager or the command line resets.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from calltree.errors import Refused
from calltree.models import RecoveryCode, User
from calltree.services import audit, people, sealing
from calltree.services.rights import Viewer
from calltree.text.folding import fold_name

STEP_S = 30
EARLY_OR_LATE = 1
"""Steps that a telephone's clock may be off: a code is good for a minute and a half in all."""
DIGITS = 6
CODES = 10
_CODE_BYTES = 10
_PURPOSE = "second factor"


def new_secret() -> str:
    """Draw a secret of 160 bits, in base32 as apps want it."""
    return pyotp.random_base32()


def address_of(secret: str, *, login_id: str, issuer: str) -> str:
    """Write the otpauth: address that the QR code holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=login_id, issuer_name=issuer)


def is_set_up(session: Session, *, user_id: int) -> bool:
    """Whether this user has a factor."""
    return people.get(session, user_id).totp_sealed != ""


def set_up(
    session: Session, *, user_id: int, secret: str, given: str, key: str, now: datetime
) -> list[str]:
    """Take a secret that the user's app knows, as a code of it proves; return ten recovery codes.

    Raises Refused 'factor_wrong'.
    """
    step = _step_of(secret, _folded(given), now)
    if step is None:
        raise Refused("factor_wrong")
    user = people.get(session, user_id)
    user.totp_sealed = sealing.seal(secret, key=key, purpose=_PURPOSE)
    user.totp_step = step
    session.flush()
    audit.note(
        session, viewer=Viewer.of(user), action="user.factor_set", kind="user",
        object_id=user_id, now=now,
    )  # fmt: skip
    return _new_codes(session, user_id)


def prove(session: Session, *, user_id: int, given: str, key: str, now: datetime) -> int | None:
    """Check a code of the app or a recovery code; either is good once.

    Returns how many recovery codes are left if one was used, else None. Raises Refused
    'factor_wrong' or 'factor_used'.
    """
    code = _folded(given)
    user = people.get(session, user_id)
    if len(code) != DIGITS:
        return _use_recovery_code(session, user, code, now)
    step = _step_of(sealing.opened(user.totp_sealed, key=key, purpose=_PURPOSE), code, now)
    if step is None:
        raise Refused("factor_wrong")
    # compared in the database: of two that send one code at once only one comes in
    taken = session.scalar(
        update(User)
        .where(User.id == user_id, User.totp_step < step)
        .values(totp_step=step)
        .returning(User.id)
    )
    if taken is None:
        raise Refused("factor_used")
    return None


def codes_left(session: Session, *, user_id: int) -> int | None:
    """Count the recovery codes that are still good; None for a user without a factor."""
    if not is_set_up(session, user_id=user_id):
        return None
    return _count_codes(session, user_id)


def renew_codes(session: Session, *, viewer: Viewer, now: datetime) -> list[str]:
    """Return ten new recovery codes of one's own; the old ones are void.

    Raises Refused 'factor_missing'.
    """
    mine = viewer.user_id
    if not is_set_up(session, user_id=mine):
        raise Refused("factor_missing")
    audit.note(
        session, viewer=viewer, action="user.recovery_codes_renewed", kind="user",
        object_id=mine, now=now,
    )  # fmt: skip
    return _new_codes(session, mine)


def reset(session: Session, *, viewer: Viewer | None, user_id: int, now: datetime) -> None:
    """Forget a user's factor and recovery codes, and end their sessions; audited.

    The next sign-in sets it up anew. `viewer` None is the command line.
    """
    user = people.get(session, user_id)
    user.totp_sealed = ""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    people.end_sessions(session, user, now)
    audit.note(
        session, viewer=viewer, action="user.factor_reset", kind="user", object_id=user_id, now=now
    )


def _folded(given: str) -> str:
    """Read full-width digits, and drop the blanks and hyphens that people type between groups."""
    return "".join(c for c in fold_name(given) if c.isalnum() and c.isascii())


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the step whose code this is, the newest if several; None if of none near now."""
    if not secret:
        return None
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S)
    present = int(now.timestamp()) // STEP_S
    near = range(present + EARLY_OR_LATE, present - EARLY_OR_LATE - 1, -1)
    # all are compared, so that the time it takes tells nothing
    found = [step for step in near if secrets.compare_digest(totp.at(step * STEP_S), code)]
    return found[0] if found else None


def _use_recovery_code(session: Session, user: User, code: str, now: datetime) -> int:
    used = session.scalar(
        delete(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(code))
        .returning(RecoveryCode.user_id)
    )
    if used is None:
        raise Refused("factor_wrong")
    left = _count_codes(session, user.id)
    audit.note(
        session, viewer=Viewer.of(user), action="user.recovery_code_used", kind="user",
        object_id=user.id, now=now, codes_left=left,
    )  # fmt: skip
    return left


def _count_codes(session: Session, user_id: int) -> int:
    return session.scalar(select(func.count()).where(RecoveryCode.user_id == user_id)) or 0


def _new_codes(session: Session, user_id: int) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    drawn = [
        base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower() for _ in range(CODES)
    ]
    session.add_all(RecoveryCode(user_id=user_id, code_hash=_hash(code)) for code in drawn)
    session.flush()
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in drawn]


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
