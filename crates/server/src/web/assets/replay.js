// What terminals showed, played and watched. The server draws: here are frames put on and taken off, as text and as classes of its closed list.
// Nothing of a recording becomes HTML here.

/** A screen: rows of text that look as they did. */
class Screen {
  #rows = [];
  #cursor = null;
  constructor(element) { this.element = element; }

  size([columns, rows]) {
    this.element.replaceChildren(...Array.from({ length: rows }, () => {
      const row = document.createElement("div");
      row.className = "line";
      return row;
    }));
    this.#rows = [...this.element.children];
    this.#cursor = null;
    this.columns = columns;
  }

  row(number, runs) {
    const spans = runs.map(([text, look]) => {
      const span = document.createElement("span");
      span.textContent = text;
      if (look) span.className = look;
      return span;
    });
    this.#rows[number]?.replaceChildren(...spans);
  }

  /** Marks the cell where the cursor stands: behind so many characters of its row. */
  cursor(at) {
    this.#cursor?.remove();
    this.#cursor = null;
    const row = at && this.#rows[at[1]];
    if (!row) return;
    const mark = document.createElement("i");
    mark.className = "cursor";
    mark.textContent = " ".repeat(at[0]);
    row.append(mark);
    this.#cursor = mark;
  }

  frame(frame) {
    if (frame.size) this.size(frame.size);
    for (const [number, runs] of frame.rows) this.row(number, runs);
    this.cursor(frame.cursor);
  }
}

/** So often all of a screen is kept, so that one gets anywhere in a few steps. */
const EACH = 64;
/** What is longer than this is idle, and takes so long where idle is skipped. */
const IDLE = 2000;
const SHORT = 500;

/** A recording: what the screen shows at each frame. */
class Recording {
  frames = [];
  #kept = [];

  add(frame) {
    const index = this.frames.length;
    if (index % EACH === 0) {
      const before = index ? this.at(index - 1) : { size: [80, 24], rows: [], cursor: null };
      this.#kept.push({ ...before, rows: [...before.rows] });
    }
    this.frames.push(frame);
  }

  /** The whole of what stands there. */
  at(index) {
    const block = Math.floor(index / EACH);
    const kept = this.#kept[block];
    let { size, cursor } = kept;
    let rows = [...kept.rows];
    for (let n = block * EACH; n <= index; n++) {
      const frame = this.frames[n];
      if (frame.size) { size = frame.size; rows = []; }
      for (const [number, runs] of frame.rows) rows[number] = runs;
      cursor = frame.cursor;
    }
    return { size, rows, cursor };
  }

  /** The last frame that begins by then. */
  index(at) {
    let [low, high] = [0, this.frames.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.frames[middle].at <= at) low = middle; else high = middle - 1;
    }
    return low;
  }

  get length() { return this.frames.at(-1)?.at ?? 0; }
}

