"""Peak memory of a fresh process, seen from outside it.

The kernel's high-water mark (``VmHWM``) is reset by the run that is being measured, so a parent
process reads it every two milliseconds and keeps the highest.
"""

from __future__ import annotations

__all__ = ["MEASURE"]

MEASURE = '''
import json, os, subprocess, sys, time

TAIL = """
import json
memory = result.memory
print(json.dumps({
    "measured_bytes": memory.measured_bytes,
    "projected_bytes": memory.projected_bytes,
    "reserved_bytes": memory.reserved_bytes,
    "limit_bytes": memory.limit_bytes,
}))
"""

def marks(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0

child = subprocess.Popen([sys.executable, "-c", sys.argv[1] + TAIL], stdout=subprocess.PIPE)
peak = 0
while child.poll() is None:
    try:
        peak = max(peak, marks(child.pid))
    except OSError:
        pass
    time.sleep(0.002)
out = child.stdout.read().decode()
if child.returncode:
    sys.exit(child.returncode)
found = json.loads(out.strip().splitlines()[-1])
found["peak_bytes"] = peak
print(json.dumps(found))
'''
"""Program text: runs its first argument in a child and prints what was measured as JSON."""
