// The page: the form on the one hand, the answer on the other; asks again whenever the form changes.

import * as answer from "./answer.js";
import * as ask from "./question.js";
import { BudgetSlider, VolumeSlider, number, written } from "./sliders.js";

const TYPED_MS = 450;
const CHOSEN_MS = 120;

const form = document.querySelector(".question");
const yamlBox = document.getElementById("f-yaml");
const volume = new VolumeSlider(form.querySelector('[data-slider="volume"]'), document.getElementById("f-volume"), document.getElementById("f-unit"));
const budget = new BudgetSlider(form.querySelector('[data-slider="budget"]'), document.getElementById("f-budget"), form.querySelector(".inwords"));

let question = ask.empty();
let latest = null; // the last whole answer
let kept = null; // the one that it is compared with, and its question
let beside = ""; // that question, as the address says it
let waiting = 0;
let running = null;
let unit = "";
let turns = 0; // what is asked has changed so often; an older question that arrives late is dropped

// ---- asking

// Whether the question has changed since, for whoever has to wait before asking.
function newTurn() {
  clearTimeout(waiting);
  const mine = (turns += 1);
  return () => mine !== turns;
}

function soon(ms) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    remember();
    run();
  }, ms);
}

function remember() {
  const hash = `#${ask.address(question, beside)}`;
  if (hash !== location.hash) history.pushState(null, "", hash);
}

async function run() {
  clearTimeout(waiting);
  running?.abort();
  const mine = (running = new AbortController());
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  let doing = "Asking";
  const clock = setInterval(() => answer.status(`${doing} ... ${seconds()}`, "is-busy"), 100);
  answer.status("Asking ...", "is-busy");
  answer.old(true);
  let heard = "";
  let end = ["Stopped; the last answer stands below", "is-wrong"];
  try {
    const found = { question };
    for await (const step of answer.steps(question, mine.signal)) {
      if (mine !== running) return;
      doing = took(step, found) ?? doing;
      if (step.step === "answer") {
        end = [`Answered in ${seconds()}`, ""];
        heard = costs(step);
      }
      if (step.step === "faults") end = [mended(step.faults), "is-wrong"];
      if (step.step === "problem") end = [step.problem.title, "is-wrong"];
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      answer.problem({ title: "The server does not answer", detail: "Is milp-planner serve still running?" });
      end = ["The server does not answer", "is-wrong"];
    }
  } finally {
    clearInterval(clock);
    if (mine === running) {
      running = null;
      answer.status(...end);
      answer.tell(heard ? `${heard}. ${end[0]}` : end[0]);
    }
  }
}

const mended = (faults) => (faults.length === 1 ? "One thing is to be mended" : `${faults.length} things are to be mended`);

// Show one step; what is being done from here on.
function took(step, found) {
  switch (step.step) {
    case "waiting":
      return step.ahead ? `Waiting behind ${step.ahead} other${step.ahead > 1 ? "s" : ""}` : "Planning";
    case "question":
      found.yaml = step.yaml;
      if (document.activeElement !== yamlBox) yamlBox.value = step.yaml;
      return "Planning";
    case "plan":
      display(step);
      return "Solving other choices";
    case "choice":
      return `Solving other choices, ${step.known} known`;
    case "rest":
      return "Solving other budgets and traffic";
    case "answer":
      display(step);
      latest = { ...found, ...step, ...answer.summary() };
      answer.takes(step, take);
      budget.answered(step.usd);
      if (kept) answer.compare(kept, latest, { swap, end: endComparing });
      return "Done";
    case "faults":
      if (document.activeElement !== yamlBox) yamlBox.value = step.yaml;
      answer.faults(step.faults);
      return null;
    case "problem":
      answer.problem(step.problem);
      return null;
    default:
      return null;
  }
}

function display(step) {
  answer.faults([]);
  answer.sheet(step.html);
  answer.old(false);
  answer.glance(costs(step), `${step.seconds.toFixed(1)} s`);
  document.title = `${step.headline} - milp-planner`;
}

const costs = ({ usd, headline }) => (usd == null ? "No plan" : `${headline} per month`);

// ---- the form

function put(next) {
  question = next;
  ask.show(question);
  unit = document.getElementById("f-unit").value;
  volume.anchor();
  budget.anchor();
}

function become(next) {
  newTurn();
  put(next);
  remember();
  run();
}

function changed(ms) {
  turns += 1;
  question = ask.read(question);
  ask.arrange(question);
  soon(ms);
}

form.addEventListener("input", (event) => {
  const input = event.target;
  if (input === yamlBox || input.type === "file") return;
  if (input.classList.contains("find")) return ask.search(input);
  if (input.dataset.slider === "volume") volume.moved();
  else if (input.dataset.slider === "budget") budget.moved();
  else if (input.id === "f-volume") volume.anchor();
  else if (input.id === "f-budget") budget.anchor();
  const several = input.closest("[data-several]");
  if (several) ask.summarize(several.dataset.several);
  if (input.name?.startsWith("bench-")) setBenchmark(input);
  if (input.id === "f-unit" || input.id === "f-pattern") convert();
  changed(input.type === "text" ? TYPED_MS : CHOSEN_MS);
});

// Enter asks at once. A form of several fields and no button of its own is not submitted by it.
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches('input[type="text"]')) changed(0);
});
form.addEventListener("submit", (event) => event.preventDefault());

