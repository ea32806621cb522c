"""The command `piti`: what everything costs, how far it is, what stands behind a number; and your own pictures."""

import argparse
import os
import sys
from pathlib import Path

from piti.cli import (
    check,
    claims,
    compare,
    demo,
    explain,
    export,
    gc,
    import_,
    making,
    pins,
    plan,
    reproduce,
    score,
    status,
    translate,
)
from piti.config import Config, configured, merge, parse_yaml
from piti.store.files import InputError


def main() -> None:
    """Run one command. Bad input ends with one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="piti", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (
        check,
        plan,
        reproduce,
        status,
        explain,
        compare,
        claims,
        export,
        import_,
        gc,
        pins,
        translate,
        score,
        demo,
    ):
        name, (summary, _, rest) = module.__name__.rsplit(".", 1)[-1].rstrip("_"), module.__doc__.partition("\n")
        command = commands.add_parser(
            name, help=summary, description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as Snakemake's")
        command.add_argument("--configfile", type=Path, metavar="FILE", help="as Snakemake's, one")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    for name, value in vars(arguments).items():
        if isinstance(value, Path):  # a shell leaves the ~ of --out=~/pictures to us
            setattr(arguments, name, Path(os.path.expanduser(value)))
    try:
        making.asked[:] = ["--configfile", str(arguments.configfile)] if arguments.configfile else []
        making.asked += ["--config", *arguments.config] if arguments.config else []
        arguments.run(arguments, configuration(arguments.config, arguments.configfile))
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read what was printed has gone: `piti explain table1 | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
    except OSError as error:  # a folder where a file was expected, one that nobody may write in, a full disk
        print(f"error: {': '.join(map(str, filter(None, (error.filename, error.strerror or error))))}", file=sys.stderr)
        sys.exit(2)


def configuration(settings: list[str], file: Path | None) -> Config:
    """The configuration as Snakemake would have it: config.yaml < --configfile < --config."""
    user: dict = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--config: found {setting!r}, expected key=value")
        user = merge(user, {key: parse_yaml(value, f"--config: {key}")})
    return configured(user, file)


if __name__ == "__main__":
    main()
