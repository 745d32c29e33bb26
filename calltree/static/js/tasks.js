/* Reminders of 対応タスク: the banner is drawn by the server; here it sounds and notifies, once for each task
   and time and for each who signs in on this computer, however many pages are open. */
(() => {
  "use strict";

  const TOLD = "calltree:reminded";
  const MOST_KEPT = 200;
  const noticed = new Set();

  const key = (banner) => `${TOLD}:${banner.dataset.user}`;

  function toldTo(banner) {
    try {
      return JSON.parse(window.localStorage.getItem(key(banner)) || "[]");
    } catch {
      return []; // nothing that can be read: everything is news
    }
  }

  function keep(banner, news) {
    const kept = [...toldTo(banner), ...news.map((row) => row.dataset.due)].slice(-MOST_KEPT);
    window.localStorage.setItem(key(banner), JSON.stringify(kept));
  }

  /* A browser lets a page be heard once somebody has pressed something on it; false until then. */
  function sound() {
    if (!navigator.userActivation?.hasBeenActive) return false;
    const context = new AudioContext();
    const volume = context.createGain();
    volume.gain.setValueAtTime(0.15, context.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 0.9);
    volume.connect(context.destination);
    for (const [hertz, after] of [[880, 0], [1175, 0.18]]) {
      const tone = context.createOscillator();
      tone.frequency.value = hertz;
      tone.connect(volume);
      tone.start(context.currentTime + after);
      tone.stop(context.currentTime + 0.9);
    }
    window.setTimeout(() => context.close(), 1500);
    return true;
  }

  function notify(row) {
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    const title = row.querySelector("strong").textContent;
    const notice = new Notification(title, { body: row.dataset.says, tag: row.dataset.due });
    notice.addEventListener("click", () => {
      window.focus();
      notice.close();
    });
  }

  function look() {
    const banner = document.getElementById("task-reminder");
    if (!banner) return;
    const told = toldTo(banner);
    const news = [...banner.querySelectorAll("[data-due]")].filter((row) => !told.includes(row.dataset.due));
    if (!news.length) return;
    for (const row of news.filter((one) => !noticed.has(one.dataset.due))) {
      noticed.add(row.dataset.due);
      notify(row);
    }
    if (sound()) keep(banner, news); // else with the next press on this page, or by another page
  }

  function offer() {
    const press = document.querySelector("[data-allows-notices]");
    if (press) press.hidden = !("Notification" in window) || Notification.permission !== "default";
  }

  document.addEventListener("click", async (event) => {
    if (!event.target.closest?.("[data-allows-notices]")) return;
    await Notification.requestPermission();
    offer();
  });

  for (const touch of ["click", "keydown"]) document.addEventListener(touch, look);
  document.addEventListener("htmx:after:swap", () => {
    look();
    offer();
  });
  look();
  offer();
})();
