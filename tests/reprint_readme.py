"""Prints the README's transcripts anew: `python tests/reprint_readme.py`, after a catalog changed.

`test_docs.py` holds the README against what is printed; read the difference before you commit it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```\n\$ (.*)\n(?:.*\n)*?```$", re.MULTILINE)


def reprinted(block: re.Match[str]) -> str:
    """The block with what its command prints today; a plan that is not there prints one, too."""
    planner = f"{shlex.quote(sys.executable)} -m milp_planner"
    command = re.sub(r"\bmilp-planner (?=[a-z-]+)", f"{planner} ", block[1])
    ran = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    return f"```\n$ {block[1]}\n{ran.stdout}```"


if __name__ == "__main__":
    README.write_text(
        BLOCK.sub(reprinted, README.read_text(encoding="utf-8")), encoding="utf-8", newline="\n"
    )
