"""Secrets that must be read again, encrypted with a key made from SECRET_KEY.

A copy of the database, such as a backup, gives nobody what was sealed; with another SECRET_KEY
nothing opens.
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


def seal(secret: str, *, key: str, purpose: str) -> str:
    """Encrypt a secret; what is sealed for one purpose does not open for another."""
    return _cipher(key, purpose).encrypt(secret.encode()).decode()


def opened(sealed: str, *, key: str, purpose: str) -> str:
    """Give the secret back; '' when the key is another one."""
    try:
        return _cipher(key, purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return ""


def seal_for_now(secret: str, *, key: str, purpose: str) -> str:
    """As `seal`, for what is opened in a moment and kept nowhere: in a tenth of the time."""
    nonce = os.urandom(_NONCE_BYTES)
    return (nonce + _quick_cipher(key, purpose).encrypt(nonce, secret.encode(), None)).hex()


def opened_now(sealed: str, *, key: str, purpose: str) -> str:
    """Give back what was sealed for now; '' when the key is another one."""
    data = bytes.fromhex(sealed)
    try:
        return (
            _quick_cipher(key, purpose)
            .decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
            .decode()
        )
    except InvalidTag:
        return ""


def _cipher(key: str, purpose: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derived(key, purpose)))


@lru_cache(maxsize=4)
def _quick_cipher(key: str, purpose: str) -> AESGCM:
    return AESGCM(_derived(key, purpose))


def _derived(key: str, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(key.encode())
