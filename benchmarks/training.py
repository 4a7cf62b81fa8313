"""How fast Isthmus trains, beside a bare loop and its peers: same network, data, loss, steps.

    python benchmarks/training.py --peers .peers/bin/python --write-docs

Every contender trains in a process of its own, all of them in turn, and that several times. A
ratio is taken within a round, since a machine's speed drifts; medians over rounds are reported.
What is on the clock is said in `task` and `worker`; where a peer can't do the same, in its file.
Nothing else should run on the machine meanwhile: two threads that wait for each other beside a
third process are many times slower.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from problems import N_HELD_OUT, PROBLEMS, Problem
from task import Task

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "benchmarks.md"
PEERS = HERE.parent / ".peers" / "bin" / "python"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BATCH = 256

Record = dict[str, Any]
Rounds = list[dict[str, Record]]


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    Attributes:
        file: In `contenders`.
        variant: Handed to it.
        batch_size: Rows per step.
        is_peer: Whether it runs in the peers' environment.
        only_on: The problem that it is for; all if empty.
    """

    file: str
    variant: str = ""
    batch_size: int = BATCH
    is_peer: bool = False
    only_on: str = ""

    def is_for(self, problem: str) -> bool:
        """Whether it takes part in this problem."""
        return self.only_on in ("", problem)


CONTENDERS = {
    "Isthmus": Contender("isthmus", "auto"),
    "Isthmus float32": Contender("isthmus", "float32"),
    "bare bfloat16": Contender("bare", "bfloat16"),
    "bare float32": Contender("bare", "float32"),
    "pythae": Contender("pythae", is_peer=True),
    "Lightning": Contender("lightning", is_peer=True),
    "skorch": Contender("skorch", is_peer=True),
    "scikit-learn": Contender("scikit_learn", is_peer=True),
    "PyOD": Contender("pyod", is_peer=True),
    "PyOD standardising": Contender("pyod", "standardising", is_peer=True),
    "PyOD with its defaults": Contender("pyod", "defaults", is_peer=True),
    "Isthmus 1024": Contender("isthmus", "auto", 1024, only_on="pixels"),
    "bare bfloat16 1024": Contender("bare", "bfloat16", 1024, only_on="pixels"),
}


def call(python: str, script: str, *arguments: str) -> Record:
    """The JSON object that a script of this folder prints, from a process of its own."""
    # an OpenBLAS kernel that was chosen for another purpose would slow down scikit-learn alone
    without = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    environment = {name: value for name, value in os.environ.items() if name not in without}
    command = [python, str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} {arguments[:1]} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(problem: Problem, arguments: argparse.Namespace) -> Record:
    """All contenders in turn, and that several times."""
    rounds: Rounds = []
    names = [name for name in arguments.only if CONTENDERS[name].is_for(problem.name)]
    with TemporaryDirectory() as folder:
        data = problem.save(Path(folder))
        for number in range(1, arguments.repeats + 1):
            rounds.append({"peak": call(sys.executable, "gemm.py")})
            for name in list(names):
                record = compete(CONTENDERS[name], problem, folder, arguments)
                if "missing" in record:
                    print(f"{name} is left out: {record['missing']}", flush=True)
                    names.remove(name)
                    continue
                rounds[-1][name] = record
                print(f"{problem.name}, round {number}, {name}: {brief(record)}", flush=True)
    return {"data": data, "rounds": rounds}


def compete(
    contender: Contender, problem: Problem, folder: str, arguments: argparse.Namespace
) -> Record:
    """One training of one contender."""
    python = arguments.peers if contender.is_peer else sys.executable
    if not Path(python).exists():
        return {"missing": f"there is no {python}"}
    task = Task(problem.widths, contender.batch_size, problem.epochs, contender.variant)
    fields, start = json.dumps(asdict(task)), "cold" if arguments.cold else "warm"
    record = call(python, "worker.py", contender.file, folder, fields, start)
    if "missing" not in record:
        rate = problem.n_rows * problem.epochs / record["seconds"]
        record |= {"rows_per_second": rate, "flops": rate * task.flops_per_row}
    return record


def brief(record: Record) -> str:
    return (
        f"{record['rows_per_second']:,.0f} rows/s, "
        f"held-out squared error {record['squared_error']:.4g}"
    )


