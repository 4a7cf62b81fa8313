"""What a large set of bytes costs, measured by the operating system in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system has no such account of a process"
)

# not getrusage: its peak begins at the size of the process that started this one
CODE = """
import json, re
from pathlib import Path
import numpy as np
from isthmus import Autoencoder

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

X = np.random.default_rng(0).integers(0, 256, (60_000, 784), dtype=np.uint8)
Autoencoder(32, max_epochs=1, random_state=0).fit(X[:3000])  # loads whatever a fit needs
before = peak()
model = Autoencoder(32, max_epochs=1, random_state=0).fit(X)
fitted = peak()
codes = model.transform(X)
print(json.dumps({"before": before, "fit": fitted, "transform": peak(), "rows": len(codes)}))
"""


def test_a_set_of_60_000_images_is_never_copied_as_floats():
    ended = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    used = json.loads(ended.stdout)
    bytes_of_set = 60_000 * 784 / 2**20
    assert used["fit"] <= 900
    # one copy of the bytes in the order of training, and no copy as floats (four times as much)
    assert used["fit"] - used["before"] < 4 * bytes_of_set
    assert used["transform"] <= 900
    assert used["rows"] == 60_000