const clock = (milliseconds) => {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}` : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
};

/** The lines of an answer, as they come. */
async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

/** What plays one program's terminal. */
class Player {
  #recording = new Recording();
  #index = -1;
  #now = 0;
  #playing = false;
  #ticked = 0;
  #loaded = null;
  #whole = false;

  constructor(place) {
    this.place = place;
    const find = (what) => place.querySelector(what);
    this.screen = new Screen(find("[data-screen]"));
    [this.play, this.bar, this.clock, this.speed, this.idle, this.said] =
      ["[data-play]", "[data-seek-bar]", "[data-clock]", "[data-speed]", "[data-idle]", "[data-said]"].map(find);
    find(".controls").hidden = false;
    this.screen.element.replaceChildren();
    this.say("Playing it is a look into the session: that stands in the log.");
    this.play.addEventListener("click", () => this.toggle());
    this.bar.addEventListener("input", () => this.seek(Number(this.bar.value)));
    place.addEventListener("keydown", (event) => this.key(event));
    if (place.dataset.at !== undefined) this.jump(Number(place.dataset.at));
  }

  say(text) { this.said.textContent = text; }

  /** Fetches it, once. */
  load() {
    this.#loaded ??= this.#load().catch(() => this.say("The server cannot be reached just now."));
    return this.#loaded;
  }

  async #load() {
    this.say("Loading…");
    const answer = await fetch(this.place.dataset.player);
    if (!answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      this.say(page.getElementById("failure")?.textContent ?? "This did not work.");
      return;
    }
    for await (const line of lines(answer)) {
      if (!this.place.isConnected) return;
      const piece = JSON.parse(line);
      if (piece.end !== undefined) { this.say(piece.end); continue; }
      this.#recording.add(piece);
      if (this.#recording.frames.length === 1) this.show(0);
      if (this.#recording.frames.length % EACH === 1) this.bounds();
    }
    this.#whole = true;
    this.bounds();
    if (this.#recording.frames.length === 0) this.say("What it showed is not recorded.");
  }

  bounds() {
    this.bar.max = this.#recording.length;
    this.bar.value = this.#now;
    this.clock.textContent = `${clock(this.#now)} / ${clock(this.#recording.length)}`;
  }

  show(index) {
    if (index === this.#index) return;
    const frame = this.#recording.frames[index];
    if (!frame) return;
    if (index === this.#index + 1 && index > 0) this.screen.frame(frame);
    else {
      const whole = this.#recording.at(index);
      this.screen.size(whole.size);
      whole.rows.forEach((runs, number) => this.screen.row(number, runs));
      this.screen.cursor(whole.cursor);
    }
    this.#index = index;
  }

  seek(at) {
    if (this.#recording.frames.length === 0) return;
    this.#now = Math.max(0, Math.min(at, this.#recording.length));
    this.show(this.#recording.index(this.#now));
    this.bounds();
  }

  async jump(at) {
    await this.load();
    this.pause();
    this.seek(at);
    this.place.scrollIntoView({ block: "nearest" });
  }

  pause() { this.#playing = false; this.play.textContent = "Play"; }

  async toggle() {
    if (this.#playing) { this.pause(); return; }
    this.#playing = true;
    this.play.textContent = "Pause";
    const loading = this.load();
    if (this.#recording.frames.length === 0) await loading;
    if (this.#now >= this.#recording.length) this.seek(0);
    this.#ticked = performance.now();
    requestAnimationFrame((at) => this.tick(at));
  }

  tick(at) {
    if (!this.#playing || !this.place.isConnected) return;
    let left = Math.max(0, at - this.#ticked) * Number(this.speed.value);
    this.#ticked = at;
    const { frames } = this.#recording;
    while (left > 0 && this.#index + 1 < frames.length) {
      const from = frames[this.#index]?.at ?? 0;
      const gap = frames[this.#index + 1].at - from;
      // Where idle is skipped, time runs faster there.
      const faster = this.idle.checked && gap > IDLE ? gap / SHORT : 1;
      const wait = (frames[this.#index + 1].at - this.#now) / faster;
      if (wait > left) { this.#now += left * faster; left = 0; break; }
      left -= Math.max(0, wait);
      this.#now = frames[this.#index + 1].at;
      this.show(this.#index + 1);
    }
    this.bounds();
    if (this.#index + 1 >= frames.length && this.#whole) { this.pause(); return; }
    requestAnimationFrame((next) => this.tick(next));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A field and a button have keys of their own.
    const own = event.target.closest("select, input[type=range], input[type=checkbox], button");
    if (own && [" ", "ArrowLeft", "ArrowRight", "Enter"].includes(event.key)) return;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowLeft") this.seek(this.#now - 5000);
    else if (event.key === "ArrowRight") this.seek(this.#now + 5000);
    else if (event.key === "," || event.key === ".") this.step(event.key === "," ? -1 : 1);
    else if (["1", "2", "4", "8"].includes(event.key)) this.speed.value = event.key;
    else return;
    event.preventDefault();
  }

  step(by) {
    this.pause();
    const to = this.#recording.frames[this.#index + by];
    if (!to) return;
    this.#now = to.at;
    this.show(this.#index + by);
    this.bounds();
  }
}

/** So many rows are kept of a session that is watched. */
const ROWS = 1000;

/** Watches a session. */
function watch(place) {
  const screens = new Map();
  const say = (text) => { place.querySelector("[data-said]").textContent = text; };
  const records = place.querySelector("[data-records]");
  const events = new EventSource(place.dataset.watch);
  const on = (name, take) => events.addEventListener(name, (event) => {
    if (!place.isConnected) { events.close(); return; }
    take(JSON.parse(event.data));
  });
  const of = (program) => {
    if (!screens.has(program)) {
      const card = document.createElement("section");
      card.className = "card player";
      const head = document.createElement("h2");
      head.textContent = `Program #${program}`;
      const frame = document.createElement("div");
      frame.className = "screen-frame";
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", `What program ${program} shows`);
      const screen = document.createElement("div");
      screen.className = "screen";
      const said = document.createElement("p");
      said.className = "quiet";
      frame.append(screen);
      card.append(head, frame, said);
      place.querySelector("[data-screens]").append(card);
      screens.set(program, { screen: new Screen(screen), said });
    }
    return screens.get(program);
  };
  events.addEventListener("open", () => {
    // After a break it begins anew, with what was before.
    place.querySelector("[data-screens]").replaceChildren();
    screens.clear();
    records.replaceChildren();
    say("You watch it live. That you do stands in the log.");
  });
  events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ? "It cannot be watched any more." : "The connection broke: trying again."));
  on("records", (html) => {
    const page = new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html");
    // Who reads what was before is not moved.
    const below = document.documentElement.scrollHeight - window.scrollY - window.innerHeight < 80;
    records.append(...page.querySelectorAll("body > ol > li"));
    while (records.children.length > ROWS) records.firstElementChild.remove();
    if (below) window.scrollTo(0, document.documentElement.scrollHeight);
  });
  on("frame", ({ program, frame }) => of(program).screen.frame(frame));
  on("program", ({ program, said }) => { of(program).said.textContent = said; });
  on("gap", ({ records: count }) => say(`${count} records before this are not stored yet: they will be in the recording.`));
  on("end", (why) => { events.close(); say(`It is over here: ${why}`); });
}

/** Puts a part of a page in the place of this one's: a player that plays goes on. */
async function within(id, address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(id);
  if (!fresh) { location.assign(address); return; }
  document.getElementById(id).replaceWith(fresh);
  history.replaceState(null, "", address);
  document.dispatchEvent(new Event("daypass:moved"));
}

const players = new WeakMap();

/** Begins what is on this page. */
function begin() {
  for (const place of document.querySelectorAll("[data-player]")) if (!players.has(place)) players.set(place, new Player(place));
  for (const place of document.querySelectorAll("[data-watch]")) if (!players.has(place)) { players.set(place, null); watch(place); }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-within]");
  if (!form) return;
  event.preventDefault();
  const query = new URLSearchParams(new FormData(form));
  within(form.dataset.within, `${form.action}?${query}`).catch(() => form.submit());
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-jump], a[data-turn]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const place = document.querySelector("[data-player]");
  if (link.dataset.turn !== undefined) {
    event.preventDefault();
    within("found", link.href).then(() => document.getElementById("records")?.scrollIntoView(), () => location.assign(link.href));
  } else if (place?.dataset.program === link.dataset.of) {
    event.preventDefault();
    players.get(place).jump(Number(link.dataset.jump));
  }
});

document.addEventListener("daypass:shown", begin);
begin();
