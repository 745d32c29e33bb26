/* プレディコール: a customer is connected without a press, so two short tones say it, on the speaker that was chosen
   for talking. Who pressed CALL or 応答 knows already, and hears the customer. */
(() => {
  "use strict";

  const KEPT = "calltree.sound"; // the softphone's
  const TONES = [[988, 0], [1319, 0.1]];
  let context = null;
  let before = "";
  let rang = false;

  function kept() {
    try {
      return JSON.parse(localStorage.getItem(KEPT) || "{}");
    } catch {
      return {};
    }
  }

  /* a browser lets a page be heard once somebody has pressed something on it */
  function wake() {
    if (sessionStorage.getItem("calltree.desk") === null) return; // a customer's page in its own window is quiet
    context ||= new AudioContext();
    if (context.state === "suspended") context.resume().catch(() => {});
  }

  async function chime() {
    wake();
    if (context?.state !== "running") return;
    const { speaker = "", volume: loud = 1 } = kept();
    await context.setSinkId?.(speaker).catch(() => {});
    for (const [hertz, after] of TONES) {
      const from = context.currentTime + after;
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0.15 * loud, from);
      volume.gain.exponentialRampToValueAtTime(0.0001, from + 0.12);
      tone.connect(volume).connect(context.destination);
      tone.start(from);
      tone.stop(from + 0.12);
    }
  }

  function look() {
    const shown = document.getElementById("operator-state");
    const now = shown ? [...shown.classList].find((name) => name !== "operator-state") || "" : "";
    rang ||= document.querySelector("#ringing[data-rings]") !== null;
    if (now === before) return;
    if (now === "talking" && ["ready", "offered"].includes(before) && !rang) chime();
    if (now !== "offered") rang = false;
    before = now;
  }

  for (const name of ["click", "keydown"]) document.addEventListener(name, wake);
  document.addEventListener("htmx:after:swap", look);
  look();
})();
