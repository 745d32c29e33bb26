/* The operator's microphone: opening it, another one, its level, and whether it delivers.
   `problem` is one of the codes that the page has words for. */

const SILENT_FIRST_MS = 5000; // after opening: a living microphone is never quite still
const SILENT_MS = 60000; // later: a mute switch on the headset
const STILL = 1e-5;

export class Microphone extends EventTarget {
  stream = null;
  problem = "";
  #context = null;
  #analyser = null;
  #buffer = new Float32Array(512);
  #opened = 0;
  #heard = 0;

  get track() {
    return this.stream?.getAudioTracks()[0] || null;
  }

  /* Opens this device, or whichever there is. `processing` is the browser's own noise suppression. */
  async open(deviceId, processing) {
    try {
      const stream = await ask(deviceId, processing);
      this.close();
      this.stream = stream;
      this.problem = "";
      this.#opened = performance.now();
      this.#heard = 0;
      this.track.addEventListener("ended", () => this.#lost(stream));
      this.#listen();
    } catch (error) {
      this.problem = problemOf(error);
    }
    this.dispatchEvent(new Event("change"));
    return this.problem === "";
  }

  close() {
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
  }

  #lost(stream) {
    if (this.stream !== stream) return;
    this.stream = null;
    this.problem = "mic_unplugged";
    this.dispatchEvent(new Event("change"));
  }

  #listen() {
    this.#context ||= new AudioContext();
    this.#context.resume().catch(() => {});
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = this.#buffer.length;
    this.#context.createMediaStreamSource(this.stream).connect(this.#analyser);
  }

  /* 0…1, or null while the browser lets nothing be analysed (before the first press on the page). */
  level() {
    if (!this.stream || this.#context?.state !== "running") return null;
    this.#analyser.getFloatTimeDomainData(this.#buffer);
    return this.#buffer.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }

  /* Takes a level of whatever source. */
  hear(level) {
    if (level !== null && level > STILL) this.#heard = performance.now();
  }

  /* "ok", a problem's code, or "" while it is not known yet. */
  state() {
    if (this.problem) return this.problem;
    if (!this.track) return "";
    if (this.track.readyState !== "live") return "mic_unplugged";
    if (this.track.muted) return "mic_silent";
    const now = performance.now();
    if (!this.#heard) return now - this.#opened > SILENT_FIRST_MS ? "mic_silent" : "";
    return now - this.#heard > SILENT_MS ? "mic_silent" : "ok";
  }
}

async function ask(deviceId, processing) {
  const audio = { echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing };
  if (!navigator.mediaDevices) throw new DOMException("no secure page", "NotAllowedError");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: deviceId ? { ...audio, deviceId: { exact: deviceId } } : audio,
    });
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    return navigator.mediaDevices.getUserMedia({ audio }); // the chosen one is not here today
  }
}

function problemOf(error) {
  if (["NotAllowedError", "SecurityError"].includes(error.name)) return "mic_denied";
  if (error.name === "NotReadableError") return "mic_unplugged";
  return "mic_missing";
}
