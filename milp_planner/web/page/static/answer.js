// The answer: asked for, shown as it grows, kept as files, set beside another one.

import { post, sent } from "./question.js";

const place = document.querySelector(".reply");
const find = (selector) => place.querySelector(selector);
const TYPES = { report: ["html", "text/html"], csv: ["csv", "text/csv"], json: ["json", "application/json"], sheet: ["sheet.json", "application/json"], yaml: ["yaml", "application/yaml"] };

// Every step of an answer, as the server knows it.
export async function* steps(question, signal) {
  const reply = await fetch("/page/answer", { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent(question)) });
  if (!reply.ok) {
    yield { step: "problem", problem: await reply.json() };
    return;
  }
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// ---- status

export function status(text, kind = "") {
  find(".status .said").textContent = text;
  find(".status").className = `status ${kind}`;
  const stop = find('[data-do="stop"]');
  const wasHere = stop === document.activeElement;
  stop.hidden = kind !== "is-busy";
  if (stop.hidden && wasHere) place.focus({ preventScroll: true });
}

// For those who hear the page: once a question has ended, not while it ticks.
export function tell(text) {
  find(".told").textContent = text;
}

export function old(is) {
  place.classList.toggle("is-old", is);
}

export function glance(headline, said) {
  const link = document.querySelector(".glance");
  const small = document.createElement("small");
  small.textContent = said;
  link.replaceChildren(headline, small);
  link.hidden = false;
}

// ---- the sheet

export function sheet(html) {
  const isHere = find(".sheet").contains(document.activeElement);
  find(".sheet").innerHTML = html; // made by the server's templates, which escape every name
  const main = find(".sheet main");
  const part = document.createElement("article");
  part.className = main.className;
  part.append(...main.childNodes);
  main.replaceWith(part);
  if (isHere) focusOn(find(".sheet h1")); // what had the focus is gone
}

function focusOn(part) {
  part.tabIndex = -1;
  part.focus({ preventScroll: true });
}

// A button beside whatever can be made the question; why not, beside what cannot.
export function takes({ takes: choices, levers, untaken }, take) {
  offer(".choices, .changes", choices, take);
  offer(".levers", levers, take);
  for (const head of heads(".choices")) {
    const why = untaken[head.textContent.trim()];
    if (why) cellOf(head).append(Object.assign(made("small", `cannot be taken: ${why}`), { className: "untaken" }));
  }
}

const heads = (tables) => place.querySelectorAll(`.sheet :is(${tables}) tbody th`);

function offer(tables, rows, take) {
  for (const head of heads(tables)) {
    const name = head.textContent.trim();
    if (!rows[name]) continue;
    const offered = button("Take", () => take(rows[name], name));
    offered.className = "take";
    offered.setAttribute("aria-label", `Take as the question: ${name}`);
    cellOf(head).prepend(offered);
  }
}

const cellOf = (head) => head.parentElement.lastElementChild;

// ---- faults

export function faults(found) {
  for (const input of document.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  for (const said of document.querySelectorAll("[data-fault]")) said.textContent = "";
  const others = [];
  for (const fault of found) {
    const slot = document.querySelector(`[data-fault="${slotOf(fault.field)}"]`);
    if (!slot) {
      others.push(fault);
      continue;
    }
    slot.textContent = [slot.textContent, words(fault)].filter(Boolean).join("\n");
    const field = slot.closest(".field") ?? slot.closest("fieldset");
    const input = document.getElementById(`f-${slot.dataset.fault}`) ?? field?.querySelector("input, select, summary");
    input?.setAttribute("aria-invalid", "true");
    for (let around = slot.closest(".field")?.parentElement.closest("details"); around; around = null) around.open = true;
  }
  list("Not asked: to be mended first", others);
}

const slotOf = (field) => (["tokens_per_day", "tokens_per_month", "requests_per_second", "users"].includes(field) ? "volume" : field || "none");
const words = ({ line, message, hint }) => (line ? `line ${line}: ` : "") + message + (hint ? ` (${hint})` : "");

function list(title, found) {
  const box = find(".faults");
  if (!found.length) {
    box.replaceChildren();
    return;
  }
  const head = document.createElement("h2");
  head.textContent = title;
  const items = document.createElement("ul");
  items.append(...found.map((fault) => Object.assign(document.createElement("li"), { textContent: words(fault) })));
  box.replaceChildren(head, items);
}

export function problem({ title, detail, faults: found }) {
  list(title, found?.length ? found : [{ message: detail }]);
}

// ---- files

export function keep(kind, answer) {
  const text = kind === "yaml" ? answer.yaml : answer.files[kind];
  const [ending, type] = TYPES[kind];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${answer.name ?? "problem"}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ---- two answers side by side

export async function compare(earlier, now, on) {
  const box = find(".compared");
  const had = box.contains(document.activeElement) && document.activeElement.textContent;
  box.hidden = !earlier;
  if (!earlier) {
    if (had) document.querySelector('[data-do="compare"]').focus();
    return;
  }
  const top = document.createElement("div");
  top.className = "top";
  top.append(made("h2", "Two questions side by side"), button("Change places", on.swap), button("End", on.end));
  const two = document.createElement("div");
  two.className = "two";
  two.append(card("Kept", earlier, now, ""), card("Now", now, earlier, " now"));
  box.replaceChildren(top, two);
  if (had) [...top.children].find((part) => part.textContent === had)?.focus();
  if (earlier.usd == null || now?.usd == null) return;
  const { last, text } = await post("/page/compare", { old: JSON.parse(earlier.files.sheet), new: JSON.parse(now.files.sheet) });
  if (!box.contains(two)) return; // another one has come meanwhile
  const delta = made("p", last);
  delta.className = "delta";
  const details = document.createElement("details");
  details.append(made("summary", "What is bought otherwise"), made("pre", text));
  box.append(delta, details);
}

function card(title, answer, other, kind) {
  const box = document.createElement("section");
  box.className = `card${kind}`;
  const amount = made("p", answer?.headline ?? "...");
  amount.className = "amount";
  if (answer?.usd != null) amount.append(made("small", " per month"));
  const asks = document.createElement("ul");
  asks.className = "asks";
  for (const said of answer?.asked ?? []) {
    const item = document.createElement("li");
    item.append(other?.asked?.includes(said) === false ? made("mark", said) : said);
    asks.append(item);
  }
  box.append(made("h3", title), amount, made("p", answer?.fleet ?? ""), asks);
  return box;
}

function made(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

function button(text, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", action);
  return made;
}

// What a card says of the sheet on the page.
export function summary() {
  const asked = [...place.querySelectorAll(".sheet .asked li")].map((item) => item.textContent.trim());
  return { asked, fleet: find(".sheet .answer p")?.textContent.trim() ?? "" };
}
