"""From the press of CALL until the operator hears ringing, in a real browser on a real FreeSWITCH.

Work: CALL is pressed in the page; gate, doorbell, `worker.py calls`, the switch, its events and
`worker.py switch` follow, until the page's received track has energy. Floor, by turns on the same
leg: the same originate and join (or tone) by hand, from one bare link. Two kinds of ringing:
`early` (183 with sound; joined on CHANNEL_PARK) and `local` (180 without; we play the tone on
CHANNEL_PROGRESS). The page looks every 4 ms. What is not heard within 5 s is counted and tried
again.

`value` and `floor` are medians in ms of `early`; **`ratio` is the worse of the two kinds' median
ratios, at most 1.5**. `--rows` is the number of presses of each kind and contestant (15). Needs a
FreeSWITCH and a Chromium: see bench/_browsers.py.
"""

import statistics
import time
import uuid
from contextlib import suppress
from typing import Any

from playwright.sync_api import TimeoutError

from bench import Options, Result
from bench._browsers import site_with_browsers
from bench._freeswitch import CALLER, Happened, Watch, switch_url, watching
from bench._telephone import percentile, wait_for
from calltree.models import CallState, LegState
from calltree.services.trunks import DEFAULT_GATEWAY
from calltree.telephony import commands
from calltree.telephony.esl import CommandRefused
from tests.softphone.real import RealSeat

PRESSES = 15
HEARD_MS = 5_000
KINDS = {"early": "3", "local": "2"}
"""Last digits of the test carrier: an announcement with 183; 180 and nothing more."""
EVENTS = "CHANNEL_PROGRESS CHANNEL_PARK CHANNEL_HANGUP_COMPLETE"
LISTEN = """
async () => {
  const pc = window.seenConnections.filter(one => one.connectionState === "connected").at(-1);
  if (window.listenedTo !== pc) {
    window.listenedTo = pc;
    window.loudAt = 0;
    const tracks = pc.getReceivers().map(one => one.track).filter(one => one.kind === "audio");
    window.ear ||= new AudioContext();
    await window.ear.resume();
    const analyser = window.ear.createAnalyser();
    analyser.fftSize = 256;
    window.source = window.ear.createMediaStreamSource(new MediaStream(tracks));
    window.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const loud = () => {
      analyser.getFloatTimeDomainData(samples);
      return samples.some(sample => Math.abs(sample) > 0.02);
    };
    clearInterval(window.listening);
    window.listening = setInterval(() => {
      if (!loud()) return;
      window.loudAt = Date.now();
      window.heardAt ||= window.loudAt;
    }, 4);
  }
  window.heardAt = 0;
}
"""
PRESS = """
() => {
  const at = Date.now();
  document.querySelector("#call-now button").click();
  return at;
}
"""


def run(options: Options) -> Result:
    presses = options.rows or PRESSES
    url = switch_url()
    took: dict[str, dict[str, list[float]]] = {k: {"product": [], "floor": []} for k in KINDS}
    unheard = {"product": 0, "floor": 0}
    numbers = [f"03123456{place}{digit}" for place, digit in enumerate(KINDS.values(), 1)]
    with site_with_browsers(options) as (site, browser), watching(url, EVENTS) as watch:
        seat = site.seat(browser, *numbers)
        for index, kind in enumerate(KINDS):
            seat.opens(index)
            for _ in range(presses):
                for who in took[kind]:
                    heard = None
                    while heard is None:
                        if who == "product":
                            heard = pressed(seat)
                        else:
                            heard = by_hand(seat, watch, kind, numbers[index])
                        unheard[who] += heard is None
                    took[kind][who].append(heard)
            let_go(seat)
    medians = {k: {w: statistics.median(v) for w, v in both.items()} for k, both in took.items()}
    ratios = {kind: both["product"] / both["floor"] for kind, both in medians.items()}
    return Result(
        value=medians["early"]["product"],
        unit="ms",
        floor=medians["early"]["floor"],
        ratio=max(ratios.values()),
        n=presses,
        extra={
            "not_heard": unheard,
            "ratios": {kind: round(ratio, 2) for kind, ratio in ratios.items()},
            **{
                f"{kind}_{who}_ms": told(values)
                for kind, both in took.items()
                for who, values in both.items()
            },
        },
    )


def told(values: list[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values)),
        "p95": round(percentile(values, 0.95)),
        "max": round(max(values)),
    }


def pressed(seat: RealSeat) -> float | None:
    """Press CALL; ms until something is heard."""
    seat.page.wait_for_selector("#call-now button:enabled")
    seat.page.evaluate(LISTEN)
    before = float(seat.page.evaluate(PRESS))
    heard = until_heard(seat)
    # not by F9: its button may be drawn anew in this very moment
    with suppress(CommandRefused):  # it ended by itself
        seat.site.api(f"uuid_kill {seat.attempt().uuid} ORIGINATOR_CANCEL")
    wait_for(lambda: seat.attempt().state is CallState.ENDED, "the call's end")
    seat.sees("ended")
    quiet(seat)
    return heard - before if heard else None


def by_hand(seat: RealSeat, watch: Watch, kind: str, number: str) -> float | None:
    """The same without us; ms from sending the originate until something is heard."""
    leg, customer = seat.operator().leg_uuid, str(uuid.uuid4())
    events = {"early": "CHANNEL_PARK", "local": "CHANNEL_PROGRESS"}
    then = {
        "early": f"api uuid_bridge {customer} {leg}",
        "local": f"api {commands.play_ringback(leg)}",
    }

    def on_event(happened: Happened) -> str:
        return then[kind] if (happened.name, happened.leg) == (events[kind], customer) else ""

    watch.on_event = on_event
    seat.page.evaluate(LISTEN)
    before = time.time() * 1000
    watch.send(
        f"bgapi originate {{origination_uuid={customer},originate_timeout=20,"
        f"origination_caller_id_number={CALLER}}}"
        f"sofia/gateway/{DEFAULT_GATEWAY}/{number} &park"
    )
    heard = until_heard(seat)
    watch.send(f"api uuid_kill {customer}")
    watch.send(f"api {commands.stop_playing(leg)}")
    wait_for(lambda: watch.first("CHANNEL_HANGUP_COMPLETE", customer), "the bare call's end")
    watch.on_event = None
    quiet(seat)
    return heard - before if heard else None


def until_heard(seat: RealSeat) -> float | None:
    try:
        seat.page.wait_for_function("() => window.heardAt > 0", timeout=HEARD_MS)
    except TimeoutError:
        return None
    return float(seat.page.evaluate("() => window.heardAt"))


def quiet(seat: RealSeat) -> None:
    """Wait until nothing has been heard for a second and the leg is parked again."""
    seat.page.wait_for_function("() => Date.now() - window.loudAt > 1000")
    wait_for(lambda: seat.operator().leg_state is LegState.PARKED, "the leg's parking")


def let_go(seat: RealSeat) -> None:
    """Save the last result, so that the next customer can be opened."""
    seat.page.keyboard.press("3")
    seat.page.keyboard.press("Control+s")
    seat.page.wait_for_load_state()
