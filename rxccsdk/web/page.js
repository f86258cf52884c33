import { blocks, element } from "./markdown.js";

const byId = (id) => document.getElementById(id);
const turnsNode = byId("turns"), note = byId("note"), form = byId("form"), box = byId("prompt"), stop = byId("stop");
const linked = /^#token=(.+)$/.exec(location.hash);
if (linked) {
  sessionStorage.setItem("token", decodeURIComponent(linked[1]));
  history.replaceState(null, "", location.pathname);
}
const headers = { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}` };
const turns = new Map();
let current = null, lastEventId = null, run = null;

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

const trying = (work) => work.then(() => { note.textContent = ""; }, (error) => { note.textContent = error.message; });

// -- what comes ------------------------------------------------------------------------------------------

class Turn {
  constructor(number, prompt) {
    this.number = number;
    this.seen = -1;
    this.parts = new Map();
    this.status = element("p", "status", "…");
    this.body = element("div", "body");
    this.node = element("section", "turn", element("div", "prompt", prompt), this.body, this.status);
    turnsNode.append(this.node);
  }

  part(key, make) {
    if (!this.parts.has(key)) {
      const made = make();
      this.parts.set(key, made);
      this.body.append(made);
    }
    return this.parts.get(key);
  }

  take(chunk) {
    if (chunk.seq <= this.seen) return;
    this.seen = chunk.seq;
    const show = shown[chunk.kind];
    if (show) show(this, chunk);
  }
}

const asides = new Turn(-1, "");
asides.node.remove();
byId("asides").append(asides.body);

const side = (chunk) => (chunk.agent === null ? "" : " agent");
const waiting = new Set();

function redrawSoon(node) {
  if (!waiting.size) setTimeout(redraw, 30);
  waiting.add(node);
}

function redraw() {
  const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 80;
  for (const node of waiting) node.replaceChildren(...blocks(node.source));
  waiting.clear();
  if (atEnd) scrollTo(0, document.body.scrollHeight);
}

function toolRow(turn, chunk, id) {
  return turn.part(`tool ${id}`, () => {
    const made = element("details", `tool${side(chunk)}`);
    made.state = element("span", "state", "…");
    made.title_ = element("b", "", chunk.name ?? chunk.tool_name ?? "");
    made.about = element("code", "");
    made.input = element("pre", "input");
    made.output = element("pre", "output");
    made.append(element("summary", "", made.state, " ", made.title_, " ", made.about), made.input, made.output);
    return made;
  });
}

const asText = (content) => (typeof content === "string" ? content
  : Array.isArray(content) ? content.map((block) => block.text ?? JSON.stringify(block)).join("\n")
  : JSON.stringify(content, null, 2) ?? "");

const shown = {
  TextChunk(turn, chunk) {
    const node = turn.part(`block ${chunk.block}`, () => element("div", `text${side(chunk)}`));
    node.source = (node.source ?? "") + chunk.text;
    redrawSoon(node);
  },
  ThinkingChunk(turn, chunk) {
    turn.part(`block ${chunk.block}`, () => element("div", `thinking${side(chunk)}`)).append(chunk.text);
  },
  ToolInputChunk(turn, chunk) {
    toolRow(turn, chunk, chunk.id).input.append(chunk.partial_json);
  },
  ToolUseChunk(turn, chunk) {
    const row = toolRow(turn, chunk, chunk.id), input = chunk.input;
    const about = input.command ?? input.file_path ?? input.pattern ?? input.description ?? input.url ?? "";
    row.about.textContent = String(about);
    row.input.textContent = JSON.stringify(input, null, 2);
  },
  ToolProgressChunk(turn, chunk) {
    toolRow(turn, chunk, chunk.tool_use_id).state.textContent = `${Math.round(chunk.elapsed)} s`;
  },
  ToolOutputChunk(turn, chunk) {
    toolRow(turn, chunk, chunk.tool_use_id).output.append(chunk.text);
  },
  ToolResultChunk(turn, chunk) {
    const row = toolRow(turn, chunk, chunk.tool_use_id);
    row.state.textContent = chunk.is_error ? "✗" : "✓";
    row.classList.toggle("failed", chunk.is_error);
    row.output.textContent = asText(chunk.content);
  },
  AskChunk(turn, chunk) {
    turn.part(`ask ${chunk.id}`, () => askNode(chunk));
  },
  DecisionChunk(turn, chunk) {
    const node = turn.parts.get(`ask ${chunk.ask_id}`);
    if (!node || node.disabled) return;
    node.disabled = true;
    node.append(element("p", "status", `${chunk.decision}${chunk.detail ? `: ${chunk.detail}` : ""}`));
  },
  PromptChunk(turn, chunk) {
    const node = turn.part(`message ${chunk.uuid}`, () => element("div", "prompt", chunk.text, element("p", "status")));
    node.lastChild.textContent = chunk.state;
  },
  RetractedChunk(turn, chunk) {
    for (const block of chunk.blocks) turn.parts.get(`block ${block}`)?.classList.add("retracted");
    for (const id of chunk.tool_ids) turn.parts.get(`tool ${id}`)?.classList.add("retracted");
  },
  NoticeChunk(turn, chunk) {
    turn.part(`notice ${chunk.seq}`, () => element("p", "notice", chunk.detail));
  },
};

function askNode(ask) {
  const node = element("fieldset", "ask");
  const give = (answer) => trying(post(`asks/${encodeURIComponent(ask.id)}`, answer));
  const button = (words, answer) => {
    const made = element("button", "", words);
    made.type = "button";
    made.onclick = () => give(typeof answer === "function" ? answer() : answer);
    return made;
  };
  if (ask.ask === "question") {
    const questions = ask.input.questions ?? [];
    const read = questions.map((question, place) => {
      const kind = question.multiSelect ? "checkbox" : "radio";
      node.append(element("p", "", element("b", "", question.question ?? "")));
      const inputs = (question.options ?? []).map((option) => {
        const input = element("input");
        Object.assign(input, { type: kind, name: `${ask.id} ${place}`, value: option.label });
        node.append(element("label", "", input, ` ${option.label} `, element("small", "", option.description ?? "")));
        return input;
      });
      const own = element("input");
      own.placeholder = "In other words";
      node.append(own);
      return () => {
        const chosen = inputs.filter((input) => input.checked).map((input) => input.value);
        return [question.question, own.value ? own.value : chosen.length > 1 ? chosen : chosen[0] ?? ""];
      };
    });
    node.append(" ", button("Answer", () => ({ answers: Object.fromEntries(read.map((one) => one())) })));
    return node;
  }
  node.append(element("legend", "", ask.ask === "plan" ? "A plan" : `May it use ${ask.tool_name}?`));
  if (ask.ask === "plan") node.append(element("div", "text", ...blocks(String(ask.input.plan ?? ""))));
  else node.append(element("pre", "", JSON.stringify(ask.input, null, 2)));
  const why = element("input");
  why.placeholder = "Why not";
  node.append(button("Allow", { allow: true }), " ");
  if (ask.suggestions.length) node.append(button("Always", { allow: true, remember: true }), " ");
  node.append(button("Deny", () => ({ deny: why.value })), " ", why);
  return node;
}

function take(name, data) {
  if (name === "turn") {
    if (run !== null && run !== data.run) location.reload();
    run = data.run;
    if (!turns.has(data.number)) turns.set(data.number, new Turn(data.number, String(data.prompt)));
    current = turns.get(data.number);
    stop.hidden = false;
  } else if (name === "end") {
    redraw();
    current.status.textContent = data.error ? `${data.status}: ${data.error}` : data.status;
    current.ended = true;
    stop.hidden = true;
  } else if (name === "aside") {
    shown[data.kind](asides, data);
  } else {
    current.take(data);
  }
}

// -- the connection --------------------------------------------------------------------------------------

async function watch() {
  const resume = lastEventId === null ? {} : { "Last-Event-ID": lastEventId };
  const answer = await fetch("events", { headers: { ...headers, ...resume }, cache: "no-store" });
  if (!answer.ok) {
    note.textContent = (await answer.json()).error;
    return answer.status !== 401;
  }
  note.textContent = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    const found = (held + value.replaceAll("\r", "")).split("\n\n");
    held = found.pop();
    for (const one of found) {
      let name = "message", data = "", id = null;
      for (const line of one.split("\n")) {
        if (line.startsWith("data: ")) data += line.slice(6);
        else if (line.startsWith("id: ")) id = line.slice(4);
        else if (line.startsWith("event: ")) name = line.slice(7);
      }
      if (data) take(name, JSON.parse(data));
      if (id !== null) lastEventId = id;
    }
  }
}

async function watchOn() {
  for (let pause = 250; ; pause = Math.min(pause * 2, 5000)) {
    const began = performance.now();
    try {
      if (!(await watch())) return;
    } catch {
      note.textContent = "The connection is lost; trying again …";
    }
    if (performance.now() - began > 5000) pause = 250;
    await new Promise((go) => setTimeout(go, pause));
  }
}

form.onsubmit = (event) => {
  event.preventDefault();
  const text = box.value;
  if (!text.trim()) return;
  box.value = "";
  const runs = current && !current.ended;
  trying(runs ? post(`turns/${current.number}/steer`, { text }) : post("turns", { prompt: text }));
};
box.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
};
stop.onclick = () => trying(post(`turns/${current.number}/interrupt`));
watchOn();
