// The policy's editor, for those who have a script: numbers beside lines, faults at their lines, and a check while one types. What is wrong is
// the server's answer; here it is only put where it belongs.

const editors = () => document.querySelectorAll("[data-editor]");
const PAUSE = 700;

/** Numbers beside a text, with what is wrong marked. They move with it. */
function number(area) {
  let gutter = area.parentElement.querySelector(".gutter");
  if (!gutter) {
    gutter = document.createElement("div");
    gutter.className = "gutter";
    gutter.setAttribute("aria-hidden", "true");
    area.before(gutter);
    area.parentElement.classList.add("numbered");
    area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; }, { passive: true });
  }
  const faults = new Map();
  for (const fault of document.querySelectorAll(`.faults [data-field="${CSS.escape(area.id)}"]`)) {
    faults.set(Number(fault.dataset.line), fault.querySelector("p + p")?.textContent ?? "");
  }
  const count = area.value.split("\n").length;
  const numbers = [];
  for (let line = 1; line <= count; line += 1) {
    const one = document.createElement("span");
    one.textContent = line;
    if (faults.has(line)) { one.className = "bad"; one.title = faults.get(line); }
    numbers.push(one);
  }
  gutter.replaceChildren(...numbers);
  gutter.scrollTop = area.scrollTop;
  area.setAttribute("aria-invalid", faults.size > 0 ? "true" : "false");
}

/** To a line of a text. */
function go(area, line, column) {
  const lines = area.value.split("\n");
  const before = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const start = before + Math.max(0, column - 1);
  area.focus();
  area.setSelectionRange(start, before + (lines[line - 1]?.length ?? 0));
  const height = parseFloat(getComputedStyle(area).lineHeight);
  area.scrollTop = Math.max(0, (line - 5) * height);
  area.scrollIntoView({ block: "nearest" });
}

/** Puts something where readers listen; what is there already is not read again. */
function tell(id, ...nodes) {
  const place = document.getElementById(id);
  const fresh = document.createElement("div");
  fresh.append(...nodes);
  if (place && place.innerHTML !== fresh.innerHTML) place.replaceChildren(...fresh.childNodes);
}

/** Says where the findings stand why there are none. */
function notChecked(why, hint) {
  const card = document.createElement("section");
  card.className = "card";
  const head = document.createElement("h2");
  head.textContent = "Not checked";
  const line = document.createElement("p");
  line.className = "problem";
  line.textContent = why;
  card.append(head, line);
  if (hint) card.append(document.importNode(hint, true));
  tell("findings", card);
}
const unreachable = () => notChecked("The server cannot be reached just now. Your draft is still here.");

/** Asks the server what it makes of the draft, and shows what it found, or why it did not look. */
let asked = 0;
async function check(form) {
  const mine = ++asked;
  const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== asked || !form.isConnected) return;
  if (answer.redirected) { notChecked("You are signed out. Sign in in another tab, then check again: your draft is still here."); return; }
  if (!answer.ok) {
    const said = page.getElementById("failure");
    const hint = said?.nextElementSibling;
    notChecked(said?.textContent ?? "The server did not look at it.", hint?.matches(".quiet") ? hint : null);
    return;
  }
  for (const id of ["findings", "outcome"]) tell(id, ...(page.getElementById(id)?.childNodes ?? []));
  for (const area of editors()) number(area);
}

let waits = null;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-check]");
  if (!form) return;
  if (event.target.matches("[data-editor]")) number(event.target);
  asked += 1;
  signingOut = false;
  clearTimeout(waits);
  waits = setTimeout(() => { keep(); check(form).catch(unreachable); }, PAUSE);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-goto]");
  const fault = link?.closest("[data-field]");
  const area = fault && document.getElementById(fault.dataset.field);
  if (!area) return;
  event.preventDefault();
  go(area, Number(fault.dataset.line), Number(fault.dataset.column));
});

