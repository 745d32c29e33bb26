/* The call screen's own: the result that the network's answer proposes is picked, once for each call and
   only while nothing else is; the boxes themselves are never pushed, so nothing typed is lost. */
(() => {
  "use strict";

  let offered = "";

  function propose() {
    const box = document.getElementById("call-status");
    const id = box?.dataset.proposes || "";
    if (id === offered) return;
    offered = id;
    if (!id || document.querySelector('#results input[name="status"]:checked')) return;
    const radio = document.querySelector(`#results input[name="status"][value="${id}"]`);
    if (radio) radio.checked = true;
  }

  /* Answers and pushes come by two ways, and one may overtake the other. What was drawn earlier never
     replaces what was drawn later: a button would go off for a moment, and a key pressed then be lost.
     But the later drawing may have read the ledger sooner; so what was left out is asked for anew. */
  const FOLLOWS = ["call-status", "operator-state", "call-actions"];
  let newest = 0; // when the latest drawing was made, milliseconds
  let pushLeftOut = false; // what follows a call box that was pushed has its fate
  let asked = null; // { newest } as it was when the question was sent
  let askAgain = false;

  const shown = () => document.getElementById("call-status");
  const drawnAt = (box) => Number(box?.dataset.drawn || 0);
  const follows = (task) => FOLLOWS.includes(task.target?.id);

  function askAnew() {
    const box = shown();
    if (asked) askAgain = true;
    if (asked || !box) return;
    asked = { newest };
    askAgain = false;
    /* all that follows the call in one answer, so that it stays of one moment */
    window.htmx.ajax("GET", box.dataset.anew, { source: document.body, target: document.body, swap: "none" })
      .finally(() => {
        asked = null;
        if (askAgain) askAnew();
      });
  }

  /* A box for the next customer that overtakes the page's own answer: its buttons must not stand beside
     the boxes and numbers of the one before. The answer brings the whole screen. */
  function isForNext(box) {
    const open = document.querySelector('#call-form input[name="customer"]')?.value;
    const about = box.querySelector('#call-now input[name="customer"]')?.value;
    return Boolean(open && about && about !== open);
  }

  /* Whether this call box is to be shown; false when it is left out. */
  function admits(box, source) {
    const drawn = drawnAt(box);
    if (isForNext(box)) {
      newest = Math.max(newest, drawn);
      return false;
    }
    /* asked for after all that is shown: newer than it, even when the server's clock was set back */
    const answers = source === document.body && asked?.newest === newest;
    if (drawn < newest && !answers) {
      askAnew();
      return false;
    }
    newest = drawn;
    return true;
  }

  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx, tasks } = event.detail;
    const box = tasks.find((task) => task.target?.id === "call-status")?.fragment.querySelector("#call-status");
    const pushed = ctx.sourceElement?.id === "live";
    const leftOut = box ? !admits(box, ctx.sourceElement) : pushed && pushLeftOut;
    if (box && pushed) pushLeftOut = leftOut;
    if (!leftOut) return;
    for (let i = tasks.length - 1; i >= 0; i -= 1) if (follows(tasks[i])) tasks.splice(i, 1);
  });

  /* A whole screen that was overtaken on its way is shown all the same, and mended. */
  let screen = document.getElementById("call");
  document.addEventListener("htmx:after:swap", () => {
    const now = document.getElementById("call");
    if (now === screen) return;
    screen = now;
    const drawn = drawnAt(shown());
    if (drawn && drawn < newest) askAnew();
    newest = Math.max(newest, drawn);
  });

  new MutationObserver(propose).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-proposes"],
  });

  /* The recording of one customer does not stay open beside the next. */
  document.addEventListener("submit", (event) => {
    const leaves = ["save_next", "next", "skip"].includes(event.submitter?.value);
    if (event.target.id === "call-form" && leaves) document.getElementById("player-dock").replaceChildren();
  });
})();
