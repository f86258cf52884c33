// Markdown as DOM nodes. All that is not a mark of Markdown becomes text: no markup is ever parsed.

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const INLINE = [
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, (found) => element("code", "", found[2].trim())],
  [/^\*\*(?=\S)([\s\S]*?\S)\*\*/, (found) => element("strong", "", ...inline(found[1]))],
  [/^\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)/, (found) => element("em", "", ...inline(found[1]))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (found) => element("s", "", ...inline(found[1]))],
  [/^\[([^\]]*)\]\(\s*(https?:\/\/[^\s)]+)\s*\)/, (found) => link(found[2], inline(found[1]))],
  [/^https?:\/\/[^\s<>)\]]*[^\s<>)\].,;:!?'"]/, (found) => link(found[0], [found[0]])],
];

function link(address, children) {
  const made = element("a", "", ...children);
  made.href = address;
  made.target = "_blank";
  made.rel = "noopener noreferrer nofollow";
  return made;
}

export function inline(text) {
  const nodes = [];
  let plain = "";
  while (text) {
    const escaped = /^\\([!-/:-@[-`{-~])/.exec(text);
    let found = null, make = null;
    if (!escaped && /[`*~[h]/.test(text[0])) {
      for (const [pattern, maker] of INLINE) {
        if ((found = pattern.exec(text))) { make = maker; break; }
      }
    }
    if (make) {
      if (plain) nodes.push(plain);
      plain = "";
      nodes.push(make(found));
      text = text.slice(found[0].length);
    } else {
      const next = escaped ? -1 : text.slice(1).search(/[\\`*~[h]/);
      const length = escaped ? 2 : next < 0 ? text.length : next + 1;
      plain += escaped ? escaped[1] : text.slice(0, length);
      text = text.slice(length);
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+/;
const BORDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

export function blocks(text) {
  const lines = text.split(/\r?\n/), nodes = [];
  let at = 0;
  const startsBlock = (line) => !line.trim() || FENCE.test(line) || HEADING.test(line) || RULE.test(line)
    || ITEM.test(line) || /^ {0,3}>/.test(line);
  while (at < lines.length) {
    const line = lines[at];
    let found;
    if (!line.trim()) {
      at += 1;
    } else if ((found = FENCE.exec(line))) {
      const code = [];
      const isEnd = (other) => other.trim().startsWith(found[1]) && !other.trim().replaceAll(found[1][0], "");
      for (at += 1; at < lines.length && !isEnd(lines[at]); at += 1) code.push(lines[at]);
      at += 1;
      nodes.push(element("pre", "", element("code", "", code.join("\n"))));
    } else if ((found = HEADING.exec(line))) {
      nodes.push(element(`h${found[1].length}`, "", ...inline(found[2])));
      at += 1;
    } else if (RULE.test(line)) {
      nodes.push(element("hr", ""));
      at += 1;
    } else if (/^ {0,3}>/.test(line)) {
      const quoted = [];
      for (; at < lines.length && lines[at].trim(); at += 1) quoted.push(lines[at].replace(/^ {0,3}> ?/, ""));
      nodes.push(element("blockquote", "", ...blocks(quoted.join("\n"))));
    } else if ((found = ITEM.exec(line))) {
      const kind = /\d/.test(found[2]) ? "ol" : "ul", list = element(kind, "");
      if (kind === "ol") list.start = parseInt(found[2], 10);
      while (at < lines.length && (found = ITEM.exec(lines[at])) && (/\d/.test(found[2]) ? "ol" : "ul") === kind) {
        const width = found[0].length, item = [lines[at].slice(width)];
        const belongs = (other) => /^\s/.test(other) && other.search(/\S/) > found[1].length;
        for (at += 1; at < lines.length; at += 1) {
          if (!lines[at].trim() && !(at + 1 < lines.length && belongs(lines[at + 1]))) break;
          if (lines[at].trim() && !belongs(lines[at]) && startsBlock(lines[at])) break;
          item.push(lines[at].slice(Math.min(width, Math.max(lines[at].search(/\S/), 0))));
        }
        const inner = blocks(item.join("\n"));
        if (inner[0] instanceof HTMLParagraphElement) inner[0].replaceWith(...inner.splice(0, 1, ...inner[0].childNodes));
        list.append(element("li", "", ...inner));
        while (at + 1 < lines.length && !lines[at].trim() && ITEM.test(lines[at + 1])) at += 1;
      }
      nodes.push(list);
    } else if (line.includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && BORDER.test(lines[at + 1])) {
      const head = element("tr", "", ...cells(line).map((cell) => element("th", "", ...inline(cell))));
      const table = element("table", "", head);
      for (at += 2; at < lines.length && lines[at].includes("|"); at += 1) {
        table.append(element("tr", "", ...cells(lines[at]).map((cell) => element("td", "", ...inline(cell)))));
      }
      nodes.push(table);
    } else {
      const paragraph = [line];
      for (at += 1; at < lines.length && !startsBlock(lines[at]); at += 1) paragraph.push(lines[at]);
      nodes.push(element("p", "", ...inline(paragraph.join("\n"))));
    }
  }
  return nodes;
}
