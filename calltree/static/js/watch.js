/* オペレータ状況: what is red can be heard too. [data-sounds] turns the sound on and off and is remembered;
   while [data-alarm="help"] or [data-alarm="lines"] stands on the page, two tones come every few seconds. */
(() => {
  "use strict";

  const KEPT = "calltree.watch.sound";
  const EVERY_MS = 3000;
  const TONES = { help: [880, 660], lines: [440, 440] };

  let context = null;
  let playedAt = -EVERY_MS;
  const wanted = () => localStorage.getItem(KEPT) === "on";
  const button = () => document.querySelector("[data-sounds]");

  function wake() {
    if (!wanted() || !button()) return;
    context ||= new AudioContext();
    if (context.state === "suspended") context.resume().catch(() => {});
  }

  function play(tones) {
    tones.forEach((hertz, place) => {
      const from = context.currentTime + place * 0.25;
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0.2, from);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.22);
      tone.connect(volume).connect(context.destination);
      tone.start(from);
      tone.stop(from + 0.25);
    });
  }

  function show() {
    const shown = button();
    if (shown && shown.getAttribute("aria-pressed") !== String(wanted())) {
      shown.setAttribute("aria-pressed", String(wanted()));
    }
  }

  function look() {
    show();
    if (!wanted() || !button() || context?.state !== "running") return;
    const alarm = document.querySelector('[data-alarm="help"]') || document.querySelector("[data-alarm]");
    if (!alarm || performance.now() - playedAt < EVERY_MS) return;
    playedAt = performance.now();
    play(TONES[alarm.dataset.alarm] || TONES.help);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-sounds]")) {
      localStorage.setItem(KEPT, wanted() ? "off" : "on");
      playedAt = -EVERY_MS;
    }
    /* a browser lets a page be heard once somebody has pressed something on it */
    wake();
    look();
  });
  /* what was asked and not wanted is gone: the next push would open it again */
  document.addEventListener("close", (event) => {
    if (event.target.id === "watch-ask") event.target.remove();
  }, true);
  document.addEventListener("keydown", wake);
  document.addEventListener("htmx:after:swap", look);
  window.setInterval(look, 500);
  show();
})();
