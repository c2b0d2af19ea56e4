"""`python -m smalti`: the command line, where its script is not on the path."""

from smalti.cli import main

if __name__ == "__main__":
    main()
