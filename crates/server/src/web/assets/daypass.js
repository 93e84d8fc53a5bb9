// What makes pages live. Every page works without it; with it nothing reloads: forms are sent in the background, what changes is put in its
// place, and what happens at the server is seen at once. Text comes from the server as HTML and is put in as such: nothing is built from strings here.

const main = () => document.getElementById("live");
const here = () => location.pathname + location.search;
const read = (html) => new DOMParser().parseFromString(html, "text/html");

/** The address of the page that stands here. */
let shown = here();
/** Counts what was put here, sent and asked: an answer is of use only while nothing came after its question. */
let turn = 0;
/** So many forms are on their way. */
let sending = 0;
/** Something happened while one was. */
let missed = false;
/** Somebody wants to see what changed, whatever they are doing. */
let wanted = false;

// What stands here

/** A page as the server wrote it, without what is another with every second and every answer. */
function written(live) {
  const copy = live.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.replaceChildren();
  for (const key of copy.querySelectorAll("input[name=key]")) key.remove();
  return copy.innerHTML;
}
let source = main() && written(main());

/** Whether a field is not as it came. */
function differs(field) {
  if (field.type === "hidden" || field.type === "submit") return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.localName !== "select") return field.value !== field.defaultValue;
  const options = [...field.options];
  const none = !field.multiple && !options.some((one) => one.defaultSelected);
  return options.some((one, at) => one.selected !== (none ? at === 0 : one.defaultSelected));
}
const fields = (room) => [...room.querySelectorAll("input, textarea, select")];

