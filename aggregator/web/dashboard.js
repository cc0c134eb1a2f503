// The dashboard: asks for the status and the rounds once, follows the events,
// and says so when it cannot.
// SPDX-License-Identifier: Apache-2.0
"use strict";

const ROUNDS_KEPT = 2000;   // in charts
const ROUNDS_SHOWN = 12;    // in the table
const PAGE = 500;           // rounds asked for at a time
const PATIENCE_MS = 8000;   // for an answer
const SILENCE_MS = 20000;   // without an event: is the link still there?
const RETRY_MAX_MS = 15000;
const REFRESH_MS = 1000;    // at most so often

const ACTIVITIES = {
  gathering: "Waiting for clients",
  training: "Clients are training",
  surveying: "Clients are measuring",
  aggregating: "Updates are being added up",
  unmasking: "The sum is being unmasked",
  evaluating: "The new model is being measured",
  saving: "The new model is being saved",
  "handing out the last model": "Clients fetch the last model",
  finished: "All rounds are finished",
};
const SIGNS = { waiting: "\u25cb", training: "\u25d4", ready: "\u25d1", added: "\u25cf",
  declined: "\u2715", resting: "\u25c7", absent: "\u2013" };
const WORKS = { train: "train", measure: "measure the model", importance: "measure channels",
  ranges: "measure ranges" };

const state = { status: null, rounds: [], events: null, heardAt: 0, retryMs: 1000 };
const at = id => document.getElementById(id);

/* ---- numbers as text ---- */

const isNumber = value => typeof value === "number";
const percent = value => isNumber(value) ? `${(100 * value).toFixed(2)}\u202f%` : "\u2013";
const decimals = value => isNumber(value) ? value.toFixed(4) : "\u2013";
const count = value => isNumber(value) ? value.toLocaleString("en") : "\u2013";

