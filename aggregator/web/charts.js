// Line charts over rounds: uPlot draws, this file gives it the page's colours,
// a key that tells lines apart without colour, and the keyboard.
// SPDX-License-Identifier: Apache-2.0
"use strict";

const HEIGHT = 224;
const DASHES = { first: [], second: [6, 4] };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A logarithmic axis has a line for each power of ten, and none between.
const powersOfTen = (_, splits) => splits.map(at => Number.isInteger(Math.log10(at)) ? at : null);

// A piece of the line itself, for the key.
function sample(look) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [key, value] of [["width", 26], ["height", 4], ["aria-hidden", "true"]]) {
    svg.setAttribute(key, value);
  }
  for (const [key, value] of [["x2", 26], ["y1", 2], ["y2", 2], ["stroke-width", 2.5],
    ["stroke-dasharray", DASHES[look].join(" ")], ["class", look]]) {
    line.setAttribute(key, value);
  }
  svg.append(line);
  return svg;
}

/*
 * spec: name, lines [{label, look, at: round => number or null}], text: number =>
 * string, range: [low, high] or null, isLog.
 */
class Chart {
  constructor(place, spec) {
    this.place = place;
    this.spec = spec;
    this.plot = null;
    this.rounds = [];
    this.canvas = element("div", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.readout = element("p", { className: "readout quiet" });
    this.readout.setAttribute("aria-live", "polite");
    const key = element("p", { className: "key" }, ...spec.lines.map(line =>
      element("span", {}, sample(line.look), ` ${line.label}`)));
    place.append(this.canvas, key, this.readout);
    this.canvas.addEventListener("keydown", event => this.onKey(event));
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  data() {
    return [this.rounds.map(round => round.round),
      ...this.spec.lines.map(line => this.rounds.map(line.at))];
  }

  options() {
    const axis = {
      stroke: colour("quiet"),
      grid: { stroke: colour("grid"), width: 1 },
      ticks: { stroke: colour("grid"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const { lines, text, range, isLog } = this.spec;
    return {
      width: this.place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false },
      scales: {
        x: { time: false },
        y: { distr: isLog ? 3 : 1, range: range && (() => range) },
      },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000] },
        { ...axis, size: 64, grid: { ...axis.grid, ...isLog && { filter: powersOfTen } }, values: (_, ticks) => ticks.map(tick => tick === null ? "" : text(tick)) },
      ],
      series: [{}, ...lines.map(line => ({
        stroke: colour(line.look),
        dash: DASHES[line.look],
        width: 2,
        spanGaps: true,
        points: { show: this.rounds.length < 3, size: 6 },
      }))],
      hooks: { setCursor: [plot => this.tell(plot.cursor.idx)] },
    };
  }

  // What is under the cursor, in words; without one, the last round.
  tell(index) {
    const round = this.rounds[index ?? this.rounds.length - 1];
    if (!round) return;
    const values = this.spec.lines.map(line => {
      const value = line.at(round);
      return `${line.label} ${value === null ? "\u2013" : this.spec.text(value)}`;
    });
    const text = `Round ${round.round}: ${values.join(", ")}`;
    if (this.readout.textContent !== text) this.readout.textContent = text;
    this.canvas.setAttribute("aria-label", `${this.spec.name} over ${this.rounds.length}` +
      ` rounds. ${text}. Arrow keys move through the rounds.`);
  }

  onKey(event) {
    const last = this.rounds.length - 1;
    const at = this.plot?.cursor.idx ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last,
      PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(last, to));
    this.plot.setCursor({ left: this.plot.valToPos(this.rounds[index].round, "x"), top: 0 });
  }

  resize() {
    const width = this.place.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    this.update(this.rounds);
  }

  update(rounds) {
    // Points stand in for lines as long as there are none.
    const isOther = (rounds.length < 3) !== (this.rounds.length < 3);
    this.rounds = rounds;
    if (rounds.length === 0) {
      this.readout.textContent = "No round is finished yet.";
      return;
    }
    if (this.plot && isOther) {
      this.plot.destroy();
      this.plot = null;
    }
    if (this.plot) {
      this.plot.setData(this.data());
    } else {
      this.plot = new uPlot(this.options(), this.data(), this.canvas);
    }
    this.tell(this.plot.cursor.idx);
  }
}