def table(problem: Problem, measured: Record) -> str:
    """What is printed and what goes into the documentation: a table and notes under it."""
    rounds: Rounds = measured["rounds"]
    names = [name for name in rounds[0] if name != "peak"]
    most = max((spread(name, rounds) for name in names), default=0.0)
    network = "-".join(map(str, (*problem.widths, *problem.widths[-2::-1])))
    lines = [
        f"### {problem.name}: {measured['data']}, network {network}",
        "",
        f"{problem.n_rows:,} rows, {problem.epochs} epochs, batches of {BATCH} rows unless said "
        f"otherwise; {N_HELD_OUT:,} rows held out.",
        "",
        "| | version | rows/s | Isthmus is faster by | GFLOP/s | of the bfloat16 peak "
        "| held-out squared error |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(line(name, rounds) for name in names),
        "",
        f"Between rounds, rows/s differ by up to {most:.0%}.",
    ]
    if "Isthmus" in names:
        loop = median(record["Isthmus"]["loop_rows_per_second"] for record in rounds)
        lines += [f"The loop of Isthmus, without the rest of `fit`, makes {loop:,.0f} rows/s."]
    return "\n".join(lines)


def line(name: str, rounds: Rounds) -> str:
    """A contender's line of the table: medians over rounds."""
    records = [record[name] for record in rounds]
    own = "Isthmus" if CONTENDERS[name].batch_size == BATCH else "Isthmus 1024"
    ratios = [r[name]["seconds"] / r[own]["seconds"] for r in rounds if own in r]
    share = median(record[name]["flops"] / record["peak"]["bfloat16"] for record in rounds)
    cells = [
        name,
        records[0]["version"],
        f"{median(record['rows_per_second'] for record in records):,.0f}",
        f"{median(ratios):.2f}×" if ratios else "",
        f"{median(record['flops'] for record in records) / 1e9:.3g}",
        f"{share:.1%}",
        f"{median(record['squared_error'] for record in records):.4g}",
    ]
    return f"| {' | '.join(cells)} |"


def spread(name: str, rounds: Rounds) -> float:
    """The range of a contender's rate over rounds, as a part of its median."""
    rates = [record[name]["rows_per_second"] for record in rounds]
    return (max(rates) - min(rates)) / median(rates)


def machine(results: dict[str, Record], arguments: argparse.Namespace) -> str:
    """The machine, its peak, and how often everything was run."""
    peaks = [r["peak"] for measured in results.values() for r in measured["rounds"]]
    single, half = (median(peak[kind] for peak in peaks) / 1e9 for kind in ("float32", "bfloat16"))
    return (
        f"{processor()}, {peaks[0]['threads']} threads, Python {platform.python_version()}, torch "
        f"{peaks[0]['torch']}; product of two 2048 × 2048 matrices: {single:.0f} GFLOP/s in "
        f"float32, {half:.0f} in bfloat16. Medians of {arguments.repeats} rounds, "
        f"each {'the first training of its process' if arguments.cold else 'after a warm start'}."
    )


def processor() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_docs(text: str, results: dict[str, Record]) -> None:
    """Put a run between the two markers of the documentation, if nobody is missing from it."""
    there = {name for measured in results.values() for name in measured["rounds"][0]}
    if missing := [name for name in CONTENDERS if name not in there]:
        raise SystemExit(f"docs/{DOCS.name} is left as it was, for lack of {', '.join(missing)}.")
    before, rest = DOCS.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def some(names: str) -> list[str]:
    """Contenders from their names with commas between them."""
    known = {name.lower(): name for name in CONTENDERS}
    try:
        return [known[name.strip().lower()] for name in names.split(",")]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"{error} is not one of {', '.join(known)}") from None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only",
        metavar="NAME,…",
        type=some,
        default=list(CONTENDERS),
        help=f"some of: {', '.join(CONTENDERS)}",
    )
    parser.add_argument("--problem", choices=PROBLEMS)
    parser.add_argument("--repeats", type=int, default=3, help="rounds; default %(default)s")
    parser.add_argument(
        "--peers", metavar="PYTHON", default=str(PEERS), help="of the peers' environment"
    )
    parser.add_argument("--cold", action="store_true", help="time the first training of a process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single run")
    parser.add_argument(
        "--write-docs", action="store_true", help=f"put the tables into docs/{DOCS.name}"
    )
    arguments = parser.parse_args()
    if arguments.write_docs and (arguments.problem or arguments.only != list(CONTENDERS)):
        parser.error("--write-docs needs both problems and all contenders")
    return arguments


def main() -> None:
    arguments = parse()
    problems = [arguments.problem] if arguments.problem else list(PROBLEMS)
    results = {name: measure(PROBLEMS[name], arguments) for name in problems}
    text = "\n\n".join(
        [
            machine(results, arguments),
            *(table(PROBLEMS[name], measured) for name, measured in results.items()),
        ]
    )
    print(f"\n{text}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if arguments.write_docs:
        write_docs(text, results)


if __name__ == "__main__":
    main()
