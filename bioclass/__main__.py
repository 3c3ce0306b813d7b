"""``python -m bioclass``."""

from bioclass.cli import main

if __name__ == "__main__":
    main()
