"""Copies of recordings in an S3-compatible store, for sites that name one (RECORDINGS_S3).

The directory stays the place where the switch writes and sound is encoded. A finished copy is
carried over to the bucket and removed here; whoever asks for it looks here first, so what was kept
before there was a bucket, or while it could not be reached, is played all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from calltree.config import BucketPlace, Settings

_GONE = {"404", "NoSuchKey", "NotFound"}
_CONNECT_S = 5
_READ_S = 30
_TRIES = 3


class BucketDown(OSError):
    """The store does not answer, or refuses: nothing is known of what it holds."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, below one prefix; names are those of the rows."""

    client: Any
    name: str
    prefix: str

    def put(self, name: str, path: Path) -> None:
        """Store a file, and look that all of it arrived. Raises BucketDown."""
        size = path.stat().st_size
        with path.open("rb") as file, _telling():
            self.client.put_object(Body=file, ContentType="audio/mpeg", **self._at(name))
        if self.size(name) != size:
            raise BucketDown("what was stored has not the length of the file")

    def size(self, name: str) -> int | None:
        """Return a file's length; None when it is not there. Raises BucketDown."""
        try:
            with _telling():
                return int(self.client.head_object(**self._at(name))["ContentLength"])
        except FileNotFoundError:
            return None

    @contextmanager
    def opened(self, name: str, first: int = 0, last: int | None = None) -> Iterator[BinaryIO]:
        """Give the bytes from `first` to `last` to be read once.

        Raises FileNotFoundError, BucketDown.
        """
        wanted = f"bytes={first}-{'' if last is None else last}"
        with _telling():
            body = self.client.get_object(Range=wanted, **self._at(name))["Body"]
        try:
            yield body
        finally:
            body.close()

    def remove(self, name: str) -> None:
        """Remove a file, whether it is there or not. Raises BucketDown."""
        with _telling():
            self.client.delete_object(**self._at(name))

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": f"{self.prefix}{name}"}


def of(settings: Settings) -> Bucket | None:
    """Return the site's bucket; None when it has none, and for practice recordings."""
    if settings.recordings_s3 is None or settings.practice:
        return None
    return connected(settings.recordings_s3)


@cache
def connected(place: BucketPlace) -> Bucket:
    """Return the bucket at a place; the network is reached at its first use.

    Who we are is found as every program of AWS does: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
    ~/.aws, or the machine's role.
    """
    # here, and not above: it is large, and most sites have no bucket
    import boto3  # type: ignore[import-untyped] # published without types, as botocore
    from botocore.config import Config  # type: ignore[import-untyped] # as boto3

    client = boto3.session.Session().client(
        "s3",
        endpoint_url=place.endpoint or None,
        region_name=place.region,
        config=Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            s3={"addressing_style": "path" if place.endpoint else "auto"},
            # others than Amazon's refuse the newer checksums
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return Bucket(client, place.bucket, place.prefix)


@contextmanager
def _telling() -> Iterator[None]:
    from botocore.exceptions import (  # type: ignore[import-untyped] # as boto3
        BotoCoreError,
        ClientError,
    )

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _GONE:
            raise FileNotFoundError(code) from None
        raise BucketDown(f"the store refused: {code}") from None
    except BotoCoreError as error:
        raise BucketDown(f"the store does not answer: {type(error).__name__}") from None
