// The palette: Ctrl-K or Cmd-K, a part of a name, Enter. What there is comes from the server once, when it is opened.

const dialog = document.getElementById("palette");
const field = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
let there = [];

async function open() {
  if (dialog.open) return;
  there = [];
  list.replaceChildren();
  field.value = "";
  dialog.showModal();
  const answer = await fetch("/palette");
  if (!answer.ok || answer.redirected) { location.assign("/palette"); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  there = [...page.querySelectorAll("#found li")];
  show();
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/);
  const fits = (one) => words.every((word) => one.textContent.toLowerCase().includes(word));
  list.replaceChildren(...there.filter(fits).slice(0, 12));
  choose(list.firstElementChild);
}

function choose(one) {
  if (!one) { field.removeAttribute("aria-activedescendant"); return; }
  for (const other of list.children) { other.setAttribute("aria-selected", String(other === one)); other.setAttribute("role", "option"); }
  one.id = "palette-chosen";
  for (const other of list.children) if (other !== one) other.removeAttribute("id");
  field.setAttribute("aria-activedescendant", one.id);
  one.scrollIntoView({ block: "nearest" });
}

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); open().catch(() => dialog.close()); }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette]")) { event.preventDefault(); open().catch(() => dialog.close()); }
    // Beside it, on what it covers.
    if (event.target === dialog) dialog.close();
  });
  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    const at = list.querySelector("[aria-selected=true]");
    if (event.key === "ArrowDown") choose(at?.nextElementSibling ?? at);
    else if (event.key === "ArrowUp") choose(at?.previousElementSibling ?? at);
    else if (event.key === "Enter") at?.querySelector("a").click();
    else return;
    event.preventDefault();
  });
}
