"""Directories of recordings, made by us before the switch needs them.

FreeSWITCH makes what is missing on the way to a file with 0750, whatever its umask
(switch_dir_make_recursive). It is another user of the same group, so we could neither write the
small copy beside a recording nor remove the recording then.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from calltree.text.days import site_day

DAY = "%Y/%m/%d"


def make_days(root: Path, now: datetime) -> Path:
    """Make this day's directory and the next day's, as open as `root` is; give this day's.

    Raises OSError. What is there already is left as it is.
    """
    root.mkdir(parents=True, exist_ok=True)
    today = site_day(now)
    with _open_as(root):
        for day in (today + timedelta(days=1), today):
            folder = root
            for part in f"{day:{DAY}}".split("/"):
                folder /= part
                with suppress(FileExistsError):
                    folder.mkdir()
    return folder


@contextmanager
def _open_as(root: Path) -> Iterator[None]:
    """Make what is made now as open as `root`.

    By the umask: a chmod that keeps the group's bit is forbidden to our units (RestrictSUIDSGID),
    and one that does not takes it away.
    """
    before = os.umask(0o777 & ~stat.S_IMODE(root.stat().st_mode))
    try:
        yield
    finally:
        os.umask(before)