/** Checking stays where one writes. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("form[data-check] button[formaction]");
  if (!button || button.getAttribute("formaction") !== button.form.dataset.check) return;
  event.preventDefault();
  clearTimeout(waits);
  keep();
  check(button.form).catch(unreachable);
});

// A draft is not lost by a slip. It is nowhere but on its page: so it is kept in this tab until it is in force, proposed or dropped, and offered
// to whoever wrote it.

const KEPT = "daypass:draft:";
const PARTS = ["replaces", "file", "text", "drop"];
const writer = () => document.querySelector("form.who span")?.textContent ?? "";
const draft = () => document.querySelector("form:has([data-editor]), form[action='/policy/apply']");

/** Whether there is a draft here that would be lost: one that was sent and came back, or one that is being written. */
function dirty() {
  if (document.querySelector("[data-dirty]")) return true;
  const parts = document.querySelectorAll("[data-check] [name=file], [data-check] [name=text], [data-check] [name=drop]");
  return [...parts].some((one) => (one.type === "checkbox" ? one.checked !== one.defaultChecked : one.value !== one.defaultValue));
}

/** The draft that was kept, of this writer: where it was begun, and its fields. */
function kept() {
  for (const key of Object.keys(sessionStorage).filter((one) => one.startsWith(KEPT))) {
    try {
      const { by, fields } = JSON.parse(sessionStorage.getItem(key));
      if (by === writer()) return { key, fields };
    } catch { /* None of ours. */ }
    // Nobody is offered what somebody else wrote.
    sessionStorage.removeItem(key);
  }
  return null;
}
function drop() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(KEPT)) sessionStorage.removeItem(key);
}

/** Keeps what is written. What was kept before and nobody answered for is not written over. */
function keep() {
  const form = draft();
  if (!form || offered() || signingOut) return;
  drop();
  if (!dirty()) return;
  const fields = [...new FormData(form)].filter(([name]) => PARTS.includes(name));
  const begun = fields.find(([name]) => name === "replaces")?.[1] ?? "";
  // A browser that keeps nothing still asks before one leaves.
  try { sessionStorage.setItem(KEPT + begun, JSON.stringify({ by: writer(), fields })); } catch { /* It is full, or not allowed. */ }
}

const offered = () => Boolean(document.querySelector("[data-kept]:not([hidden])"));
function offer() {
  const place = document.querySelector("[data-kept]");
  if (place) place.hidden = dirty() || kept() === null;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-take-up], [data-drop]")) return;
  const place = event.target.closest("[data-kept]");
  const one = kept();
  place.hidden = true;
  if (event.target.closest("[data-drop]") || !one) { drop(); keep(); return; }
  if (dirty() && !confirm(LEAVE)) { place.hidden = false; return; }
  // The server reads it like any other that is sent: it says what is wrong with it by now.
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/policy/check";
  form.hidden = true;
  for (const [name, value] of one.fields) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    form.append(field);
  }
  place.after(form);
  form.requestSubmit();
});

const LEAVE = "The draft of the policy on this page is not in force. Leave it? This tab keeps it, and offers it again.";
window.addEventListener("beforeunload", (event) => {
  keep();
  if (dirty()) event.preventDefault();
});
document.addEventListener("daypass:leaving", (event) => {
  keep();
  if (dirty() && !confirm(LEAVE)) event.preventDefault();
});
/** Whoever comes after is to find nothing. */
let signingOut = false;
document.addEventListener("submit", (event) => {
  signingOut = event.target.action.endsWith("/sign-out");
  if (signingOut) drop();
});

function prepare(event) {
  const to = event?.detail.to;
  // It was put in force or proposed, and no proof is asked for first; or what was sent is what is in force.
  if ((to === "/policy/apply" && !document.querySelector("[data-hold]")) || (to === "/policy/check" && !dirty())) drop();
  else if (document.querySelector("[data-dirty]")) keep();
  offer();
  for (const area of editors()) number(area);
  const form = document.querySelector("form[data-check]");
  if (form && !document.querySelector("#findings .chip")) check(form).catch(unreachable);
}

document.addEventListener("daypass:shown", prepare);
prepare();
