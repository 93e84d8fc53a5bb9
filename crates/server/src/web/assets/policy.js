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

/** Asks the server what it makes of the draft, and shows what it found. */
let asked = 0;
async function check(form) {
  const mine = ++asked;
  const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!answer.ok || mine !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["findings", "outcome"]) {
    const fresh = page.getElementById(id);
    if (fresh) document.getElementById(id)?.replaceWith(fresh);
  }
  for (const area of editors()) number(area);
}

let waits = null;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-check]");
  if (!form) return;
  if (event.target.matches("[data-editor]")) number(event.target);
  asked += 1;
  clearTimeout(waits);
  waits = setTimeout(() => check(form).catch(() => {}), PAUSE);
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
  check(button.form).catch(() => {});
});

/** A draft that differs from what was loaded is not lost by a slip. */
window.addEventListener("beforeunload", (event) => {
  if ([...editors()].some((area) => area.value !== area.defaultValue)) event.preventDefault();
});

function prepare() {
  for (const area of editors()) number(area);
  const form = document.querySelector("form[data-check]");
  if (form && !document.querySelector("#findings .chip")) check(form).catch(() => {});
}

document.addEventListener("daypass:shown", prepare);
prepare();
