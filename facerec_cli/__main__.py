"""``python -m facerec_cli`` is the same program as ``facerec``."""

from facerec_cli.cli import main

if __name__ == "__main__":
    main()
