"""Putting a rendering into a directory that is ours, and into no other."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calltree.telephony.config.rendering import TRUNKS, render
from calltree.telephony.config.wanted import ConfigError, Wanted

MARK = ".calltree.json"
"""Says that a directory is ours, and what was written there."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was done, by file name."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    """Replaced by the administrator's own and so left alone."""


def write(out: Path, wanted: Wanted, *, group: str = "") -> Written:
    """Write what differs. Raises ConfigError for a directory with anything that is not ours.

    Files with a password are 0600, all others 0640; with `group` the former are 0640 too and all
    belong to it, which lets FreeSWITCH read them as another user.
    """
    rendering = render(wanted)
    mark = read_mark(out)
    before: dict[str, str] = mark.get("files", {})
    out.parent.mkdir(parents=True, exist_ok=True)
    _make_directories(out, group=group, top=out)
    changed, kept, told = [], [], {}
    for name, data in rendering.files.items():
        path, told[name] = _below(out, name), _digest(data)
        there = _digest(path.read_bytes()) if path.is_file() else ""
        if name in rendering.replaceable and there and there not in (told[name], before.get(name)):
            kept.append(name)
            continue
        if there != told[name]:
            changed.append(name)
        secret = name in rendering.secret and not group
        _put(path, data, mode=0o600 if secret else 0o640, group=group, top=out)
    removed = [name for name in before if name not in rendering.files]
    for name in removed:
        _below(out, name).unlink(missing_ok=True)
    waiting = {name for name in [*changed, *removed] if name.startswith(TRUNKS)}
    mark = {
        "made_by": "calltree",
        "node": wanted.node,
        "test_carrier": wanted.test_carrier,
        "files": told,
        "trunks_to_load": sorted(waiting | set(mark.get("trunks_to_load", ()))),
    }
    _put_mark(out, mark)
    return Written(tuple(changed), tuple(removed), tuple(kept))


def differing(out: Path, wanted: Wanted) -> list[str]:
    """Name the files that `write` would write, replace or remove. Raises ConfigError as it does."""
    rendering = render(wanted)
    before: dict[str, str] = read_mark(out).get("files", {})
    found = [name for name in before if name not in rendering.files]
    for name, data in rendering.files.items():
        path = _below(out, name)
        there = _digest(path.read_bytes()) if path.is_file() else ""
        own = name in rendering.replaceable and there and there != before.get(name)
        if there != _digest(data) and not own:
            found.append(name)
    return sorted(found)


def needs_restart(name: str) -> bool:
    """Whether a running switch reads this file only when it starts again."""
    return not name.startswith((TRUNKS, "dialplan/", "sounds/"))


def read_mark(out: Path) -> dict[str, Any]:
    """What was written here last; empty for a directory that is empty or not there.

    Raises ConfigError for one that is not ours.
    """
    try:
        mark = json.loads((out / MARK).read_text())
    except (FileNotFoundError, NotADirectoryError):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(
                f"{out} is not empty and was not made by this command. Name another directory."
            ) from None
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{out / MARK} cannot be read ({error}).") from None
    if not isinstance(mark, dict) or mark.get("made_by") != "calltree":
        raise ConfigError(f"{out / MARK} is not ours. Name another directory.")
    return mark


def trunks_to_load(out: Path) -> list[str]:
    """Name the gateways that were written or removed since the switch last took them."""
    waiting = read_mark(out).get("trunks_to_load", ())
    return [Path(name).stem for name in waiting]


def trunks_loaded(out: Path) -> None:
    """Note that the switch took them all."""
    _put_mark(out, read_mark(out) | {"trunks_to_load": []})


def _put_mark(out: Path, mark: dict[str, Any]) -> None:
    text = json.dumps(mark, indent=1, sort_keys=True) + "\n"
    _put(out / MARK, text.encode(), mode=0o600, group="", top=out)


def _below(out: Path, name: str) -> Path:
    """Name a file below the directory; a link on the way could lead out of it."""
    path = out
    for part in Path(name).parts:
        path = path / part
        if part in ("/", "..") or path.is_symlink():
            raise ConfigError(f"{path} is a link or leads out of {out}. Remove it and try again.")
    return path


def _put(path: Path, data: bytes, *, mode: int, group: str, top: Path) -> None:
    """Replace a file as a whole: FreeSWITCH may read it at any moment."""
    _make_directories(path.parent, group=group, top=top)
    if not path.is_file() or path.read_bytes() != data:
        handle, temporary = tempfile.mkstemp(dir=path.parent)  # 0600 from its first moment
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        _give(Path(temporary), group)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    else:
        _give(path, group)
        path.chmod(mode)


def _make_directories(directory: Path, *, group: str, top: Path) -> None:
    if directory != top and not directory.is_dir():
        _make_directories(directory.parent, group=group, top=top)
    if directory.is_dir():
        return  # the administrator may have set its mode and group
    directory.mkdir(mode=0o750)
    _give(directory, group)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o777 != 0o750:  # a tighter umask; a set-group-id of the parent stays
        directory.chmod(mode & 0o7000 | 0o750)


def _give(path: Path, group: str) -> None:
    if not group:
        return
    try:
        shutil.chown(path, group=group)
    except (LookupError, PermissionError) as error:
        raise ConfigError(
            f"SWITCH_GROUP: {path} cannot be given to {group} ({error}). "
            f"Add the user that runs CALLTREE to this group."
        ) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
