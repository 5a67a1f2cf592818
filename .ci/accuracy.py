"""Hold the default pack to its measured accuracy on LFW, through the command that a user types."""

from __future__ import annotations

import json
import subprocess
import sys

# (extra flags, least 10-fold accuracy, least TAR at FAR 1e-3)
FLOORS = (([], 0.9935, 0.988), (["--flip"], 0.9940, 0.988))


def main(pairs: str) -> None:
    """Run ``facerec verify`` on the list and compare with the floors."""
    failed = False
    for flags, least_accuracy, least_tar in FLOORS:
        command = [sys.executable, "-m", "facerec_cli", "verify", pairs, "--json", "--quiet", *flags]
        document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        accuracy = document["accuracy"]["mean"]
        tar = next(point["tar"] for point in document["tar_at_far"] if point["far"] == 1e-3)
        enrolled = document["failures"]
        good = accuracy >= least_accuracy and tar >= least_tar
        failed |= not good
        print(
            f"{'ok  ' if good else 'FAIL'} LFW {' '.join(flags) or 'plain':7} accuracy {accuracy:.4f} "
            f"(floor {least_accuracy}), TAR at FAR 1e-3 {tar:.4f} (floor {least_tar}), failures {enrolled}"
        )
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1])
