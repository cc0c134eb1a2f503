"""Tables in the documentation, and what they were measured with.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import subprocess


def put(path, marker, text):
    """Replaces what stands between two of these markers."""
    with open(path, encoding="utf-8") as page:
        old = page.read()
    new, count = re.subn(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)",
                         lambda m: m.group(1) + text + m.group(2), old,
                         flags=re.S)
    if count != 1:
        raise SystemExit(f"{path}: {count} places between <!-- {marker} --> "
                         f"and <!-- /{marker} -->, not 1")
    with open(path, "w", encoding="utf-8") as page:
        page.write(new)


def stamp():
    """Machine, load and versions, as with every figure."""
    cpu = next((line.split(":")[1].strip()
                for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), "unknown CPU")
    version = subprocess.run(["git", "describe", "--always", "--dirty"],
                             capture_output=True, text=True,
                             check=False).stdout.strip()
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{cpu}, {os.cpu_count()} cores, load {load}; fedge {version}"
