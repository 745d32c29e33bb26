/* The operator's leg: signs in at the switch, calls it, and keeps that call for the whole shift. It redoes
   the call when the socket was lost and is back, when the media path breaks, and when the switch ends it.
   Events: "change" (registered, live, connected), "track" (a remote stream), "expired" (new credentials). */

import JsSIP from "../vendor/jssip@3.13.8/jssip.min.js";

const DIAL_FIRST_MS = 300;
const DIAL_MOST_MS = 8000;
const ICE_GRACE_MS = 2000;
const GATHER_MS = 500;
const REGISTER_S = 120;

export class Leg extends EventTarget {
  registered = false;
  connected = false;
  live = false;
  stale = false; // the socket was lost under this leg: the switch cannot tell us of its end any more
  path = ""; // "ok": sound has a way to the switch, "bad": it found none and is tried again, "": not known
  pc = null;
  #given;
  #stream;
  #ua;
  #session = null;
  #wait = DIAL_FIRST_MS;
  #timer = 0;
  #iceTimer = 0;
  #over = false;

  constructor(given, stream) {
    super();
    this.#given = given;
    this.#stream = stream;
    const socket = new JsSIP.WebSocketInterface(given.url);
    socket.via_transport = given.via; // or it says WSS by the address, and behind a proxy nothing answers
    const ua = new JsSIP.UA({
      sockets: [socket],
      uri: given.uri,
      password: given.password,
      register_expires: REGISTER_S,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 8,
      user_agent: "CALLTREE",
    });
    this.#ua = ua;
    ua.on("connected", () => {
      this.connected = true;
      if (this.live) this.stale = true;
      this.#tell();
    });
    ua.on("disconnected", () => {
      this.connected = this.registered = false;
      this.#tell();
    });
    ua.on("registered", () => {
      this.registered = true;
      this.#tell();
      if (!this.#session) this.#dial();
    });
    ua.on("unregistered", () => {
      this.registered = false;
      this.#tell();
    });
    ua.on("registrationFailed", (event) => {
      this.registered = false;
      this.#tell();
      if (event.response && !this.#over) this.dispatchEvent(new Event("expired"));
    });
    ua.start();
  }

  /* Ends the call and the registration for good. */
  stop() {
    this.#over = true;
    window.clearTimeout(this.#timer);
    this.#end();
    this.#ua.stop();
  }

  /* Ends the call and makes a new one; the switch keeps the customer meanwhile. */
  redial() {
    this.#end();
    this.#later();
  }

  /* Speaks through another microphone without a word to the switch. */
  async use(stream) {
    this.#stream = stream;
    const track = stream.getAudioTracks()[0];
    for (const sender of this.pc?.getSenders() || []) await sender.replaceTrack(track);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  #end() {
    const session = this.#session;
    this.#session = null;
    this.pc = null;
    if (this.path === "ok") this.path = "";
    this.live = this.stale = false;
    window.clearTimeout(this.#iceTimer);
    try {
      session?.terminate();
    } catch {
      // it was over already
    }
    this.#tell();
  }

  #later() {
    window.clearTimeout(this.#timer);
    if (this.#over) return;
    this.#timer = window.setTimeout(() => this.#dial(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, DIAL_MOST_MS);
  }

  #dial() {
    if (this.#over || this.#session || !this.registered) return; // "registered" dials
    let gathered = 0;
    const mine = () => this.#session === session;
    const gone = () => {
      if (!mine()) return;
      this.#end();
      this.#later();
    };
    const session = this.#ua.call(this.#given.target, {
      mediaStream: this.#stream,
      pcConfig: { iceServers: this.#given.ice },
      eventHandlers: {
        peerconnection: (event) => this.#hook(event.peerconnection),
        icecandidate: (event) => {
          // a server that does not answer must not keep the operator waiting
          window.clearTimeout(gathered);
          gathered = window.setTimeout(() => event.ready(), GATHER_MS);
        },
        confirmed: () => {
          if (!mine()) return;
          this.live = true;
          this.#wait = DIAL_FIRST_MS;
          this.#tell();
        },
        ended: gone,
        failed: gone,
      },
    });
    this.#session = session;
  }

  /* A firewall that stops sound lets the call be answered all the same. */
  #lostPath() {
    this.path = "bad";
    this.redial();
  }

  #hook(pc) {
    this.pc = pc;
    pc.addEventListener("track", (event) => {
      const detail = event.streams[0] || new MediaStream([event.track]);
      this.dispatchEvent(new CustomEvent("track", { detail }));
    });
    pc.addEventListener("iceconnectionstatechange", () => {
      if (this.pc !== pc) return;
      window.clearTimeout(this.#iceTimer);
      const state = pc.iceConnectionState;
      if (["connected", "completed"].includes(state)) this.path = "ok";
      if (state === "failed") this.#lostPath();
      if (state === "disconnected") {
        this.#iceTimer = window.setTimeout(() => this.pc === pc && this.#lostPath(), ICE_GRACE_MS);
      }
    });
  }
}
