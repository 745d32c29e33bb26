"""Secrets that must be read again, encrypted with a key made from SECRET_KEY.

A copy of the database, such as a backup, gives nobody what was sealed; with another SECRET_KEY
nothing opens.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def seal(secret: str, *, key: str, purpose: str) -> str:
    """Encrypt a secret; what is sealed for one purpose does not open for another."""
    return _cipher(key, purpose).encrypt(secret.encode()).decode()


def opened(sealed: str, *, key: str, purpose: str) -> str:
    """Give the secret back; '' when the key is another one."""
    try:
        return _cipher(key, purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return ""


def _cipher(key: str, purpose: str) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