/** How each <details> came. */
const came = new WeakMap();
/** What somebody is writing a policy in, watches or is about to confirm is never taken from under their hands. */
const held = () => document.querySelector("[data-hold]") !== null;
/** Whether somebody is in the middle of something: that is not replaced unless they say so. */
function busy() {
  const live = main();
  if (live.hasAttribute("data-later") || live.querySelector("[data-refused]")) return true;
  if (live.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return true;
  if ([...live.querySelectorAll("details")].some((one) => one.open && came.get(one) === false)) return true;
  return fields(live).some(differs);
}

/** How something is found again on the next copy of a page: by its id, or by its place in the nearest thing that has one. */
function nameOf(one) {
  const room = one.closest("[id]");
  if (!room || room === main() || !main().contains(room)) return null;
  if (room === one) return { room: one.id };
  return { room: room.id, tag: one.localName, at: [...room.querySelectorAll(one.localName)].indexOf(one), text: one.textContent };
}
function named(name) {
  const room = name && document.getElementById(name.room);
  if (!room || !name.tag) return room;
  const one = room.querySelectorAll(name.tag)[name.at];
  // In the same place there may be something else by now.
  return one && (name.tag === "details" || one.textContent === name.text) ? one : null;
}

/** What somebody chose on this page, but for the form that was just sent. */
function choices(sent) {
  const chosen = fields(main()).filter((one) => one.type !== "password" && one.form !== sent && differs(one));
  const details = [...main().querySelectorAll("details")].filter((one) => one.open !== came.get(one));
  return {
    fields: chosen.map((one) => [nameOf(one), one.value, one.checked]),
    details: details.map((one) => [nameOf(one), one.open]),
  };
}
function choose({ fields, details }) {
  for (const [name, open] of details) { const one = named(name); if (one) one.open = open; }
  for (const [name, value, checked] of fields) {
    const one = named(name);
    if (!one) continue;
    if (one.type === "checkbox" || one.type === "radio") one.checked = checked;
    else one.value = value;
    const around = one.closest("details");
    if (around) around.open = true;
  }
}

/** What is to be answered here, in its order, each as it was read. */
const items = () => [...document.querySelectorAll("[data-item]")];
const order = () => items().map((one) => `${one.id} ${one.querySelector("[name=digest]")?.value ?? ""}`).join("\n");
/** So long after what is to be answered moved, in milliseconds, nothing is: the hand was on its way to what stood there before. */
const SETTLE = 1000;
let settling = null;
function moved() {
  clearTimeout(settling);
  settling = setTimeout(() => { settling = null; main().classList.remove("settling"); }, SETTLE);
}
document.addEventListener("click", (event) => {
  if (settling === null || !event.target.closest("[data-approve], [data-deny]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  toast("The list has just changed: look again.");
}, { capture: true });

// Putting a page here

/** Puts the rail of a page here, which says how much waits. */
function putRail(page) {
  const [rail, fresh] = [document.getElementById("rail"), page.getElementById("rail")];
  if (!rail || !fresh || rail.innerHTML === fresh.innerHTML) return;
  const focus = rail.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  rail.replaceWith(fresh);
  if (focus) [...fresh.children].find((one) => one.getAttribute("href") === focus)?.focus();
}

/** What the page tells just now, by what it is about. */
function told() {
  return new Map([...document.querySelectorAll("[data-tell][id]")].map((one) => [one.id, { ...one.dataset, count: "count" in one.dataset ? parseInt(one.textContent, 10) : null }]));
}

/** Tells what is another than it was: of what was there before, of what is new, and of what is gone. Of what waits only that it is more. */
function tellWhatIsNew(before) {
  const now = told();
  for (const [id, { tell, count }] of now) {
    const was = before.get(id);
    if (count === null ? was?.tell !== tell : count > (was?.count ?? 0)) toast(tell);
  }
  for (const [id, { gone }] of before) if (gone && !now.has(id)) toast(gone);
}

/** Where one goes on after what had the focus is gone: at what came next in the list, or at the head of the page. */
function goOn(next) {
  const one = next?.map((id) => document.getElementById(id)).find((one) => one) ?? main().querySelector("[autofocus]");
  const failed = document.getElementById("failure")?.closest("form")?.querySelector("input:not([type=hidden]), textarea, select");
  (one ?? failed ?? main().querySelector("h1"))?.focus({ preventScroll: true });
}

/** Puts a page in the place of this one. `sent` is the form that led to it; `back`: the address is there already. */
function put(page, address, { sent = null, to = null, back = false } = {}) {
  const fresh = page.getElementById("live");
  if (!fresh) { location.assign(address); return; }
  const at = fresh.querySelector("[data-at]")?.dataset.at ?? address;
  const same = !back && at === shown;
  const before = same ? told() : null;
  const kept = same ? choices(sent) : null;
  const list = order();
  const active = document.activeElement;
  const focus = main().contains(active) ? nameOf(active) : null;
  const lost = sent || main().contains(active) || document.getElementById("news").contains(active);
  const chosen = document.querySelector("[data-item].chosen")?.id;
  const next = sent && after(sent.closest("[data-item]"));
  turn += 1;
  wanted = false;
  source = written(fresh);
  bar(null);
  main().replaceWith(fresh);
  putRail(page);
  document.title = page.title;
  if (!same) {
    if (!back) history.pushState(null, "", at);
    shown = at;
    if (!back) window.scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  }
  prepare(to);
  // On another page too: the second press of two lands on whatever stands there by then.
  if (order() !== list) moved();
  main().classList.toggle("settling", settling !== null);
  if (!same) return;
  choose(kept);
  if (chosen) document.getElementById(chosen)?.classList.add("chosen");
  const again = sent ? null : named(focus);
  if (again) again.focus({ preventScroll: true });
  else if (lost && !main().contains(document.activeElement)) goOn(next);
  tellWhatIsNew(before);
}

/** The items after one, and then those before it. */
function after(item) {
  if (!item) return null;
  const ids = items().map((one) => one.id);
  const at = ids.indexOf(item.id);
  return [...ids.slice(at + 1), ...ids.slice(0, at).reverse()];
}

/** Says above the page that there is something to be seen, and shows it when asked to; nothing takes it away. */
function bar(text, label, act) {
  const place = document.getElementById("news");
  if (!text) { place.replaceChildren(); return; }
  if (place.dataset.says === text && place.firstChild) return;
  place.dataset.says = text;
  const line = document.createElement("p");
  line.className = "notice";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", act);
  line.append(text, " ", button);
  place.replaceChildren(line);
}

// Looking again

const signedOut = (answer) => answer.redirected && new URL(answer.url).pathname === "/sign-in";

/** What stops looking. A page that is left with whoever it was shown to (somebody signs out, or becomes somebody else) is looked at no more: it would be refused. */
let looking = new AbortController();
function leave() { looking.abort(); attend(); }
window.addEventListener("pageshow", (event) => { if (event.persisted) { looking = new AbortController(); attend(); } });

/** Looks at what stands here again, and puts it here unless somebody is in the middle of something. */
async function look() {
  // That there is more is said once.
  if (held() || (!wanted && main().dataset.later && document.querySelector("#news > *"))) return;
  if (sending > 0) { missed = true; return; }
  const { signal } = looking;
  if (signal.aborted) return;
  const mine = ++turn;
  const address = shown;
  let answer, html;
  try {
    answer = await fetch(address, { headers: { accept: "text/html" }, signal });
    html = await answer.text();
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  if (mine !== turn || address !== here() || held()) return;
  if (signedOut(answer)) {
    if (busy()) bar("You are signed out.", "Sign in", () => location.assign(answer.url));
    else location.assign(answer.url);
    return;
  }
  const page = answer.ok ? read(html) : null;
  const fresh = page?.getElementById("live");
  if (!fresh) return;
  const changed = written(fresh) !== source;
  if (changed && (wanted || !busy())) { put(page, address); return; }
  const before = told();
  putRail(page);
  tellWhatIsNew(before);
  if (!changed) { wanted = false; bar(null); passTime(fresh); return; }
  const show = () => { wanted = true; look().catch(unreachable); };
  if (main().dataset.later) bar(main().dataset.later, "Show them", show);
  else bar("Something changed.", "Show it", show);
}

/** What a page says of how long ago something was, from another copy of the same page. */
function passTime(fresh) {
  const now = [...fresh.querySelectorAll("time")];
  for (const [at, time] of [...main().querySelectorAll("time")].entries()) {
    if (!("countdown" in time.dataset) && now[at]?.dateTime === time.dateTime) time.textContent = now[at].textContent;
  }
}

/** What was sent, or asked for instead of this page, is here: what happened meanwhile is looked at now. */
function arrived() {
  sending -= 1;
  if (sending === 0 && missed) { missed = false; soon(); }
}

/** Another page of those that were here before. */
async function goBack() {
  const mine = ++turn;
  const address = here();
  // Nobody looks again at the page that is being left.
  sending += 1;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    const html = await answer.text();
    if (mine !== turn) return;
    const page = read(html);
    if (answer.ok && page.getElementById("live")) put(page, address, { back: true });
    else location.reload();
  } finally {
    arrived();
  }
}

// Another part of the same page has an address of its own.
document.addEventListener("daypass:moved", () => { shown = here(); });

window.addEventListener("popstate", () => {
  // A link within the page is none to another.
  if (here() === shown) return;
  // What would be lost is asked for, as a browser does where a page is left for good.
  const leaving = new CustomEvent("daypass:leaving", { cancelable: true });
  if (!document.dispatchEvent(leaving)) { history.pushState(null, "", shown); return; }
  goBack().catch(() => location.reload());
});

function toast(text) {
  const one = document.createElement("p");
  one.className = "toast";
  one.textContent = text;
  document.getElementById("toasts").append(one);
  setTimeout(() => one.remove(), 6000);
}
const unreachable = () => toast("The server cannot be reached just now.");

// Forms

/** Says at a form why it was not taken, and leaves all as it was. */
function refuse(form, ...lines) {
  if (!form.isConnected) { toast(lines[0].textContent); return; }
  forgive(form);
  const why = document.createElement("div");
  why.className = "notice";
  why.dataset.refused = "";
  why.setAttribute("role", "alert");
  form.after(why);
  // What is put where readers listen already is what they read.
  why.append(...lines);
}
function forgive(form) {
  if (form.nextElementSibling?.matches("[data-refused]")) form.nextElementSibling.remove();
}
function problem(text) {
  const line = document.createElement("p");
  line.className = "problem";
  line.textContent = text;
  return line;
}
/** What a page says of why something was refused: what, and what to try. */
function whyOf(page) {
  const said = page.getElementById("failure");
  if (!said) return [problem("This did not work.")];
  const hint = said.nextElementSibling?.matches(".quiet") ? [document.importNode(said.nextElementSibling, true)] : [];
  return [problem(said.textContent), ...hint];
}

/** Sends a form in the background, with the button that was pressed. */
async function send(form, button) {
  const mine = ++turn;
  const body = new URLSearchParams(new FormData(form, button));
  const to = new URL(button?.hasAttribute("formaction") ? button.formAction : form.action);
  const answer = await fetch(to, { method: "POST", body });
  const html = await answer.text();
  const at = new URL(answer.url);
  if (signedOut(answer)) {
    // Whoever was signed out before is led to the start: nothing was done.
    if (at.searchParams.get("next") !== "/") location.assign(answer.url);
    else refuse(form, problem("You are signed out, and this was not sent. Sign in in another tab, then send it again."));
    return;
  }
  const page = read(html);
  if (!answer.ok && !page.getElementById("live")) { refuse(form, ...whyOf(page)); return; }
  // What was sent after this, or where one went since, is what stands here now.
  if (mine !== turn) { missed = true; return; }
  put(page, answer.ok ? at.pathname + at.search : shown, { sent: form, to: to.pathname });
}

const underWay = new WeakSet();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.action.endsWith("/sign-out") || form.hasAttribute("data-whole")) { leave(); return; }
  event.preventDefault();
  if (underWay.has(form)) return;
  underWay.add(form);
  form.setAttribute("aria-busy", "true");
  forgive(form);
  sending += 1;
  send(form, event.submitter).catch(() => refuse(form, problem("The server cannot be reached just now. Nothing that you typed is lost."))).finally(() => {
    underWay.delete(form);
    form.removeAttribute("aria-busy");
    arrived();
  });
});

