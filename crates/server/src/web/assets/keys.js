// Keys on lists: j and k go from one to the next, a approves, d leads to where one says why, Enter opens. An answer is given only to what has
// the focus, and only once a press: what is under nobody's eyes is not approved.

const items = () => [...document.querySelectorAll("[data-item]")];
const FIELDS = "input, textarea, select, [contenteditable]";

function choose(one) {
  for (const other of document.querySelectorAll("[data-item].chosen")) other.classList.remove("chosen");
  one?.classList.add("chosen");
}

function go(to) {
  const all = items();
  const one = all[Math.max(0, Math.min(all.length - 1, to))];
  one.tabIndex = -1;
  one.focus({ preventScroll: true });
  one.scrollIntoView({ block: "nearest" });
}

document.addEventListener("focusin", (event) => {
  const one = event.target.closest("[data-item]");
  if (one) choose(one);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest(FIELDS) || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  const all = items();
  if (all.length === 0) return;
  const at = all.findIndex((item) => item.classList.contains("chosen"));
  if (event.key === "j" || event.key === "k") {
    go(event.key === "j" ? at + 1 : at - 1);
    event.preventDefault();
    return;
  }
  const one = event.target.closest("[data-item]");
  // A key that is held down answers one, not all that come after it.
  if (!one || event.repeat) return;
  if (event.key === "a") one.querySelector("[data-approve]")?.click();
  else if (event.key === "d") one.querySelector("form:has([data-deny]) input[name=comment]")?.focus();
  else if (event.key === "Enter" && event.target === one) one.querySelector("[data-open]")?.click();
  else return;
  event.preventDefault();
});

/** Whoever comes by a key finds the focus at what the page is about. Kept over the way from one page to the next, and no longer. */
const BY_KEY = "daypass:by-key";
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link) return;
  // A press of a key that is made a click has no place.
  if (event.detail === 0) sessionStorage.setItem(BY_KEY, new URL(link.href).pathname);
  else sessionStorage.removeItem(BY_KEY);
});
if (sessionStorage.getItem(BY_KEY) === location.pathname && items().length === 1) go(0);
sessionStorage.removeItem(BY_KEY);
