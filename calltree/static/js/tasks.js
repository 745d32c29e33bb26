/* Reminders of 対応タスク: the banner is drawn by the server; here it sounds and notifies, once for each task
   and time on this computer, however many pages are open. */
(() => {
  "use strict";

  const TOLD = "calltree:reminded";
  const MOST_KEPT = 200;

  function untold(banner) {
    let told = [];
    try {
      told = JSON.parse(window.localStorage.getItem(TOLD) || "[]");
    } catch {
      /* nothing that can be read: everything is news */
    }
    const news = [...banner.querySelectorAll("[data-due]")].filter((row) => !told.includes(row.dataset.due));
    if (news.length) {
      const kept = [...told, ...news.map((row) => row.dataset.due)].slice(-MOST_KEPT);
      window.localStorage.setItem(TOLD, JSON.stringify(kept));
    }
    return news;
  }

  function sound() {
    const context = new AudioContext();
    if (context.state === "suspended") { // nobody has touched this page yet
      context.close();
      return;
    }
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
    const news = banner ? untold(banner) : [];
    if (!news.length) return;
    sound();
    news.forEach(notify);
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

  document.addEventListener("htmx:after:swap", () => {
    look();
    offer();
  });
  look();
  offer();
})();