/** Copies; where a browser does not let a page (it is not reached over TLS), what is to be copied is selected. */
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied.");
  } catch {
    const text = button.parentElement.querySelector("code");
    if (text) getSelection().selectAllChildren(text);
    toast(text ? "Your browser lets no page copy here. It is selected: copy it." : "Your browser lets no page copy here.");
  }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
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
async function preview(form, mine) {
  const query = new URLSearchParams(new FormData(form));
  query.delete("key");
  const answer = await fetch(`${form.dataset.preview}?${query}`);
  if (!answer.ok) return;
  const fresh = read(await answer.text()).getElementById("outlook");
  const place = document.getElementById("outlook");
  // The place stays, so that readers hear what is put there.
  if (fresh && place && mine === asked && fresh.innerHTML !== place.innerHTML) place.replaceChildren(...fresh.childNodes);
}
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-preview]");
  if (!form) return;
  const mine = ++asked;
  // Without an answer what stood there stays; it is asked again with the next key, and when it is sent.
  setTimeout(() => { if (mine === asked && form.isConnected) preview(form, mine).catch(() => {}); }, 250);
});

/** What is there for those who have a script. `to` is where the form went that led here. */
function prepare(to = null) {
  for (const hidden of document.querySelectorAll("[data-copy], .keys")) hidden.hidden = false;
  for (const one of document.querySelectorAll("#live details")) came.set(one, one.open);
  asked += 1;
  tick();
  attend();
  document.dispatchEvent(new CustomEvent("daypass:shown", { detail: { to } }));
}

// What happens at the server

/** Looks when something happened: at once, and no more than about twice a second. */
let due = null;
function soon() {
  if (due !== null) return;
  due = setTimeout(() => { due = null; if (attends()) look().catch(() => {}); }, 400);
}

/** A connection that could not be had is tried again after this, in milliseconds. */
const AGAIN = 10_000;
let events = null;
const attends = () => Boolean(main()?.hasAttribute("data-live")) && !held() && !document.hidden && !looking.signal.aborted;

/** Listens while there is a page here that is live, and somebody who sees it. */
function attend() {
  if (!attends()) { events?.close(); events = null; return; }
  if (events) return;
  const mine = new EventSource("/live");
  events = mine;
  mine.addEventListener("event", soon);
  // What happened while nobody listened is seen now, and what happened since this page was written.
  mine.addEventListener("open", soon);
  mine.addEventListener("error", () => {
    if (mine.readyState !== EventSource.CLOSED || events !== mine) return;
    // It does not come back by itself. Where the session is over, looking again leads to where one signs in.
    events = null;
    look().catch(() => {});
    setTimeout(attend, AGAIN);
  });
}
document.addEventListener("visibilitychange", attend);

prepare();
setInterval(tick, 1000);
