"""Running the command line inside a test."""

from weightpath.cli import main


def run(line, capsys):
    """Exit code, standard output and standard error of `weightpath LINE`."""
    try:
        code = main(line.split())
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err
