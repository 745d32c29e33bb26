"""SIPp as somebody who calls: INVITE, CANCEL and BYE of a program that is not ours.

What is said is a tone in PCMU, sent by SIPp itself. Skipped where there is no `sipp` (Debian:
`sip-tester`).
"""

import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

from tests.ports import free_port
from tests.sip_phone import tone

ENDS_S = 120
"""A call that is over ends its process within this on a busy machine too."""
_HEAD = """\
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:{caller}@[local_ip]:[local_port]>;tag=[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>{to}
      Call-ID: [call_id]
      CSeq: {sequence}
      Contact: <sip:{caller}@[local_ip]:[local_port]>
      Max-Forwards: 70
"""
_TARGET = "sip:[service]@[remote_ip]:[remote_port]"
_SDP = """\
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=- 1 1 IN IP4 [local_ip]
      s=-
      c=IN IP4 [media_ip]
      t=0 0
      m=audio [rtpstream_audio_port] RTP/AVP 0
      a=rtpmap:0 PCMU/8000
"""
_BARE = "      Content-Length: 0\n"
_RECEIVED = """\
    <recv response="100" optional="true"/>
    <recv response="180" optional="{ringing}"/>
"""


def _send(first: str, caller: str, sequence: str, to: str = "", body: str = _BARE) -> str:
    head = _HEAD.format(caller=caller, sequence=sequence, to=to)
    return f"    <send><![CDATA[\n      {first} SIP/2.0\n{head}{body}\n    ]]></send>\n"


def _invite(caller: str) -> str:
    return _send(f"INVITE {_TARGET}", caller, "1 INVITE", body=_SDP)


def talks(caller: str, sound: Path) -> str:
    """Is answered, says the tone, and hangs up once an INFO comes."""
    peer = "[peer_tag_param]"
    return (
        _invite(caller)
        + _RECEIVED.format(ringing="true")
        + '    <recv response="183" optional="true"/>\n    <recv response="200"/>\n'
        + _send(f"ACK {_TARGET}", caller, "1 ACK", peer)
        + f'    <nop><action><exec rtp_stream="{sound},-1,0"/></action></nop>\n'
        + '    <recv request="INFO"/>\n'
        + "    <send><![CDATA[\n      SIP/2.0 200 OK\n      [last_Via:]\n      [last_From:]\n"
        + "      [last_To:]\n      [last_Call-ID:]\n      [last_CSeq:]\n"
        + f"{_BARE}\n    ]]></send>\n"
        + _send(f"BYE {_TARGET}", caller, "2 BYE", peer)
        + '    <recv response="200"/>\n'
    )


def gives_up(caller: str) -> str:
    """Lets it ring for a second and cancels."""
    cancel = _send(f"CANCEL {_TARGET}", caller, "1 CANCEL")
    return (
        _invite(caller)
        + _RECEIVED.format(ringing="false")
        + '    <pause milliseconds="1000"/>\n'
        # of the same branch as what it cancels
        + cancel.replace("[branch]", "[branch-4]")
        + '    <recv response="200"/>\n    <recv response="487"/>\n'
        + _send(f"ACK {_TARGET}", caller, "1 ACK", "[peer_tag_param]").replace(
            "[branch]", "[branch-7]"
        )
    )


class Sipp:
    """One call to `number` at a port of this machine, by the scenario that `does` says."""

    def __init__(self, directory: Path, *, port: int, number: str, does: str) -> None:
        program = shutil.which("sipp")
        if program is None:
            pytest.skip("no sipp (Debian: sip-tester)")
        scenario = directory / "scenario.xml"
        scenario.write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="call">\n{does}</scenario>\n'
        )
        self._log = (directory / "sipp.log").open("w+")
        self.process = subprocess.Popen(
            [
                *(program, f"127.0.0.1:{port}", "-sf", str(scenario), "-s", number),
                *("-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(free_port())),
                *("-m", "1", "-r", "1", "-nostdin", "-trace_err", "-timeout", "600s"),
            ],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Sipp":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    def ends_well(self) -> None:
        """Every answer was the one that the scenario waits for."""
        code = self.process.wait(ENDS_S)
        assert code == 0, (code, Path(self._log.name).read_text()[-4000:])


def spoken(directory: Path, hertz: int) -> Path:
    """A second of a tone, as SIPp sends it."""
    path = directory / "tone.pcmu"
    path.write_bytes(tone(hertz) * 50)
    return path
