/* How well a connection carries sound: loss, jitter and round trip of the last seconds. */

const WINDOW = 5; // seconds that a judgement looks back
const STILL_S = 3; // without a packet: nothing is heard
const NOTHING = { packetsReceived: 0, packetsLost: 0 }; // before the first packet there is no report

export class Quality {
  loss = 0; // share of the last seconds, 0…1
  jitter = 0; // seconds
  roundTrip = 0; // seconds
  micLevel = null;
  heardLevel = 0;
  #past = [];
  #still = 0;
  #bad = 0;

  /* Once a second. */
  async take(pc) {
    const of = {};
    for (const report of (await pc.getStats()).values()) {
      if (report.kind === "audio" || report.type === "candidate-pair") {
        if (report.type !== "candidate-pair" || report.nominated) of[report.type] = report;
      }
    }
    const heard = of["inbound-rtp"] || NOTHING;
    const before = this.#past.at(-1);
    this.#past = [...this.#past, { got: heard.packetsReceived, lost: heard.packetsLost }].slice(-WINDOW - 1);
    this.#still = before && before.got === heard.packetsReceived ? this.#still + 1 : 0;
    const first = this.#past[0];
    const lost = Math.max(heard.packetsLost - first.lost, 0);
    const all = heard.packetsReceived - first.got + lost;
    this.loss = all > 0 ? lost / all : 0;
    this.jitter = heard.jitter || 0;
    this.roundTrip = of["remote-inbound-rtp"]?.roundTripTime ?? of["candidate-pair"]?.currentRoundTripTime ?? 0;
    this.micLevel = of["media-source"]?.audioLevel ?? null;
    this.heardLevel = heard.audioLevel || 0;
    this.#bad = this.grade() === 1 ? this.#bad + 1 : 0;
  }

  /* Out of a call nothing has to come: a parked leg is sent nothing. */
  rest() {
    this.#still = 0;
  }

  forget() {
    this.#past = [];
    this.#still = this.#bad = 0;
    this.loss = this.jitter = this.roundTrip = 0;
  }

  /* 3 good, 2 fair, 1 bad. */
  grade() {
    if (this.loss > 0.05 || this.jitter > 0.06 || this.roundTrip > 0.5) return 1;
    if (this.loss > 0.01 || this.jitter > 0.03 || this.roundTrip > 0.25) return 2;
    return 3;
  }

  get unstable() {
    return this.#bad >= WINDOW;
  }

  get silent() {
    return this.#still >= STILL_S;
  }
}
