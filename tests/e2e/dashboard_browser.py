#!/usr/bin/env python3
"""The dashboard in a browser: dashboard_browser.py URL PID FOLDER

URL: of an aggregator that has finished some rounds and waits for clients; PID:
its process, to be stopped and continued. Compares what the page shows with what
the API says; looks at it in light, dark and on a telephone, with pictures in
FOLDER; uses the keyboard; cuts the link. Fails when the browser complains.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import sys
import time
import urllib.request

from browser import Browser

URL, PID, FOLDER = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def ask(path):
    with urllib.request.urlopen(URL + path, timeout=10) as answer:
        return json.load(answer)


def same(what, shown, said):
    assert shown == said, f"{what}: the page shows {shown}, the API says {said}"


def value(browser, name):
    return browser.run(f"document.getElementById('{name}').dataset.value")


def compare(browser):
    status = ask("/api/v1/status")
    last = status["session"]["rounds_done"]
    rounds = ask(f"/api/v1/rounds?after={max(0, last - 12)}&limit=12")["rounds"]
    totals = status["totals"]
    for name, said in (("accuracy", totals["accuracy"]), ("loss", totals["loss"]),
                       ("connected", status["clients"]["connected"]),
                       ("known", status["clients"]["known"]),
                       ("update-bytes", totals["payload_up_per_client"]),
                       ("update-ratio", totals["ratio_up"]),
                       ("round-time", rounds[-1]["took_s"]),
                       ("round-count", totals["round"])):
        same(name, float(value(browser, name)), float(said))
    same("activity", value(browser, "activity"), status["session"]["activity"])
    rows = browser.run("[...document.querySelectorAll('#rounds tr')]"
                       ".map(row => JSON.parse(row.dataset.value))")
    same("rounds", rows, [[r["round"], r["accuracy"], r["loss"], r["clients"]]
                          for r in reversed(rounds)])
    states = browser.run("[...document.querySelectorAll('#states li')].map("
                         "row => [row.dataset.state, Number(row.dataset.value)])")
    same("clients", states, [[s["state"], s["count"]]
                             for s in status["clients"]["states"]])
    models = browser.run("[...document.querySelectorAll('#models tr')]"
                         ".map(row => JSON.parse(row.dataset.value))")
    same("models", models, [[m["form"], m["params"], m["bytes"], m["accuracy"]]
                            for m in status["models"]])
    facts = browser.run("[...document.querySelectorAll('.facts dd')]"
                        ".map(fact => fact.dataset.value)")
    for key in ("bytes_up", "bytes_down", "updates", "sessions_aborted",
                "bytes_control"):
        assert str(totals[key]) in facts, f"{key}: {totals[key]} not in {facts}"
    lines = browser.run("charts.map(chart => chart.data().map("
                        "line => line.at(-1)))")
    same("accuracy chart", lines[0], [last, rounds[-1]["accuracy"],
                                      rounds[-1]["client_accuracy"]])
    same("loss chart", lines[1], [last, rounds[-1]["loss"],
                                  rounds[-1]["client_loss"]])
    same("points", browser.run("charts[0].data()[0].length"), min(last, 2000))


def is_live(browser):
    browser.wait_for("document.getElementById('link').dataset.state === 'live'"
                     " && charts", "the page is live")


def use_keyboard(browser):
    """Every chart is reached by Tab, and arrows move through its rounds."""
    reached = set()
    for _ in range(12):
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.closest('.chart')?.id"
                                " ?? document.activeElement.className"))
    for name in ("skip", "chart-accuracy", "chart-loss", "chart-bytes",
                 "chart-sessions", "scroll"):
        assert name in reached, f"Tab does not reach {name}: {reached}"
    browser.run("charts[0].canvas.focus()")
    for key, round_number in (("Home", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        browser.press(key)
        browser.wait_for("charts[0].readout.textContent.startsWith("
                         f"'Round {round_number}:')", f"{key} in a chart")
    label = browser.run("charts[0].canvas.getAttribute('aria-label')")
    assert "Round 1: held-out rows" in label, label


def check_look(browser, name, width, scheme):
    browser.look(width, scheme)
    time.sleep(0.5)  # charts follow the width and the colours
    wide = browser.run("document.documentElement.scrollWidth")
    assert wide <= width, f"{name}: {wide} pixels wide on {width}"
    # Light text on dark, dark on light, by the luminance of both.
    ink, page = browser.run("['color', 'backgroundColor'].map(key => getComputed"
                            "Style(document.body)[key].match(/\\d+/g)"
                            ".reduce((sum, part) => sum + Number(part), 0))")
    assert (ink > page) == (scheme == "dark"), f"{name}: {ink} on {page}"
    browser.screenshot(os.path.join(FOLDER, f"dashboard-{name}.png"))


def cut_link(browser):
    """A server that has stopped answers nothing: the page says so."""
    os.kill(PID, signal.SIGSTOP)
    browser.run("state.events.close(); lose(); 0")
    browser.wait_for("document.getElementById('link').textContent.includes("
                     "'connection lost')", "the page tells of a lost link")
    assert browser.run("document.body.classList.contains('is-stale')")
    assert not browser.run("document.getElementById('retry').hidden")
    os.kill(PID, signal.SIGCONT)
    browser.run("document.getElementById('retry').click()")
    is_live(browser)
    assert not browser.run("document.body.classList.contains('is-stale')")


os.makedirs(FOLDER, exist_ok=True)
with Browser("chromium") as browser:
    browser.look(1200, "light")
    browser.open(URL + "/")
    is_live(browser)
    browser.wait_for("document.getElementById('activity').dataset.value",
                     "something is drawn")
    compare(browser)
    use_keyboard(browser)
    for look in (("light", 1200, "light"), ("dark", 1200, "dark"),
                 ("phone", 390, "light"), ("phone-dark", 320, "dark")):
        check_look(browser, *look)
    cut_link(browser)
    compare(browser)
    loaded = browser.run("performance.getEntriesByType('resource')"
                         ".map(entry => entry.name)")
    assert all(name.startswith(URL) for name in loaded), loaded
    assert not browser.complaints, "\n".join(browser.complaints)
size = 0
for path in ("/", "/dashboard.css", "/dashboard.js", "/charts.js", "/icon.svg",
             "/uplot.js", "/uplot.css"):
    with urllib.request.urlopen(URL + path, timeout=10) as answer:
        size += len(answer.read())
print(f"the page: {size} bytes, pictures in {FOLDER}")
