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

  /* An answer that was drawn before a push may arrive after it. The older drawing is then asked anew. */
  let newest = 0;

  function notice() {
    const box = document.getElementById("call-status");
    const drawn = Number(box?.dataset.drawn || 0);
    if (!drawn) return;
    if (drawn >= newest) {
      newest = drawn;
      return;
    }
    newest = drawn;
    /* all that follows the call in one answer, so that it stays of one moment */
    window.htmx.ajax("GET", box.dataset.anew, { source: box, target: box, swap: "none" });
  }

  /* A push for the next customer that overtakes the page's own answer: its buttons must not stand beside
     the boxes and numbers of the one before. The answer brings the whole screen. */
  document.addEventListener("htmx:ws:before:message:incoming", (event) => {
    const text = event.detail?.message?.data;
    const open = document.querySelector('#call-form input[name="customer"]')?.value;
    const about = typeof text === "string" && text.match(/name="customer"\s+value="(\d*)"/);
    if (open && about && about[1] !== open) event.preventDefault();
  });

  new MutationObserver(() => {
    notice();
    propose();
  }).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-proposes", "data-drawn"],
  });

  /* The recording of one customer does not stay open beside the next. */
  document.addEventListener("submit", (event) => {
    const leaves = ["save_next", "next", "skip"].includes(event.submitter?.value);
    if (event.target.id === "call-form" && leaves) document.getElementById("player-dock").replaceChildren();
  });
})();