function bytes(value) {
  if (!isNumber(value)) return "\u2013";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)}\u202f${units[unit]}`;
}

function seconds(value) {
  if (!isNumber(value)) return "\u2013";
  if (value < 1) return `${Math.round(1000 * value)}\u202fms`;
  if (value < 120) return `${value.toFixed(1)}\u202fs`;
  return `${(value / 60).toFixed(1)}\u202fmin`;
}

const ratio = times => isNumber(times) && times > 0 ? `1/${times.toFixed(times < 10 ? 1 : 0)}` : "\u2013";
const clock = time_s => new Date(1000 * time_s).toLocaleTimeString();

// The text is for people; data-value is what it was made of.
function show(id, value, text) {
  at(id).textContent = text;
  at(id).dataset.value = value ?? "";
}

/* ---- what is shown ---- */

function showNow({ session, clients, totals, model }) {
  const planned = session.rounds_planned;
  const isOver = session.activity === "finished";
  at("model").textContent = model;
  document.title = `${session.rounds_done}/${planned} \u2013 fedge`;
  show("activity", session.activity, ACTIVITIES[session.activity] ?? session.activity);
  const attempt = session.attempt > 1 ? `, attempt ${session.attempt}` : "";
  show("progress-text", session.rounds_done, isOver ? `${planned} rounds` :
    `round ${Math.min(session.rounds_done + 1, planned)} of ${planned}${attempt}`);
  at("progress").max = planned || 1;
  at("progress").value = session.rounds_done;
  for (const step of at("steps").children) {
    const isOn = step.dataset.step.split(" ").includes(session.activity);
    if (isOn) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }

  const isMeasured = isNumber(totals.accuracy);
  show("accuracy", totals.accuracy ?? totals.client_accuracy,
    percent(totals.accuracy ?? totals.client_accuracy));
  at("accuracy-note").textContent = isMeasured ?
    `best ${percent(totals.best_accuracy)} in round ${totals.best_round}` : "on clients' own data";
  show("loss", totals.loss ?? totals.client_loss, decimals(totals.loss ?? totals.client_loss));
  at("loss-note").textContent = isMeasured ? "on held-out rows" : "on clients' own data";
  show("connected", clients.connected, count(clients.connected));
  show("known", clients.known, `connected, ${count(clients.known)} known`);
  const hasLedger = totals.payload_up_per_client > 0;
  show("update-bytes", totals.payload_up_per_client, hasLedger ? bytes(totals.payload_up_per_client) : "\u2013");
  show("update-ratio", totals.ratio_up, `${ratio(totals.ratio_up)} of float32`);
  const last = state.rounds.at(-1);
  show("round-time", last?.took_s, seconds(last?.took_s));
  show("round-count", totals.round, `${count(totals.round)} finished`);
}

function showClients({ states, reasons, known, connected }) {
  const most = Math.max(1, ...states.map(item => item.count));
  if (at("states").children.length !== states.length) {
    at("states").replaceChildren(...states.map(({ state: name, meaning }) => {
      const item = element("li", {},
        element("span", { className: "sign", textContent: SIGNS[name] ?? "\u2022", ariaHidden: "true" }),
        element("span", { textContent: name }),
        element("span", { className: "track", ariaHidden: "true" }, element("div", { className: "fill" })),
        element("span", { className: "count" }),
        element("span", { className: "meaning", textContent: meaning }));
      item.dataset.state = name;
      return item;
    }));
  }
  states.forEach((item, i) => {
    const row = at("states").children[i];
    row.querySelector(".count").textContent = count(item.count);
    row.querySelector(".fill").style.width = `${100 * item.count / most}%`;
    row.dataset.value = item.count;
  });
  const unable = reasons.filter(item => item.count > 0)
    .map(item => `${item.count} ${item.reason.replaceAll("_", " ")}`);
  at("clients-reasons").textContent = unable.length > 0 ? `Cannot work now: ${unable.join(", ")}.` : "";
  at("clients-note").textContent = `${count(connected)} connected now, ` +
    `${count(known)} have taken part since the federation began.`;
}

function showFacts(id, facts) {
  at(id).replaceChildren(...facts.filter(Boolean).flatMap(([name, text, value]) => {
    const detail = element("dd", { textContent: text });
    detail.dataset.value = value ?? "";
    return [element("dt", { textContent: name }), detail];
  }));
}

function row(cells) {
  return element("tr", {}, ...cells.map(text => element("td", { textContent: text })));
}

function showModels({ models, totals, session }) {
  const names = { dense: "dense, float32", pruned: "pruned, float32", int8: "INT8" };
  at("models").replaceChildren(...models.map(({ form, params, bytes: size, accuracy }) => {
    const made = row([names[form] ?? form, count(params), bytes(size), percent(accuracy)]);
    made.dataset.value = JSON.stringify([form, params, size, accuracy]);
    return made;
  }));
  const last = state.rounds.at(-1);
  const guard = totals.guard_accepted + totals.guard_rolled_back;
  showFacts("model-facts", [
    ["published version", `round ${session.rounds_done}`, session.rounds_done],
    last && ["its name", `${last.model.slice(0, 16)}\u2026`, last.model],
    totals.sparsity > 0 && ["removed by pruning", percent(totals.sparsity), totals.sparsity],
    guard > 0 && ["smaller models kept, taken back",
      `${totals.guard_accepted}, ${totals.guard_rolled_back}`, guard],
  ]);
}

function showBytes({ totals }) {
  const each = (name, key) => totals[key] > 0 && [name,
    `${bytes(totals[key])}, ${ratio(totals.float32_per_client / totals[key])} of float32`, totals[key]];
  showFacts("bytes-facts", [
    ["in float32", bytes(totals.float32_per_client), totals.float32_per_client],
    each("as it is sent", "payload_up_per_client"),
    each("with all else on the wire", "wire_up_per_client"),
    each("download, one round behind", "download_1_behind"),
    each("download of the whole model", "download_full"),
    ["all rounds, up", `${bytes(totals.bytes_up)} (updates in float32: ${bytes(totals.float32_bytes_up)})`,
      totals.bytes_up],
    ["all rounds, down", bytes(totals.bytes_down), totals.bytes_down],
  ]);
}

function showSessions({ totals, session }) {
  const missing = totals.selected - totals.updates;
  showFacts("session-facts", [
    ["how updates are summed", totals.aggregation ?? "\u2013", totals.aggregation],
    ["updates in a sum", `${count(totals.updates)} of ${count(totals.selected)} asked for`, totals.updates],
    ["asked and not in the sum", count(missing), missing],
    ["sessions that came to nothing", count(totals.sessions_aborted), totals.sessions_aborted],
    ["updates refused since the start", count(session.updates_refused), session.updates_refused],
    ["bytes of sessions", bytes(totals.bytes_control), totals.bytes_control],
  ]);
}

function showRounds() {
  at("rounds").replaceChildren(...state.rounds.slice(-ROUNDS_SHOWN).reverse().map(round => {
    const made = row([count(round.round), clock(round.finished_s), WORKS[round.work] ?? "\u2013",
      percent(round.accuracy ?? round.client_accuracy), decimals(round.loss ?? round.client_loss),
      `${round.clients} of ${round.selected}`,
      round.payload_up_per_client > 0 ? bytes(round.payload_up_per_client) : "\u2013",
      bytes(round.bytes_up), bytes(round.bytes_down), seconds(round.took_s)]);
    made.dataset.value = JSON.stringify([round.round, round.accuracy, round.loss, round.clients]);
    return made;
  }));
}

function showProcess({ process, totals }) {
  const started = new Date(1000 * process.started_s).toLocaleString();
  show("process", process.version, `fedge ${process.version}, running since ${started}, ` +
    `${bytes(process.resident_bytes)} of memory, ${seconds(process.cpu_s)} of CPU, ` +
    `rounds took ${seconds(totals.took_s)} together`);
}

/* ---- charts ---- */

const ofTraining = key => round => round.work === "train" ? round[key] ?? null : null;
const ofAll = key => round => round[key] ?? null;
const positive = key => round => round.work === "train" && round[key] > 0 ? round[key] : null;

function makeCharts() {
  const percentOf = value => `${Math.round(1000 * value) / 10}\u202f%`;
  const short = value => String(Math.round(1e4 * value) / 1e4);
  return [
    new Chart(at("chart-accuracy"), { name: "Accuracy", text: percentOf, range: [0, 1], lines: [
      { label: "held-out rows", look: "first", at: ofAll("accuracy") },
      { label: "clients, while training", look: "second", at: ofTraining("client_accuracy") }] }),
    new Chart(at("chart-loss"), { name: "Loss", text: short, lines: [
      { label: "held-out rows", look: "first", at: ofAll("loss") },
      { label: "clients, while training", look: "second", at: ofTraining("client_loss") }] }),
    new Chart(at("chart-bytes"), { name: "Bytes of an update", text: bytes, isLog: true, lines: [
      { label: "as it is sent", look: "first", at: positive("payload_up_per_client") },
      { label: "in float32", look: "second",
        at: () => state.status?.totals.float32_per_client || null }] }),
    new Chart(at("chart-sessions"), { name: "Clients of a round", text: short, lines: [
      { label: "in the sum", look: "first", at: ofAll("clients") },
      { label: "asked", look: "second", at: ofAll("selected") }] }),
  ];
}

/* ---- drawing, at most once a frame ---- */

let charts = null, isDrawing = false, hasNewRounds = false;

function draw() {
  if (isDrawing || !state.status) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const { status } = state;
    showNow(status);
    showClients(status.clients);
    showModels(status);
    showBytes(status);
    showSessions(status);
    showProcess(status);
    if (!hasNewRounds && charts) return;
    hasNewRounds = false;
    charts ??= makeCharts();
    showRounds();
    for (const chart of charts) chart.update(state.rounds);
  });
}

/* ---- the aggregator ---- */

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function keepRounds(rounds) {
  const last = state.rounds.at(-1)?.round ?? 0;
  const added = rounds.filter(round => round.round > last);
  if (added.length === 0) return;
  state.rounds = state.rounds.concat(added).slice(-ROUNDS_KEPT);
  hasNewRounds = true;
}

async function catchUp() {
  state.status = await ask("/api/v1/status");
  const done = state.status.session.rounds_done;
  // Another state folder: what we knew was of another federation.
  if ((state.rounds.at(-1)?.round ?? 0) > done) state.rounds = [];
  for (;;) {
    const after = Math.max(state.rounds.at(-1)?.round ?? 0, done - ROUNDS_KEPT);
    if (after >= done) break;
    const { rounds } = await ask(`/api/v1/rounds?after=${after}&limit=${PAGE}`);
    if (rounds.length === 0) break;
    keepRounds(rounds);
  }
}

let refreshTimer = 0;

// Totals follow the rounds; a busy federation does not make them a flood.
function refreshSoon() {
  refreshTimer ||= setTimeout(async () => {
    refreshTimer = 0;
    try {
      state.status = await ask("/api/v1/status");
      draw();
    } catch {
      lose();
    }
  }, REFRESH_MS);
}

function hear(events, kind, take) {
  events.addEventListener(kind, event => {
    state.heardAt = performance.now();
    take(JSON.parse(event.data));
    draw();
  });
}

function follow() {
  const after = state.rounds.at(-1)?.round ?? 0;
  const events = new EventSource(`/api/v1/events?after=${after}`);
  state.events = events;
  state.heardAt = performance.now();
  events.onopen = () => {
    state.retryMs = 1000;
    showLink("live", "live");
  };
  events.onerror = lose;
  hear(events, "clients", clients => { state.status.clients = clients; });
  hear(events, "session", session => { state.status.session = session; });
  hear(events, "round", round => {
    keepRounds([round]);
    refreshSoon();
  });
}

/* ---- the link ---- */

let retryTimer = 0, lostAt = null;

function showLink(name, text) {
  const isLost = name === "lost";
  if (!isLost) lostAt = null;
  at("link").dataset.state = name;
  at("link-text").textContent = text;
  at("retry").hidden = !isLost;
  document.body.classList.toggle("is-stale", isLost);
}

async function connect() {
  clearTimeout(retryTimer);
  retryTimer = 0;
  try {
    await catchUp();
    hasNewRounds = true;
    draw();
    follow();
  } catch {
    lose();
  }
}

function lose() {
  state.events?.close();
  state.events = null;
  if (retryTimer) return;
  retryTimer = setTimeout(connect, state.retryMs);
  state.retryMs = Math.min(2 * state.retryMs, RETRY_MAX_MS);
  lostAt ??= new Date();
  showLink("lost", `connection lost, figures are of ${lostAt.toLocaleTimeString()}; trying again`);
}

// A cable that was pulled tells nobody.
setInterval(() => {
  if (state.events && performance.now() - state.heardAt > SILENCE_MS) {
    state.heardAt = performance.now();
    refreshSoon();
  }
}, 5000);

at("retry").addEventListener("click", () => {
  state.retryMs = 1000;
  connect();
});
connect();
