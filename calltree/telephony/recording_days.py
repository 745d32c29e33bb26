"""Directories of recordings, made by us before the switch needs them.

FreeSWITCH makes what is missing on the way to a file with 0750, whatever its umask
(switch_dir_make_recursive). It is another user of the same group, so we could neither write the
small copy beside a recording nor remove the recording then.
"""

import stat
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from calltree.text.days import site_day

DAY = "%Y/%m/%d"


def make_days(root: Path, now: datetime) -> Path:
    """Make this day's directory and the next day's, as open as `root` is; give this day's.

    Raises OSError. What is there already is left as it is.
    """
    root.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(root.stat().st_mode)
    today = site_day(now)
    for day in (today + timedelta(days=1), today):
        folder = root
        for part in f"{day:{DAY}}".split("/"):
            folder /= part
            with suppress(FileExistsError):
                folder.mkdir()
                folder.chmod(mode)  # the umask has cut mkdir's own
    return folder
