"""`make fuzz`: search for policy files that the reader, the compiler or a lint cannot cope with.

python -m tests.policy.fuzz --seconds 60 [--seed N]
"""

from __future__ import annotations

import argparse
import random
import time
import traceback

from tests.policy.fuzz.search import Broken, Search


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=float, default=60)
    words.add_argument("--seed", type=int, default=None)
    asked = words.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    search, started = Search(random.Random(seed)), time.monotonic()
    print(f"seed {seed}, {len(search.corpus)} files to begin with", flush=True)
    try:
        search.run(seconds=asked.seconds)
    except Broken as broken:
        traceback.print_exception(broken.__cause__)
        print(f"after {search.tried} trees:\n{broken}")
        return 1
    took = time.monotonic() - started
    print(f"{search.tried} trees in {took:.0f} s; {len(search.lines)} lines and {len(search.codes)} codes reached,")
    print(f"{len(search.corpus)} files kept; every tree was compiled, or refused with its places")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
