// The question: what the form says, what the address says, and one as the other.

export const VOLUMES = ["tokens_per_day", "tokens_per_month", "requests_per_second", "users"];
const TOKENS = ["tokens_per_day", "tokens_per_month"];
const SEVERAL = ["region", "providers", "gpus", "precision", "billing"];
const BY_HOUR = "by_hour";

const form = document.querySelector(".question");
const find = (selector) => form.querySelector(selector);
const all = (selector) => [...form.querySelectorAll(selector)];
const named = () => all("[name]").filter((input) => !input.name.startsWith("bench-"));

export function empty() {
  return { fields: {}, yaml: "", shown: null, uploads: {}, benchmarks: [] };
}

// ---- the form

export function read(before) {
  const fields = {};
  for (const input of named()) fields[input.name] = input.value.trim();
  for (const name of SEVERAL) fields[name] = chosen(name).join(", ");
  const unit = find("#f-unit").value;
  for (const name of [...VOLUMES, "trace"]) fields[name] = "";
  fields[unit] = unit === "trace" ? Object.keys(before.uploads)[0] ?? "" : find("#f-volume").value.trim();
  const byHour = fields.pattern === BY_HOUR && TOKENS.includes(unit);
  if (byHour || !TOKENS.includes(unit)) fields.pattern = "";
  if (!byHour) fields.hours = "";
  if (unit !== "users") fields.tokens_per_s = "";
  return { ...before, fields: { ...before.fields, ...fields } };
}

export function show(question) {
  const { fields, shown } = question;
  const locked = shown?.locked ?? [];
  for (const input of named()) {
    const text = fields[input.name] ?? "";
    if (input.tagName === "SELECT" && ![...input.options].some((option) => option.value === text)) input.add(new Option(text || "as usual", text));
    input.value = text;
    lock(input, locked.includes(input.name));
  }
  const unit = fields.trace ? "trace" : VOLUMES.find((name) => fields[name]) ?? "tokens_per_day";
  find("#f-unit").value = unit;
  find("#f-volume").value = fields[unit] ?? "";
  if (fields.hours) find("#f-pattern").value = BY_HOUR;
  for (const name of SEVERAL) tick(name, list(fields[name]), locked.includes(name));
  find(".begun").hidden = !question.yaml;
  const workloads = shown?.workloads ?? 1;
  find(".begun").textContent =
    "Begun with a file." + (workloads > 1 ? ` The form is of the first of its ${workloads} workloads.` : "");
  arrange(question);
}

function lock(input, is) {
  input.disabled = is;
  input.dataset.placeholder ??= input.placeholder ?? "";
  if ("placeholder" in input) input.placeholder = is ? "as in the file" : input.dataset.placeholder;
}

// What is shown of the form follows from what it says.
export function arrange(question) {
  const unit = find("#f-unit").value;
  const tokens = TOKENS.includes(unit);
  const byHour = tokens && find("#f-pattern").value === BY_HOUR;
  const parts = { trace: unit === "trace", users: unit === "users", tokens, by_hour: byHour, sized: unit !== "trace", benchmark: question.benchmarks.length > 0 };
  for (const part of all("[data-only]")) part.hidden = !parts[part.dataset.only];
  find("#f-volume").disabled = unit === "trace";
  find("#f-volume").placeholder = unit === "trace" ? "see below" : { requests_per_second: "6", users: "200" }[unit] ?? "5M";
  for (const part of all('[data-slider="volume"], [data-scale="volume"]')) part.hidden = unit === "trace";
  find(".chosen-file").textContent = Object.keys(question.uploads).join(", ");
  const kept = question.benchmarks.map(({ file }) => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = file;
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: "Remove" });
    button.dataset.remove = file;
    item.append(name, button);
    return item;
  });
  find(".kept").replaceChildren(...kept);
  drawHours();
}

