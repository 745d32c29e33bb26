/* The screen on the wall: asks for its present state every two seconds, for months. What cannot be reached is
   said in red and asked again; a new version is loaded once the server has answered with it. */
(() => {
  "use strict";

  const EVERY_MS = 2000;
  const PATIENCE_MS = 10000;
  const FRESH_MS = 12 * 3600 * 1000; // a page that old is loaded anew
  const main = document.querySelector("[data-wall]");
  const bar = document.getElementById("wall-lost");
  const version = document.querySelector('meta[name="site"]')?.dataset.version || "";
  let heardAt = new Date();

  function said(lost) {
    bar.hidden = !lost;
    const at = bar.querySelector("[data-lost-at]");
    at.textContent = heardAt.toLocaleTimeString("ja-JP");
    at.dateTime = heardAt.toISOString();
  }

  async function ask(address) {
    const answer = await fetch(address, {
      cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  async function look() {
    try {
      const answer = await ask(main.dataset.wall);
      const text = await answer.text();
      const board = new DOMParser().parseFromString(text, "text/html").getElementById("wall");
      document.getElementById("wall").replaceWith(board);
      document.dispatchEvent(new Event("htmx:after:swap")); // the clocks run on at once
      heardAt = new Date();
      said(false);
      const running = answer.headers.get("X-App-Version");
      if ((running && version && running !== version) || performance.now() > FRESH_MS) {
        await ask(window.location.href); // it answers: so will the page that is loaded now
        window.location.reload();
      }
    } catch {
      said(true);
    } finally {
      window.setTimeout(look, EVERY_MS);
    }
  }

  window.setTimeout(look, EVERY_MS);
})();
