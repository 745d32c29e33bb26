/* 着信: while [data-rings] stands on the page it can be heard, on the speaker that was chosen for it, and the tab's
   title says who calls. The tone is made here; nothing takes the focus from whoever types. */
(() => {
  "use strict";

  const KEPT = "calltree.ring";
  const CYCLE_MS = 3000; // as telephones in Japan ring: a second of sound, two of silence
  const LOOK_MS = 250;
  const BLINK_MS = 1000;
  const chosen = { speaker: "", volume: 0.6, ...read() };

  let context = null;
  let playing = [];
  let rangAt = -CYCLE_MS;
  let triedAt = -CYCLE_MS;
  let told = "";
  let seen = "";
  let title = null; // the page's own, while another stands there
  let blinkedAt = 0;

  function read() {
    try {
      return JSON.parse(localStorage.getItem(KEPT) || "{}");
    } catch {
      return {};
    }
  }

  const keep = () => localStorage.setItem(KEPT, JSON.stringify(chosen));
  const panel = () => document.querySelector("#ringing[data-rings]");
  /* a customer's page in a window of its own is quiet: the operator's page rings */
  const isDesk = () => sessionStorage.getItem("calltree.desk") !== null;

  /* A browser lets a page be heard once somebody has pressed something on it; and only a page that rings has
     anything to do with the sound device. */
  function wake() {
    if (context || !navigator.userActivation?.hasBeenActive) return;
    context = new AudioContext();
    useSpeaker();
  }

  function useSpeaker() {
    context?.setSinkId?.(chosen.speaker).then(() => sayLost(false), () => sayLost(true));
  }

  /* pulled out, or not allowed: it rings where the computer has its sound */
  function sayLost(lost) {
    const line = document.querySelector("[data-ring-lost]");
    if (line) line.hidden = !lost;
  }

  function ring() {
    const from = context.currentTime;
    const volume = context.createGain();
    volume.gain.setValueAtTime(0.0001, from);
    volume.gain.linearRampToValueAtTime(chosen.volume * 0.35, from + 0.03);
    volume.gain.setValueAtTime(chosen.volume * 0.35, from + 0.9);
    volume.gain.linearRampToValueAtTime(0.0001, from + 1);
    volume.connect(context.destination);
    for (let beat = 0; beat < 10; beat += 1) {
      const tone = context.createOscillator();
      tone.frequency.value = beat % 2 ? 784 : 659;
      tone.connect(volume);
      tone.start(from + beat * 0.1);
      tone.stop(from + beat * 0.1 + 0.1);
      playing.push(tone);
    }
  }

  function hush() {
    for (const tone of playing) tone.disconnect();
    playing = [];
    rangAt = -CYCLE_MS;
  }

  function sound() {
    if (!isDesk()) return;
    wake();
    if (context?.state !== "running" || performance.now() - rangAt < CYCLE_MS) return;
    rangAt = performance.now();
    playing = [];
    ring();
  }

  /* Once for each call, and only to who looks at another window. */
  function notify(shown) {
    if (told === shown.dataset.rings || !isDesk()) return;
    told = shown.dataset.rings;
    if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
    const notice = new Notification(shown.dataset.says, { tag: `ring${told}` });
    notice.addEventListener("click", () => {
      window.focus();
      notice.close();
    });
  }

  /* Opened over the page's corner, the box of the ring tone would lie upon 応答. */
  function makeRoom(shown) {
    if (seen === shown.dataset.rings) return;
    seen = shown.dataset.rings;
    document.getElementById("ring-box")?.hidePopover();
  }

  function blink(shown) {
    if (performance.now() - blinkedAt < BLINK_MS) return;
    blinkedAt = performance.now();
    if (title === null) {
      title = document.title;
      document.title = `☎ ${shown.dataset.says}`;
    } else {
      document.title = title;
      title = null;
    }
  }

  function calm() {
    hush();
    told = "";
    seen = "";
    if (title !== null) document.title = title;
    title = null;
    blinkedAt = 0;
    context?.close();
    context = null;
  }

  function look() {
    const shown = panel();
    if (!shown) {
      if (performance.now() - triedAt > CYCLE_MS) calm();
      return;
    }
    makeRoom(shown);
    sound();
    notify(shown);
    blink(shown);
  }

  /* ---- the chosen speaker ---- */

  async function offer() {
    const select = document.querySelector("[data-ring-speaker]");
    if (!select) return;
    const devices = (await navigator.mediaDevices?.enumerateDevices()) || [];
    const options = devices
      .filter((device) => device.kind === "audiooutput" && device.deviceId && device.deviceId !== "default")
      .map((device) => new Option(device.label || device.deviceId.slice(0, 8), device.deviceId));
    select.replaceChildren(select.options[0], ...options);
    select.value = options.some((option) => option.value === chosen.speaker) ? chosen.speaker : "";
    document.querySelector("[data-ring-volume]").value = chosen.volume;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-ring-speaker]")) chosen.speaker = event.target.value;
    else if (event.target.matches("[data-ring-volume]")) chosen.volume = Number(event.target.value);
    else return;
    keep();
    useSpeaker();
  });

  function tryOnce() {
    wake();
    if (!context) return;
    rangAt = performance.now();
    triedAt = rangAt;
    ring();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[popovertarget='ring-box']")) offer();
    if (event.target.closest?.("[data-ring-try]")) tryOnce();
  });
  document.addEventListener("htmx:after:swap", look);
  window.setInterval(look, LOOK_MS);
  look();
})();
