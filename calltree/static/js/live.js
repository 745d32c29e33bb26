/* The live line to the server. The only file that knows the names of hx-ws events: they changed between
   versions before. Fragments that arrive are put in place by hx-ws itself; this file says when the line is
   lost, polls meanwhile, and notices that the server was upgraded under an open page. */
(() => {
  "use strict";

  const GRACE_MS = 2000; // a reconnect within this time is not worth a red bar
  const POLL_MS = 3000;
  const version = document.querySelector('meta[name="site"]')?.dataset.version || "";
  let graceTimer = 0;
  let pollTimer = 0;
  let told = false; // what changes is pushed to this page for certain

  const bar = (id, shown) => {
    const element = document.getElementById(id);
    if (element) element.hidden = !shown;
  };

  /* A page that shows nothing live asks for itself, once a minute: signed out for idleness, it is sent to the
     sign-in page by the answer, instead of trying the line for ever. What is answered else is thrown away. */
  const STILL_IN_POLLS = 20;
  let polls = 0;

  function poll() {
    if (document.querySelector("[data-poll]") === null) {
      const address = window.location.pathname + window.location.search;
      if (polls++ % STILL_IN_POLLS === 0) window.htmx.ajax("GET", address, { source: document.body, swap: "none" });
      return;
    }
    /* each is its own source: of several requests from one htmx drops all but two */
    for (const element of document.querySelectorAll("[data-poll]")) {
      window.htmx.ajax("GET", element.dataset.poll, { source: element, target: element, swap: "outerMorph" });
    }
  }

  function lost() {
    told = false;
    if (graceTimer || pollTimer) return;
    graceTimer = window.setTimeout(() => {
      bar("lost-bar", true);
      poll();
      pollTimer = window.setInterval(poll, POLL_MS);
    }, GRACE_MS);
  }

  function found() {
    window.clearTimeout(graceTimer);
    window.clearInterval(pollTimer);
    graceTimer = 0;
    pollTimer = 0;
    polls = 0;
    bar("lost-bar", false);
  }

  function checkVersion(running) {
    if (running && version && running !== version) bar("upgrade-bar", true);
  }

  document.addEventListener("htmx:ws:after:connection", found);

  document.addEventListener("htmx:ws:close", (event) => {
    if (event.detail?.reason !== "removed") lost();
  });

  /* Messages without a fragment are JSON: {"version": "…"} or {"event": "name", …}. The latter becomes a
     DOM event calltree:<name> for scripts of single pages (the softphone). */
  document.addEventListener("htmx:ws:before:message:incoming", (event) => {
    const data = event.detail?.message?.data;
    if (typeof data !== "string" || !data.startsWith("{")) return;
    const message = JSON.parse(data);
    checkVersion(message.version);
    if (message.version) told = true; // said first, once the server pushes to us
    // the server itself cannot hear what changes (its Redis is away): the page asks meanwhile
    if (message.event === "deaf") lost();
    if (message.event === "hearing") {
      told = true;
      found();
    }
    if (message.event) {
      document.dispatchEvent(new CustomEvent(`calltree:${message.event}`, { detail: message }));
    }
  });

  /* A press whose outcome is pushed need not be answered with the same drawing once more. */
  document.addEventListener("htmx:config:request", (event) => {
    if (told) event.detail.ctx.request.headers["X-Live"] = "1";
  });

  /* What the page asks by itself must not keep an idle session alive: the server is told which it is. A request
     that a script makes (htmx.ajax) has no event. */
  const BY_ITSELF = ["every", "load", "calltree:renew"];
  document.addEventListener("htmx:config:request", (event) => {
    const { request, sourceEvent } = event.detail.ctx;
    const unasked = !sourceEvent?.type || BY_ITSELF.includes(sourceEvent.type);
    if (unasked) request.headers["X-By-Itself"] = "1";
  });

  /* Every answer carries the version too: a page without a live line notices at its next press. */
  document.addEventListener("htmx:after:request", (event) => {
    checkVersion(event.detail?.ctx?.response?.headers?.get("X-App-Version"));
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-reload]")) window.location.reload();
  });
})();
