/* Forms that lose nothing and send nothing twice; dialogs, toasts and menus. All by delegation, so it
   holds for fragments that arrive later. docs/pages.md lists the data-* attributes. */
(() => {
  "use strict";

  const DRAFT_MS = 2000;
  const TOAST_MS = 8000;
  const csrf = () => {
    const headers = document.body.getAttribute("hx-headers:inherited");
    return headers ? JSON.parse(headers) : {};
  };

  /* ---- drafts: [data-draft-url] is sent as it is typed ---- */

  const DRAFT_MOST_MS = 5000; // a save waits no longer for a draft that is on its way
  const drafts = new WeakMap(); // field -> { timer, sent, stop, going, again }; stop: one is on its way

  function draftOf(field) {
    if (!drafts.has(field)) drafts.set(field, { timer: 0, sent: field.defaultValue, stop: null, going: null, again: false });
    return drafts.get(field);
  }

  async function sendDraft(field, keepalive = false) {
    const draft = draftOf(field);
    window.clearTimeout(draft.timer);
    draft.timer = 0;
    const text = field.value;
    if (text === draft.sent || !field.isConnected) return;
    if (draft.stop && !keepalive) { // of two on their way the older one may arrive last, and stay
      draft.again = true;
      return;
    }
    const before = draft.sent;
    draft.sent = text;
    const stop = new AbortController();
    const { signal } = stop;
    draft.stop = stop;
    let ended;
    draft.going = new Promise((resolve) => { ended = resolve; });
    try {
      const answer = await fetch(field.dataset.draftUrl, {
        method: "POST",
        headers: csrf(),
        body: new URLSearchParams({ [field.name]: text }),
        keepalive,
        signal,
      });
      if (!answer.ok) throw new Error(String(answer.status));
      sayDraft(field, "saved");
    } catch {
      if (draft.sent === text) draft.sent = before;
      if (signal.aborted) return;
      sayDraft(field, "failed");
      if (!draft.timer) draft.timer = window.setTimeout(() => sendDraft(field), DRAFT_MS);
    } finally {
      ended();
      if (draft.stop === stop) draft.stop = null;
      if (draft.again && !draft.stop) {
        draft.again = false;
        sendDraft(field);
      }
    }
  }

  function sayDraft(field, outcome) {
    const place = document.getElementById(field.dataset.draftStatus || "");
    if (!place) return;
    const time = new Intl.DateTimeFormat("ja-JP", { timeStyle: "medium" }).format(new Date());
    place.textContent = outcome === "saved"
      ? `${place.dataset.saved || ""} ${time}`.trim()
      : place.dataset.failed || "";
    place.classList.toggle("bad-text", outcome !== "saved");
  }

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.dataset?.draftUrl) return;
    const draft = draftOf(field);
    if (!draft.timer) draft.timer = window.setTimeout(() => sendDraft(field), DRAFT_MS);
  });

  document.addEventListener("focusout", (event) => {
    const field = event.target;
    if (field.dataset?.draftUrl && (!field.form || event.relatedTarget?.form !== field.form)) sendDraft(field);
  });

  /* The save carries the text itself: a draft that arrived after it would bring the old text back. So no
     more are sent, and the save waits for one on its way, which the server may be at already. */
  function draftsOnTheirWay(form) {
    const going = [];
    for (const field of form.elements) {
      const draft = drafts.get(field);
      if (!draft?.stop) continue;
      draft.again = false;
      going.push(draft.going);
    }
    return going;
  }

  const waiting = new WeakSet(); // forms

  function submitAfter(going, form, submitter) {
    waiting.add(form);
    const patience = new Promise((resolve) => { window.setTimeout(resolve, DRAFT_MOST_MS); });
    Promise.race([Promise.all(going), patience]).then(() => {
      dropDrafts(form);
      waiting.delete(form);
      if (form.isConnected) form.requestSubmit(submitter?.form === form ? submitter : null);
    });
  }

  function dropDrafts(form) {
    for (const field of form.elements) {
      if (!field.dataset.draftUrl) continue;
      const draft = draftOf(field);
      window.clearTimeout(draft.timer);
      draft.timer = 0;
      draft.again = false;
      draft.stop?.abort();
    }
  }

  window.addEventListener("pagehide", () => {
    for (const field of document.querySelectorAll("[data-draft-url]")) sendDraft(field, true);
  });

  /* ---- live search: never while an IME composes ---- */

  const searches = new WeakMap();

  function search(field) {
    window.clearTimeout(searches.get(field));
    searches.set(field, window.setTimeout(() => {
      window.htmx.trigger(field.form || field, "calltree:search");
    }, 300));
  }

  document.addEventListener("input", (event) => {
    if (event.target.dataset?.search !== undefined && !event.isComposing) search(event.target);
  });

  document.addEventListener("compositionend", (event) => {
    if (event.target.dataset?.search !== undefined) search(event.target);
  });

  /* Enter that confirms a kanji must not send the form either. */
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) event.stopPropagation();
  }, true);

  /* ---- leaving, sending twice ---- */

  let sending = false;

  function unsaved() {
    return document.querySelector('[data-warn-leave]:not([data-warn-leave="false"]), form[data-changed]');
  }

  window.addEventListener("beforeunload", (event) => {
    if (unsaved() && !sending) event.preventDefault();
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-warn-changes]");
    if (form) form.dataset.changed = "";
  });

  const byHtmx = (form) => form.matches("[hx-post], [hx-get], [hx-put], [hx-delete]") || form._htmx?.boosted;

  /* Seen before htmx sees it, which listens on the form itself and would queue the second press. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const going = byHtmx(form) ? draftsOnTheirWay(form) : [];
    const isSent = form.dataset.sent !== undefined || waiting.has(form);
    if (isSent || going.length) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!isSent) submitAfter(going, form, event.submitter);
    } else if (byHtmx(form)) {
      form.dataset.sent = "";
      delete form.dataset.changed;
      dropDrafts(form);
    }
  }, true);

  /* Its answer is about to draw the form anew: what was picked or typed meanwhile would vanish again. */
  for (const touch of ["click", "beforeinput"]) {
    document.addEventListener(touch, (event) => {
      const form = event.target.closest?.("form[data-sent]");
      if (form && byHtmx(form)) event.preventDefault();
    }, true);
  }

  /* A form that htmx sends is let go of when its answer is in; a download leaves the page standing. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "dialog" || byHtmx(form)) return;
    if (form.target === "_blank" || form.dataset.download !== undefined) return;
    delete form.dataset.changed;
    dropDrafts(form);
    sending = true;
    form.dataset.sent = "";
  });

  document.addEventListener("htmx:finally:request", (event) => {
    const form = event.target.closest?.("form");
    if (!form) return;
    delete form.dataset.sent;
    /* A refused save leaves the words in the field: they are a draft again. */
    for (const field of form.elements) if (field.dataset.draftUrl) sendDraft(field);
  });

  window.addEventListener("pageshow", () => {
    sending = false;
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  /* ---- dialogs, toasts, menus ---- */

  function open(dialog) {
    dialog.dispatchEvent(new CustomEvent("calltree:opening", { bubbles: true }));
    dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    const at = event.target.closest?.(
      "[data-opens], [data-closes], [data-dismiss], [data-empties], [data-inserts]");
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target) || at) menu.open = false;
    }
    if (!at) return;
    if (at.dataset.opens) open(document.getElementById(at.dataset.opens));
    if (at.dataset.closes) document.getElementById(at.dataset.closes).close();
    if (at.dataset.dismiss) at.closest(at.dataset.dismiss).remove();
    if (at.dataset.empties) document.querySelector(at.dataset.empties).replaceChildren();
    if (at.dataset.inserts !== undefined) {
      const field = document.getElementById(at.dataset.into);
      field.value = at.dataset.inserts;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });

  /* A pad: each press types its digit where the number stands; an empty one takes the last away. */
  document.addEventListener("click", (event) => {
    const press = event.target.closest?.("[data-types]");
    if (!press) return;
    const field = document.getElementById(press.dataset.into);
    const digit = press.dataset.types;
    field.value = digit ? field.value + digit : field.value.slice(0, -1);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  document.addEventListener("input", (event) => {
    const typed = event.target;
    if (typed.dataset?.expected === undefined) return;
    const same = typed.value.normalize("NFKC").replaceAll(",", "").trim() === typed.dataset.expected;
    typed.setCustomValidity(same ? "" : typed.dataset.expected);
  });

  /* A box in the head of a table ticks all of its rows. */
  document.addEventListener("change", (event) => {
    if (event.target.dataset?.checksAll === undefined) return;
    for (const box of event.target.closest("table").querySelectorAll('tbody input[type="checkbox"]')) {
      box.checked = event.target.checked;
    }
  });

  /* A pick in a select sends its form: <select data-submits>. */
  document.addEventListener("change", (event) => {
    if (event.target.dataset?.submits !== undefined) event.target.form.requestSubmit();
  });

  function settle(root) {
    root.querySelector?.("[data-focus]")?.focus();
    for (const dialog of root.querySelectorAll?.("dialog[data-open-now]") || []) {
      if (!dialog.open) open(dialog);
    }
    for (const toast of root.querySelectorAll?.("[data-toast]:not(.bad, [data-timed])") || []) {
      toast.dataset.timed = "";
      window.setTimeout(() => toast.remove(), TOAST_MS);
    }
  }

  document.addEventListener("htmx:after:swap", () => settle(document));
  settle(document);
})();
