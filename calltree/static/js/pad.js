/* The dial pad of a call: what was sent is shown, until the pad is closed or another call is talked in. */
(() => {
  "use strict";

  document.addEventListener("click", (event) => {
    const digit = event.target.closest("#dial-pad button[name=digits]");
    const shown = digit?.form.querySelector("[data-pressed]");
    if (shown) shown.textContent += digit.value;
  });

  document.addEventListener("calltree:opening", (event) => {
    const shown = event.target.querySelector("#dial-pad [data-pressed]") || event.target.querySelector("[data-pressed]");
    if (shown) shown.textContent = "";
  });
})();
