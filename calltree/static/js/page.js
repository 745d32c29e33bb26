/* Which page of the operator's this is (R-CL-17): an id for the tab, kept over reloads, sent with every
   press. A page that closes says so, so that another may be used at once. */
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
})();
