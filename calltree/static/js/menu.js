/* 管理画面's menu: what was folded away stays so on the next page, and the entry of the present page is in sight. */
(() => {
  "use strict";

  const YEAR_S = 31536000;
  const menu = document.getElementById("nav");
  if (!menu) return;

  function told() {
    const found = document.cookie.split("; ").find((one) => one.startsWith("menu="));
    return new Map((found ? found.slice(5) : "").split(".").filter(Boolean).map((one) => one.split(":")));
  }

  /* The press, not `toggle`: that also comes for what the page was drawn with. */
  menu.addEventListener("click", (event) => {
    const section = event.target.closest("summary")?.parentElement;
    if (!section) return;
    const folded = told().set(section.dataset.section, section.open ? "0" : "1");
    const value = [...folded].map((one) => one.join(":")).join(".");
    document.cookie = `menu=${value}; path=/; max-age=${YEAR_S}; SameSite=Lax`;
    if (!section.open) section.addEventListener("toggle", () => makeRoom(section), { once: true });
  });

  /* Rather fold the others away than scroll. */
  function makeRoom(section) {
    for (const other of menu.querySelectorAll("details[open]")) {
      if (menu.scrollHeight <= menu.clientHeight) return;
      if (other !== section) other.open = false;
    }
  }

  const here = menu.querySelector("[aria-current]");
  if (here) {
    const over = here.getBoundingClientRect().bottom - menu.getBoundingClientRect().bottom;
    if (over > 0) menu.scrollTop = over + here.offsetHeight;
  }
})();
