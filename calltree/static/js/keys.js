/* Keys press buttons. A key is read from the data-key of what is visible (or in a closed menu) and enabled, and clicks it:
   so a key can never do what the button could not. `?` opens the sheet of the keys on this page. */
(() => {
  "use strict";

  const FIELDS = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), select, textarea, [contenteditable]";

  const BUTTON = "button[type=submit]:enabled";

  /* The name of what was pressed, as it is written in data-key: "F2", "Ctrl+Enter", "n", "Shift+E", "?". */
  function nameOf(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const held = [];
    if (event.ctrlKey || event.metaKey) held.push("Ctrl");
    if (event.altKey) held.push("Alt");
    /* Shift+E is another key than e; of "?" and "#" Shift is a part. */
    if (event.shiftKey && (key.length > 1 || /^[a-z]$/.test(key))) held.push("Shift");
    return [...held, key].join("+");
  }

  function normal(name) {
    const parts = name.split("+");
    const last = parts.pop() || "+";
    return [...parts, last.length === 1 ? last.toLowerCase() : last].join("+");
  }

  /* What a closed menu holds has its key all the same: nobody opens a menu to press a key in it. */
  function shown(element) {
    const menu = element.closest("[popover]:not(:popover-open)");
    return menu ? menu.parentElement.checkVisibility() : element.checkVisibility();
  }

  function usable(element) {
    return !element.disabled && element.getAttribute("aria-disabled") !== "true" && shown(element);
  }

  /* What a key may reach: inside the topmost open dialog only, if there is one. */
  function room() {
    const dialogs = document.querySelectorAll("dialog:modal");
    return dialogs.length ? dialogs[dialogs.length - 1] : document;
  }

  function find(name) {
    for (const element of room().querySelectorAll("[data-key]")) {
      if (normal(element.dataset.key) === name && usable(element)) return element;
    }
    /* The sheet's own button sits in a closed menu; the key works all the same. */
    return name === "?" && room() === document ? document.querySelector('[data-key="?"]') : null;
  }

  function press(element) {
    /* A group of radio buttons: the arrow keys go on from there. */
    const radio = element.querySelector("input[type=radio]:checked") || element.querySelector("input[type=radio]");
    if (element.matches("fieldset, ul") && radio) radio.focus();
    else if (element.matches("[data-rows]")) element.querySelector(BUTTON)?.focus();
    else if (element.matches("input:not([type=checkbox], [type=radio]), select, textarea")) element.focus();
    else element.click();
  }

  document.addEventListener("keydown", (event) => {
    /* 229 is what Chrome reports while an IME composes: that Enter confirms a kanji, it saves nothing. */
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented || event.repeat) return;
    const inField = event.target instanceof Element && event.target.closest(FIELDS);
    const plain = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (inField && plain) return;
    if (inField && event.key === "Escape" && room() === document) {
      event.target.blur();
      return;
    }
    const element = find(nameOf(event));
    if (!element) return;
    event.preventDefault();
    press(element);
  });

  /* Rows of the same buttons: one key goes there, the arrow keys go on. A key of a row's own would press another row's
     button whenever the rows change under the finger. */
  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element && event.target.closest(BUTTON);
    const rows = at && at.closest("[data-rows]");
    if (!rows || event.isComposing || event.ctrlKey || event.altKey || event.shiftKey) return;
    const row = [...at.form.querySelectorAll(BUTTON)];
    const column = [...rows.querySelectorAll(BUTTON)].filter((one) => one.value === at.value);
    const next = {
      ArrowUp: () => column[column.indexOf(at) - 1],
      ArrowDown: () => column[column.indexOf(at) + 1],
      ArrowLeft: () => row[row.indexOf(at) - 1],
      ArrowRight: () => row[row.indexOf(at) + 1],
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next()?.focus();
  });

  /* The sheet is drawn from the page each time it opens, so it cannot lie. */
  document.addEventListener("calltree:opening", (event) => {
    const list = event.target.querySelector("[data-key-list]");
    if (!list) return;
    const rows = [];
    for (const element of document.querySelectorAll("body > :not(dialog) [data-key]")) {
      if (!shown(element) && element.dataset.key !== "?") continue;
      const key = document.createElement("dt");
      const cap = document.createElement("kbd");
      cap.textContent = element.dataset.key;
      key.append(cap);
      const what = document.createElement("dd");
      what.textContent = element.dataset.keyLabel || element.getAttribute("aria-label")
        || (element.querySelector("span:not(.visually-hidden)") || element).textContent
          .replace(element.dataset.key, "").trim();
      rows.push(key, what);
    }
    list.replaceChildren(...rows);
  });
})();
