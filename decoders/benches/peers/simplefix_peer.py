"""simplefix (Python) on the same FIX messages: cut before, all fields copied.

simplefix_peer.py STREAM NAME OURS_NS     prints one line of the table
"""

import sys
import time
from importlib.metadata import version

import simplefix


def read(messages):
    parser = simplefix.FixParser()
    found = 0
    for text in messages:
        parser.append_buffer(text)
        found += parser.get_message().get(49) is not None
    return found


def cut(stream):
    at, messages = 0, []
    while at < len(stream):
        end = stream.index(b"\x0110=", at) + 8
        messages.append(stream[at:end])
        at = end
    return messages


path, name, ours = sys.argv[1:]
with open(path, "rb") as file:
    messages = cut(file.read())
count = len(messages)
times = []
for _ in range(5):
    begin = time.perf_counter_ns()
    assert read(messages) == count
    times.append((time.perf_counter_ns() - begin) / count)
times.sort()
best, median = times[0], times[len(times) // 2]
who = f"simplefix {version('simplefix')}, Python (MIT)"
print(f"| {name} | {who} | cut before, copies of all fields | {best:.0f} | {median:.0f} | {best / float(ours):.0f} |")
