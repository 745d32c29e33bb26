"""Recording sessions: which leg writes which file, and what is heard on either side."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calltree.practice import monitoring
from calltree.practice.audio import RATE, WavFile
from calltree.practice.channels import Channel

BATCH_SECONDS = 1.0


def heard_by(channel: Channel) -> str:
    """The sound sent towards a leg: what is played to it, or what its partner says."""
    return "+".join([_own_sound(channel), *monitoring.heard_by(channel)])


def _own_sound(channel: Channel) -> str:
    if channel.playing:
        return "ringback" if channel.playing.startswith("tone_stream") else "music"
    partner = channel.partner
    if partner is None or partner.held or partner.muted:
        return "silence"
    return partner.voice


@dataclass
class Recording:
    """One file being written for one leg."""

    channel: Channel
    file: WavFile
    name: str
    started_us: int
    stereo: bool
    swap: bool
    masked: bool = False

    def write_until(self, now_us: int) -> None:
        due = (now_us - self.started_us) * RATE // 1_000_000
        said, heard = self.channel.voice, heard_by(self.channel)
        if self.masked:
            said = heard = "silence"
        left, right = (heard, said) if self.swap else (said, heard)
        self.file.write(left, right, due - self.file.samples)

    @property
    def milliseconds(self) -> int:
        return self.file.samples * 1000 // RATE


class Recordings:
    """All running recordings. Files are made only below `root`."""

    def __init__(self, root: Path, now_us: Callable[[], int]) -> None:
        self.root = root.resolve()
        self._now_us = now_us
        self._running: dict[tuple[str, str], Recording] = {}

    def start(self, channel: Channel, name: str) -> Recording | None:
        """Begin a file; None when it already runs or may not be written there."""
        if (channel.uuid, name) in self._running:
            return None
        path = Path(name).resolve()
        if not path.is_relative_to(self.root):
            raise PermissionError(f"not below the recordings directory: {name}")
        stereo = channel.flag("RECORD_STEREO") or channel.flag("RECORD_STEREO_SWAP")
        recording = Recording(
            channel,
            WavFile(path, 2 if stereo else 1),
            name,
            self._now_us(),
            stereo,
            channel.flag("RECORD_STEREO_SWAP"),
        )
        self._running[channel.uuid, name] = recording
        return recording

    def stop(self, channel: Channel, name: str) -> Recording | None:
        recording = self._running.pop((channel.uuid, name), None)
        if recording is not None:
            recording.write_until(self._now_us())
            recording.file.close()
        return recording

    def mask(self, channel: Channel, name: str, masked: bool) -> bool:
        recording = self._running.get((channel.uuid, name))
        if recording is None:
            return False
        recording.write_until(self._now_us())
        recording.masked = masked
        return True

    def of(self, channel: Channel) -> list[str]:
        return [name for uuid, name in self._running if uuid == channel.uuid]

    def sound_changes(self, *channels: Channel | None) -> None:
        """Call before a leg's partner, voice or playback changes: what was heard is written."""
        for recording in self._running.values():
            if recording.channel in channels or recording.channel.partner in channels:
                recording.write_until(self._now_us())

    async def run(self) -> None:
        """Write a batch to every file once a second, for ever."""
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            for recording in list(self._running.values()):
                recording.write_until(self._now_us())

    def close(self) -> None:
        for recording in list(self._running.values()):
            self.stop(recording.channel, recording.name)