form.addEventListener("change", async (event) => {
  const [file] = event.target.files ?? [];
  if (!file) return;
  const isTrace = event.target.id === "f-trace-file";
  try {
    const key = await ask.upload(file);
    if (isTrace) question = { ...question, uploads: { [file.name]: key } };
    else question = { ...question, benchmarks: [...question.benchmarks, { file: file.name, upload: key, llm: question.fields.llm }] };
    changed(0);
  } catch (error) {
    answer.faults([{ field: isTrace ? "trace" : "benchmark", message: error.message, hint: "" }]);
  }
  event.target.value = "";
});

// Tokens a month are thirty times those of a day; hours are of a day's tokens.
function convert() {
  const select = document.getElementById("f-unit");
  const field = document.getElementById("f-volume");
  if (document.getElementById("f-pattern").value === "by_hour" && select.value === "tokens_per_month") select.value = "tokens_per_day";
  const factor = { "tokens_per_day tokens_per_month": 30, "tokens_per_month tokens_per_day": 1 / 30 }[`${unit} ${select.value}`];
  if (factor && number(field.value) > 0) field.value = written(number(field.value) * factor, 6);
  else if (unit !== select.value) field.value = "";
  if (select.value === "users" && !document.getElementById("f-tokens_per_s").value) document.getElementById("f-tokens_per_s").value = "20";
  if (select.value !== "trace") question = { ...question, uploads: {} };
  unit = select.value;
  volume.anchor();
}

function setBenchmark(input) {
  const name = input.name.slice("bench-".length);
  const value = name === "tensor_parallel" ? Number(input.value) || null : input.value.trim() || null;
  question = { ...question, benchmarks: question.benchmarks.map((one) => ({ ...one, [name]: value })) };
}

// ---- taking, keeping, sharing

function take(change, name) {
  if (change.yaml !== undefined) return begin(change.yaml);
  become({ ...question, fields: { ...question.fields, ...change.fields } });
  toast(`The question now says: ${name}`);
  window.scrollTo({ top: 0 });
}

async function begin(yaml) {
  const isLate = newTurn();
  if (!running) answer.status("Reading the file ...");
  try {
    const found = await ask.fromFile(yaml, { ...ask.empty(), uploads: question.uploads, benchmarks: question.benchmarks });
    if (isLate()) return;
    become(found);
  } catch (error) {
    if (isLate()) return;
    running?.abort(); // its answer would take away what is said here
    running = null;
    answer.old(true);
    const found = error.problem?.faults ?? [{ message: error.message, hint: "" }];
    answer.status(mended(found), "is-wrong");
    answer.faults(found.map((fault) => ({ ...fault, field: "yaml", message: [fault.path, fault.message].filter(Boolean).join(": ") })));
  }
}

function startComparing() {
  if (!latest) return;
  kept = latest;
  beside = ask.address(kept.question);
  answer.compare(kept, latest, { swap, end: endComparing });
  remember();
  toast("Kept. Change the question: the new answer stands beside it");
  window.scrollTo({ top: 0 });
}

function endComparing() {
  kept = null;
  beside = "";
  answer.compare(null);
  remember();
}

function swap() {
  const back = kept;
  kept = latest;
  beside = ask.address(kept.question);
  become(back.question);
}

let toasting = 0;
function toast(text) {
  const box = document.querySelector(".toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toasting);
  toasting = setTimeout(() => (box.hidden = true), 3500);
}

async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy"); // where the address is not a secure one there is no other way
    area.remove();
  }
  toast(said);
}

const ACTIONS = {
  compare: startComparing,
  link: () => (remember(), copy(location.href, "The link is copied")),
  yaml: () => copy(yamlBox.value, "The YAML is copied: save it as problem.yaml, and milp-planner solve it"),
  stop: () => running?.abort(),
  "take-yaml": () => begin(yamlBox.value),
  "begin-anew": () => become({ ...ask.empty(), fields: { ...first.fields } }),
};

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do], [data-file], [data-remove]");
  const menu = document.querySelector(".menu");
  if (!event.target.closest(".menu summary")) menu.open = false;
  if (!target) return;
  if (target.dataset.do) ACTIONS[target.dataset.do]();
  if (target.dataset.file) {
    if (latest) answer.keep(target.dataset.file, latest);
    else toast("There is no answer yet");
  }
  if (target.dataset.remove) {
    question = { ...question, benchmarks: question.benchmarks.filter((one) => one.file !== target.dataset.remove) };
    document.getElementById("f-benchmark").focus();
    changed(0);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll(".menu[open], .several[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// What the answer costs stands at the foot of a narrow screen, while the answer is out of sight.
new IntersectionObserver(([seen]) => document.body.classList.toggle("sees-answer", seen.isIntersecting), { rootMargin: "0px 0px -120px" }).observe(document.querySelector(".sheet"));

// ---- the address

const first = JSON.parse(document.body.dataset.first);

async function arrive() {
  const isLate = newTurn();
  const text = location.hash.slice(1);
  if (!text) {
    const found = first.yaml ? await ask.fromFile(first.yaml) : { ...ask.empty(), fields: { ...first.fields } };
    if (isLate()) return;
    put(found);
    history.replaceState(null, "", `#${ask.address(question)}`);
  } else {
    const found = await ask.fromAddress(text);
    if (isLate()) return;
    if (found.beside !== beside || (beside && !kept)) await keptFrom(found.beside, isLate);
    if (isLate()) return;
    put(found.question);
  }
  run();
}

// The answer that a shared link sets this one beside.
async function keptFrom(address, isLate) {
  beside = address;
  kept = null;
  if (!address) return answer.compare(null);
  const { question: other } = await ask.fromAddress(address);
  if (isLate()) return;
  put(other);
  await run();
  if (!isLate()) kept = latest;
}

addEventListener("popstate", arrive);
arrive().finally(() => (form.inert = false)); // what is typed before would be taken for a question of its own
