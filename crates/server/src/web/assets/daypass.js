// What makes pages live. Every page works without it; with it nothing reloads: forms are sent in the background, what changes is put in its
// place, and what happens at the server is seen at once. Text comes from the server as HTML and is put in as such: nothing is built from strings here.

const main = () => document.getElementById("live");

/** Puts a page that was fetched in the place of this one, as far as it differs: what is typed and where one is stays. */
function show(html, address) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = page.getElementById("live");
  if (!fresh) { location.assign(address); return; }
  const typed = new Map();
  for (const field of main().querySelectorAll("input[id], textarea[id], select[id]")) {
    if (field.value !== field.defaultValue) typed.set(field.id, field.value);
  }
  const focus = document.activeElement?.id;
  const chosen = document.querySelector("[data-item].chosen")?.id;
  const same = address === location.pathname + location.search;
  const before = same ? told() : null;
  main().replaceWith(fresh);
  const rail = page.getElementById("rail");
  if (rail) document.getElementById("rail").replaceWith(rail);
  document.title = page.title;
  if (!same) { history.pushState(null, "", address); window.scrollTo(0, 0); document.getElementById("main").focus(); }
  else {
    for (const [id, value] of typed) { const field = document.getElementById(id); if (field) field.value = value; }
    const field = (focus && document.getElementById(focus)) || main().querySelector("[autofocus]");
    field?.focus({ preventScroll: true });
    if (chosen) document.getElementById(chosen)?.classList.add("chosen");
  }
  prepare();
  if (before) tellWhatIsNew(before);
}

/** What the page tells just now, by what it is about. */
function told() {
  return new Map([...document.querySelectorAll("[data-tell][id]")].map((one) => [one.id, one.dataset.tell]));
}

/** Tells what is another than it was: of what was there before, and of what is new. */
function tellWhatIsNew(before) {
  for (const [id, text] of told()) if (before.get(id) !== text) toast(text);
}

async function look(address = location.pathname + location.search) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") { location.assign(answer.url); return; }
  if (answer.ok) show(await answer.text(), address);
}

function toast(text) {
  const one = document.createElement("p");
  one.className = "toast";
  one.textContent = text;
  document.getElementById("toasts").append(one);
  setTimeout(() => one.remove(), 6000);
}

/** Sends a form in the background, with the button that was pressed. */
async function send(form, button, body) {
  const to = button?.hasAttribute("formaction") ? button.formAction : form.action;
  const answer = await fetch(to, { method: "POST", body });
  const address = new URL(answer.url);
  const html = await answer.text();
  if (answer.ok) { show(html, address.pathname + address.search); return; }
  const page = new DOMParser().parseFromString(html, "text/html");
  if (page.getElementById("live")) { show(html, location.pathname + location.search); return; }
  toast(page.getElementById("failure")?.textContent ?? "This did not work.");
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.action.endsWith("/sign-out") || form.hasAttribute("data-whole")) return;
  event.preventDefault();
  const button = event.submitter;
  // Before it is disabled: a disabled button says nothing.
  const body = new URLSearchParams(new FormData(form, button));
  if (button) button.disabled = true;
  send(form, button, body).catch(() => toast("The server cannot be reached just now.")).finally(() => { if (button) button.disabled = false; });
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) { await navigator.clipboard.writeText(copy.dataset.copy); toast("Copied."); }
});

/** What is left, by the second for the last hour. */
function tick() {
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const left = Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000);
    const two = (n) => String(n).padStart(2, "0");
    const text = left < 0 ? "over" : left < 3600 ? `${Math.floor(left / 60)}:${two(left % 60)}` : left < 86400 ? `${Math.floor(left / 3600)} h ${Math.floor(left / 60) % 60} min` : null;
    if (text !== null && time.textContent !== text) time.textContent = text;
    time.classList.toggle("soon", left < 300);
  }
}

/** What a request would lead to, while it is typed. */
let asked = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-preview]");
  if (!form) return;
  const mine = ++asked;
  setTimeout(async () => {
    if (mine !== asked) return;
    const query = new URLSearchParams(new FormData(form));
    query.delete("key");
    const answer = await fetch(`${form.dataset.preview}?${query}`);
    if (!answer.ok || mine !== asked) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("outlook");
    if (fresh) document.getElementById("outlook").replaceWith(fresh);
  }, 250);
});

/** Keys on lists: j and k go, a and d answer, Enter opens. */
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
  const items = [...document.querySelectorAll("[data-item]")];
  if (items.length === 0) return;
  const at = items.findIndex((item) => item.classList.contains("chosen"));
  const choose = (to) => {
    items[at]?.classList.remove("chosen");
    const one = items[Math.max(0, Math.min(items.length - 1, to))];
    one.classList.add("chosen");
    one.focus({ preventScroll: true });
    one.scrollIntoView({ block: "nearest" });
  };
  const one = items[at] ?? (items.length === 1 ? items[0] : null);
  if (event.key === "j") choose(at + 1);
  else if (event.key === "k") choose(at - 1);
  else if (event.key === "a") one?.querySelector("[data-approve]")?.click();
  else if (event.key === "d") one?.querySelector("[data-deny]")?.click();
  else if (event.key === "Enter" && event.target === one) one?.querySelector("[data-open]")?.click();
  else return;
  event.preventDefault();
});

/** What is there for those who have a script. */
function prepare() {
  for (const hidden of document.querySelectorAll("[data-copy], .keys")) hidden.hidden = false;
  tick();
  document.dispatchEvent(new Event("daypass:shown"));
}

/** Looks again when something happened: at once, and no more than twice a second. */
let due = null;
function live() {
  const events = new EventSource("/live");
  events.addEventListener("event", () => {
    // What somebody is writing, or about to confirm, is not taken from under their hands.
    if (due !== null || document.querySelector("[data-hold]")) return;
    due = setTimeout(() => { due = null; look().catch(() => {}); }, 400);
  });
  events.addEventListener("error", () => {
    // It does not come back: the session is over, and looking again leads to where one signs in.
    if (events.readyState === EventSource.CLOSED && !document.querySelector("[data-hold]")) look().catch(() => {});
  });
}

window.addEventListener("popstate", () => look());
prepare();
setInterval(tick, 1000);
if (main()?.hasAttribute("data-live")) live();
