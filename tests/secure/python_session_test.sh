#!/bin/sh
# A second implementation of sessions and updates, in Python and written from
# docs/format.md alone: against the vectors of the RFCs, against the document's
# examples, with itself, and with the C library as clients and as aggregator.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/../.."
python=tests/secure/python
for module in primitives enrolment sketch update tally; do
    python3 -B $python/$module.py
done
python3 -B $python/examples.py docs/format.md
python3 -B $python/session.py "${B:-build/release}/tests/secure/session_peer"
