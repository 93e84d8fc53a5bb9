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
  there = [...page.querySelectorAll("#found li")].map(option);
  show();
}

/** Goes to what is chosen. Who came by a key finds the focus there. */
function follow(one) {
  sessionStorage.setItem("daypass:by-key", one.dataset.path);
  location.assign(one.dataset.path);
}

/** A line of the page, as an option of the list. */
function option(line) {
  const link = line.querySelector("a");
  const one = document.createElement("li");
  one.setAttribute("role", "option");
  one.dataset.path = link.getAttribute("href");
  const name = document.createElement("strong");
  name.textContent = link.textContent;
  one.append(name, line.querySelector("span").cloneNode(true));
  one.addEventListener("click", () => location.assign(one.dataset.path));
  return one;
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/);
  const fits = (one) => words.every((word) => one.textContent.toLowerCase().includes(word));
  list.replaceChildren(...there.filter(fits).slice(0, 12));
  choose(list.firstElementChild);
}

function choose(one) {
  if (!one) { field.removeAttribute("aria-activedescendant"); return; }
  for (const other of list.children) { other.setAttribute("aria-selected", String(other === one)); other.removeAttribute("id"); }
  one.id = "palette-chosen";
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
    else if (event.key === "Enter" && at) follow(at);
    else return;
    event.preventDefault();
  });
}
