/* Clocks that run in the page. <time data-since="ISO"> counts up, <time data-until="ISO"> counts down;
   [data-midnight] is refreshed when the site's day changes. The server's clock is what counts. */
(() => {
  "use strict";

  const site = document.querySelector('meta[name="site"]');
  const zone = site?.dataset.zone || "Asia/Tokyo";
  const stated = Date.parse(site?.dataset.now || "");
  const loaded = performance.timeOrigin + performance.now();
  const offset = Number.isNaN(stated) ? 0 : stated - loaded;

  const now = () => Date.now() + offset;

  const day = () => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date(now()));

  function written(milliseconds) {
    const all = Math.max(0, Math.floor(milliseconds / 1000));
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(all / 3600);
    const rest = `${two(Math.floor(all / 60) % 60)}:${two(all % 60)}`;
    return hours ? `${hours}:${rest}` : rest;
  }

  function draw() {
    for (const element of document.querySelectorAll("time[data-since]")) {
      const spent = now() - Date.parse(element.dataset.since);
      const text = written(spent);
      if (element.textContent !== text) element.textContent = text;
      if (element.dataset.limit) element.classList.toggle("over", spent > Number(element.dataset.limit) * 1000);
    }
    for (const element of document.querySelectorAll("time[data-until]")) {
      const text = written(Date.parse(element.dataset.until) - now() + 999);
      if (element.textContent !== text) element.textContent = text;
    }
    /* The tab shows the call's clock: <title> text is given by data-title on the running state. */
    const titled = document.querySelector("[data-title]");
    if (titled) {
      const running = titled.querySelector("time[data-since]");
      document.title = [titled.dataset.title, running?.textContent].filter(Boolean).join(" ");
    }
  }

  let shown = day();

  function tick() {
    draw();
    if (day() !== shown) {
      shown = day();
      for (const element of document.querySelectorAll("[data-midnight]")) {
        window.htmx.ajax("GET", element.dataset.midnight, { source: element, target: element, swap: "outerMorph" });
      }
    }
    /* Wake just after the next full second, so the figures of all clocks move together. */
    window.setTimeout(tick, 1005 - (now() % 1000));
  }

  /* [data-fires-at="ISO"] is pressed at that moment, if it is still there and enabled (保存して次へ); once
     for each moment, however often the button is drawn meanwhile. */
  const fired = new Set();

  function arm() {
    for (const element of document.querySelectorAll("[data-fires-at]:not([data-armed])")) {
      element.dataset.armed = "";
      const moment = element.dataset.firesAt;
      window.setTimeout(() => {
        if (!element.isConnected || element.disabled || fired.has(moment)) return;
        fired.add(moment);
        element.click();
      }, Math.max(0, Date.parse(moment) - now()));
    }
  }

  /* 中止 holds from the press on: its answer may come later than the moment. */
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-disarms]")) return;
    for (const element of document.querySelectorAll("[data-fires-at]")) fired.add(element.dataset.firesAt);
  }, true);

  document.addEventListener("htmx:after:swap", () => {
    draw();
    arm();
  });
  arm();
  tick();
})();
