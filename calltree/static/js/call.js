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

  new MutationObserver(propose).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-proposes"],
  });

  /* The recording of one customer does not stay open beside the next. */
  document.addEventListener("submit", (event) => {
    const leaves = ["save_next", "next", "skip"].includes(event.submitter?.value);
    if (event.target.id === "call-form" && leaves) document.getElementById("player-dock").replaceChildren();
  });
})();
