/* Which page of the operator's this is (R-CL-17): an id for the tab, kept over reloads, sent with every
   press. On loading and every 10 s it says that it is there, and so keeps telephone and customer (R-CL-2);
   a page that closes says so, so that another may be used at once. */
(() => {
  "use strict";

  const KEY = "calltree.page";
  const id = sessionStorage.getItem(KEY) || crypto.randomUUID();
  sessionStorage.setItem(KEY, id);

  document.addEventListener("htmx:config:request", (event) => {
    event.detail.ctx.request.headers["X-Page-Id"] = id;
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    const field = form.querySelector('input[name="page"]') || document.createElement("input");
    field.type = "hidden";
    field.name = "page";
    field.value = id;
    form.append(field);
  });

  /* A duplicated tab brings its twin's id along: whoever asks second takes a new one. */
  const channel = new BroadcastChannel(KEY);
  channel.addEventListener("message", (event) => {
    if (event.data === id) channel.postMessage(`taken:${id}`);
    if (event.data === `taken:${id}`) {
      sessionStorage.setItem(KEY, crypto.randomUUID());
      window.location.reload();
    }
  });
  channel.postMessage(id);

  /* A press in a box that is pushed anew before its answer comes: htmx then forgets the answer's address. */
  let main = document.getElementById("main");
  document.addEventListener("htmx:after:swap", () => window.setTimeout(() => {
    const shown = document.getElementById("main");
    if (shown === main) return;
    main = shown;
    const address = shown?.dataset.address;
    if (address && address !== window.location.pathname + window.location.search) {
      history.pushState({ htmx: true }, "", address);
    }
  }));

  /* A tab is the operator's from its first page of the call screen on; a customer's page that was opened
     in a window of its own never is, and must not take the screen away from the tab it came from. */
  const DESK = "calltree.desk";
  const RENEW_MS = 10000;
  const desk = document.getElementById("desk");
  if (!desk) return;

  /* A page that says that another one is in use stays so, with its reason, until its button is pressed. The
     press that ends a customer is on its way: to ask for them now would be answered with their loss. */
  let asked = null;
  const renew = () => {
    if (document.querySelector("[data-in-use], #call-form[data-sent]")) return;
    asked = document.getElementById("call-shows");
    window.htmx.trigger(desk, "calltree:renew");
  };

  /* What it says of a customer is no news of the page that followed them meanwhile. */
  desk.addEventListener("htmx:before:swap", (event) => {
    const leaves = document.querySelector("#call-form[data-sent]");
    if (leaves || asked !== document.getElementById("call-shows")) event.preventDefault();
  });
  let begun = false;

  function begin() {
    if (begun) return;
    begun = true;
    sessionStorage.setItem(DESK, "1");
    window.setTimeout(renew);
    window.setInterval(renew, RENEW_MS);
    document.dispatchEvent(new Event("calltree:desk"));
  }

  if (desk.dataset.desk !== undefined || sessionStorage.getItem(DESK)) begin();
  /* moving around swaps #main only: the first page of the call screen may come that way */
  document.addEventListener("htmx:after:swap", () => {
    if (window.location.pathname.startsWith("/operator/")) begin();
  });

  /* オペレータ状況: a supervisor's telephone is wanted from this press on. */
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-begins-desk]")) begin();
  });

  /* Going on in this tab, by a reload or こちらで使う, is no closing: before the next page has said that it
     is there, another tab's would take the screen, and the call with it. */
  let goesOn = false;
  window.addEventListener("pageswap", (event) => {
    const next = event.activation?.entry?.url; // none when it leads to another site
    goesOn = Boolean(next && /^\/(operator|watch)\//.test(new URL(next).pathname));
  });

  window.addEventListener("pagehide", () => {
    if (!begun || goesOn) return;
    const headers = JSON.parse(document.body.getAttribute("hx-headers:inherited") || "{}");
    headers["X-Page-Id"] = id;
    fetch(desk.dataset.close, { method: "POST", headers, keepalive: true }).catch(() => {});
  });
})();
