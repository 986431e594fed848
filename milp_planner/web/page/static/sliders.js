// Sliders beside two fields: each moves the number that stands in its field.

const SUFFIXES = { "": 1, k: 1e3, M: 1e6, B: 1e9, T: 1e12 };

export function number(text) {
  const found = /^\$?\s*([\d.,_]+)\s*([kKmMbBgGtT]?)$/.exec(text.trim());
  if (!found) return NaN;
  const letter = { g: "B", b: "B", m: "M", t: "T", k: "k" }[found[2].toLowerCase()] ?? "";
  return Number(found[1].replace(/[,_]/g, "")) * SUFFIXES[letter];
}

export function written(value, digits = 3) {
  const [suffix, unit] = Object.entries(SUFFIXES).findLast(([, size]) => value >= size) ?? ["", 1];
  return `${Number((value / unit).toPrecision(digits))}${suffix}`;
}

export class VolumeSlider {
  constructor(range, field, unit) {
    Object.assign(this, { range, field, unit, middle: NaN });
  }

  // The middle of the slider is what was typed.
  anchor() {
    this.middle = number(this.field.value);
    this.range.value = 0;
    this.range.disabled = !(this.middle > 0);
    this.tell();
  }

  moved() {
    this.field.value = Number(this.range.value) === 0 ? written(this.middle, 6) : written(this.middle * 10 ** (this.range.value / 100));
    this.tell();
  }

  tell() {
    const words = `${this.field.value} ${this.unit.selectedOptions[0].text}`;
    this.range.setAttribute("aria-valuetext", this.field.value ? words : "nothing yet");
  }
}

const NONE = 101;
const MOST = 3;

export class BudgetSlider {
  constructor(range, field, said) {
    Object.assign(this, { range, field, said, usd: NaN });
  }

  // A hundred steps lead to three times what the plan without a budget costs; one more is none.
  answered(usd) {
    if (usd > 0 && (!this.field.value.trim() || !(this.usd > 0))) this.usd = usd;
    this.range.disabled = !(this.usd > 0);
    this.anchor();
  }

  anchor() {
    const budget = number(this.field.value);
    this.range.value = budget > 0 && this.usd > 0 ? Math.min(100, (100 * budget) / (MOST * this.usd)) : NONE;
    this.tell();
  }

  moved() {
    const share = Number(this.range.value);
    this.field.value = share >= NONE ? "" : String(Number(Math.max(1, (MOST * this.usd * share) / 100).toPrecision(2)));
    this.tell();
  }

  tell() {
    this.said.textContent = this.words();
    this.range.setAttribute("aria-valuetext", this.words());
  }

  words() {
    const budget = number(this.field.value);
    if (!this.field.value.trim()) return "no budget";
    if (!(budget >= 0)) return "no number yet";
    const share = this.usd > 0 ? `, ${Math.round((100 * budget) / this.usd)} % of the plan` : "";
    return `$${budget.toLocaleString("en-US", { maximumFractionDigits: 2 })} a month${share}`;
  }
}
