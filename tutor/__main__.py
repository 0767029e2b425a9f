"""Starts the `tutor` command, so that Ctrl-C ends it from the first moment on."""

from tutor.terminal import interrupts


def main() -> None:
    """Run the command; one that is interrupted ends with exit code 130."""
    with interrupts.trapped():
        from tutor import cli

        cli.main()


if __name__ == "__main__":
    main()
