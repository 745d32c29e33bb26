"""A Chromium with a made-up microphone, and a site on a real FreeSWITCH to use it with."""

import math
import os
import struct
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.databases import PostgresDatabases, SqliteDatabases
from tests.softphone.real import NEEDS, RealSite, open_real_site
from tests.windows import Windows

FAKE_DEVICES = "--use-fake-device-for-media-stream"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    FAKE_DEVICES,
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
ALLOWED = "--use-fake-ui-for-media-stream"
OPERATOR_HZ = 600
"""What the operators of these tests say, for as long as they are there."""


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV of the operator's tone."""
    path = tmp_path_factory.mktemp("voice") / "operator.wav"
    _write(
        path, [int(9000 * math.sin(2 * math.pi * OPERATOR_HZ * i / 48000)) for i in range(96000)]
    )
    return path


@pytest.fixture(scope="session")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV in which nothing is said."""
    path = tmp_path_factory.mktemp("voice") / "silence.wav"
    _write(path, [0] * 96000)
    return path


def _write(path: Path, samples: list[int]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


@pytest.fixture(scope="session")
def beeping(chromium: Windows) -> Iterator[dict[bool, Browser]]:
    """Chromiums whose microphone beeps, by whether they may use it: one serves many tests."""
    kept: dict[bool, Browser] = {}
    yield kept
    for browser in kept.values():
        browser.close()


@pytest.fixture
def listener(chromium: Windows, beeping: dict[bool, Browser]) -> Iterator[Callable[..., Browser]]:
    """`listener(wav)`: a Chromium whose microphone hears this file; without one, beeps.

    `headset=False`: on a computer that has no microphone at all.
    """
    opened = chromium.others

    def launch(
        wav: Path | None = None,
        *,
        allowed: bool = True,
        mark: str = "",
        headset: bool = True,
        more: Sequence[str] = (),
    ) -> Browser:
        if wav is None and headset and allowed in beeping:
            opened.append(beeping[allowed])
            return opened[-1]
        flags = [*FLAGS, *([ALLOWED] if allowed else []), *more]
        if not headset:
            flags.remove(FAKE_DEVICES)
        if wav is not None:
            flags.append(f"--use-file-for-fake-audio-capture={wav}")
        if mark:
            flags.append(f"--calltree-mark={mark}")
        kind = chromium.browser.browser_type
        path = os.environ.get("CHROMIUM") or _path()
        opened.append(kind.launch(executable_path=path, args=flags))
        if wav is None and headset:
            beeping[allowed] = opened[-1]
        return opened[-1]

    yield launch
    for browser in opened:
        if browser in beeping.values():
            for context in browser.contexts:
                context.close()
        else:
            browser.close()
    opened.clear()


def _path() -> str:
    from tests.windows import CHROMIUM

    assert CHROMIUM is not None
    return CHROMIUM


@pytest.fixture(scope="module")
def site(
    databases: SqliteDatabases | PostgresDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealSite]:
    """The site of all tests of a module, on the FreeSWITCH that the environment names."""
    missing = [name for name in NEEDS if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no real FreeSWITCH: {', '.join(missing)} not set")
    directory = tmp_path_factory.mktemp("real")
    with databases.fresh(directory) as url, open_real_site(directory, url) as site:
        yield site
