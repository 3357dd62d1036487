"""``python -m streamlearn``: the command line."""

from streamlearn.cli.main import run

if __name__ == "__main__":
    run()
