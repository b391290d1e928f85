"""Runs `mmcli` and `python -m mmcli`. Handles a Ctrl-C that comes before the program is imported."""

import signal


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it without a traceback."""
    usual = signal.getsignal(signal.SIGINT)
    if usual == signal.default_int_handler:  # not under nohup, where it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mmcli.main import main as run

    signal.signal(signal.SIGINT, usual)
    run()


if __name__ == "__main__":
    main()
