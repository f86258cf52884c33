"use strict";
const rows = JSON.parse(document.getElementById("tape").textContent);
const byId = (id) => document.getElementById(id);
const main = byId("rows"), play = byId("play"), seek = byId("seek"), time = byId("time"), speed = byId("speed");
const length = rows.reduce((most, row) => Math.max(most, row.end ?? row.start), 0);
let now = 0, playing = false, before = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(row) {
  const depth = row.depth ? ` depth${Math.min(row.depth, 2)}` : "";
  row.node = element("div", `row ${row.kind}${depth}`);
  if (row.kind === "tool") {
    const details = element("details", "");
    const summary = element("summary", "");
    row.state = element("span", "state", "…");
    row.took = element("span", "took", "");
    summary.append(row.state, element("b", "", row.title), " ", element("code", "", row.about ?? ""), " ", row.took);
    row.output = element("pre", "", row.output ?? "");
    details.append(summary, element("pre", "", row.input ?? ""), row.output);
    row.node.append(details);
  } else {
    row.body = element("div", "streaming");
    row.node.append(row.body);
  }
  row.node.hidden = true;
  main.append(row.node);
}

function piecesUntil(row, at) {
  let low = 0, high = row.pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row.pieces[middle][0] <= at) low = middle + 1; else high = middle;
  }
  return low;
}

function show(row, at) {
  const visible = row.start <= at;
  const whole = row.end !== undefined && row.end <= at;
  const retracted = row.retracted !== undefined && row.retracted <= at;
  const count = visible && row.pieces ? piecesUntil(row, at) : 0;
  const key = `${visible} ${whole} ${retracted} ${count}`;
  if (key === row.key) return;
  row.key = key;
  row.node.hidden = !visible;
  row.node.classList.toggle("retracted", retracted);
  row.node.classList.toggle("failed", Boolean(row.failed) && whole);
  if (row.kind === "tool") {
    row.node.classList.toggle("done", whole && !row.failed);
    row.state.textContent = whole ? (row.failed ? "✗" : "✓") : "…";
    row.took.textContent = whole ? `${(row.end - row.start).toFixed(1)} s` : "";
    row.output.hidden = !whole;
  } else if (row.html !== undefined && whole) {
    row.body.className = "";
    row.body.innerHTML = row.html; // rendered without HTML of its own
  } else {
    row.body.className = "streaming";
    row.body.textContent = row.pieces.slice(0, count).map((piece) => piece[1]).join("");
  }
}

function paint() {
  for (const row of rows) show(row, now);
  seek.value = now;
  time.textContent = `${clock(now)} / ${clock(length)}`;
  play.textContent = playing ? "❚❚" : "▶";
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function step(at) {
  if (!playing) return;
  const atEnd = innerHeight + scrollY >= document.body.scrollHeight - innerHeight / 2;
  now = Math.min(length, now + ((at - before) / 1000) * Number(speed.value));
  before = at;
  if (now >= length) playing = false;
  paint();
  if (atEnd) main.lastElementChild?.scrollIntoView({ block: "end" });
  if (playing) requestAnimationFrame(step);
}

function toggle() {
  playing = !playing;
  if (playing && now >= length) now = 0;
  before = performance.now();
  paint();
  if (playing) requestAnimationFrame(step);
}

function go(to) {
  now = Math.max(0, Math.min(length, to));
  paint();
}

for (const row of rows) build(row);
seek.max = length;
play.addEventListener("click", toggle);
seek.addEventListener("input", () => go(Number(seek.value)));
for (const what of ["thinking", "tools"]) {
  byId(what).addEventListener("change", (event) => main.classList.toggle(`hide-${what}`, !event.target.checked));
}
addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=range], select, button, summary")) return;
  if (event.key === " ") { event.preventDefault(); toggle(); }
  else if (event.key === "ArrowRight") go(now + 5);
  else if (event.key === "ArrowLeft") go(now - 5);
});
go(length);
