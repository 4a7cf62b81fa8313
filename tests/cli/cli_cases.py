"""What the tests of the command line share."""

import json
from dataclasses import dataclass
from typing import Any

NAMES = ["a", "b", "c", "d", "e"]
FAST = ("--max-epochs", "2", "--hidden", "8", "-k", "2", "--seed", "0", "--quiet")


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON."""

        def refuse(name: str) -> None:
            raise ValueError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=refuse)

    @property
    def line(self) -> str:
        """The one line of a refusal."""
        assert self.out == ""
        assert self.err.startswith("isthmus: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        return self.err.strip()