function drawHours() {
  const loads = list(find("#f-hours").value.replace(/\s+/g, ",")).map(Number);
  const most = Math.max(...loads, 0);
  const bars = loads.map((load, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = most > 0 && load > 0 ? (30 * load) / most : 0;
    const width = 240 / loads.length;
    for (const [name, value] of Object.entries({ x: i * width, y: 32 - height, width: width * 0.8, height })) bar.setAttribute(name, value);
    return bar;
  });
  find(".hours").replaceChildren(...bars);
}

// ---- several of many

const list = (text) => (text ?? "").split(",").map((part) => part.trim()).filter(Boolean);
const boxes = (name) => all(`[data-several="${name}"] input[type="checkbox"]`);

function chosen(name) {
  const ticked = boxes(name).filter((box) => box.checked).map((box) => box.value);
  if (name !== "billing") return ticked;
  const usual = boxes(name).filter((box) => "usual" in box.dataset).map((box) => box.value);
  return ticked.length === usual.length && usual.every((value) => ticked.includes(value)) ? [] : ticked;
}

function tick(name, values, locked) {
  const holder = find(`[data-several="${name}"]`);
  const many = holder.querySelector(".many");
  const known = boxes(name).map((box) => box.value);
  for (const value of values.filter((v) => many && !known.includes(v))) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", value });
    label.append(box, ` ${value}`);
    many.prepend(label);
  }
  for (const box of boxes(name)) {
    box.checked = values.length ? values.includes(box.value) : name === "billing" && "usual" in box.dataset;
    box.disabled = locked;
  }
  summarize(name);
}

export function summarize(name) {
  const holder = find(`[data-several="${name}"]`);
  const said = holder.querySelector(".chosen");
  if (said) said.textContent = chosen(name).join(", ") || holder.dataset.any;
}

export function search(input) {
  const wanted = input.value.trim().toLowerCase();
  for (const label of input.parentElement.querySelectorAll(".many label")) {
    label.hidden = !label.textContent.toLowerCase().includes(wanted);
  }
}

// ---- what is sent, and the address

export function sent(question) {
  const { fields, yaml, shown, uploads, benchmarks } = question;
  const was = shown?.fields ?? {};
  const locked = shown?.locked ?? [];
  const said = Object.entries(fields).filter(([name, text]) => !locked.includes(name) && (yaml ? text !== (was[name] ?? "") : text !== ""));
  return { fields: Object.fromEntries(said), yaml, uploads, benchmarks };
}

export function address(question, beside = "") {
  const { fields, yaml, uploads, benchmarks } = sent(question);
  const said = new URLSearchParams(fields);
  if (yaml) said.set("yaml", yaml);
  if (Object.keys(uploads).length) said.set("uploads", JSON.stringify(uploads));
  if (benchmarks.length) said.set("benchmarks", JSON.stringify(benchmarks));
  if (beside) said.set("beside", beside);
  return said.toString();
}

export async function fromAddress(text) {
  const said = Object.fromEntries(new URLSearchParams(text));
  const { yaml = "", uploads, benchmarks, beside = "", ...fields } = said;
  const question = { ...empty(), uploads: parsed(uploads, {}), benchmarks: parsed(benchmarks, []) };
  const begun = yaml ? await fromFile(yaml, question) : question;
  return { question: { ...begun, fields: { ...begun.fields, ...fields } }, beside };
}

function parsed(text, otherwise) {
  try {
    return text ? JSON.parse(text) : otherwise;
  } catch {
    return otherwise;
  }
}

// A question that begins with a file; raises what is wrong with the file.
export async function fromFile(yaml, before = empty()) {
  const reply = await post("/page/fields", { yaml });
  return { ...before, yaml, shown: reply, fields: { ...reply.fields } };
}

export async function post(path, data) {
  const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
  const found = await reply.json();
  if (!reply.ok) throw Object.assign(new Error(found.detail), { problem: found });
  return found;
}

export async function upload(file) {
  const reply = await fetch("/api/files", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
  const found = await reply.json();
  if (!reply.ok) throw Object.assign(new Error(found.detail), { problem: found });
  return found.upload;
}
