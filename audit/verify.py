"""``python -m audit.verify log.jsonl``: check an exported log anywhere; needs no database, settings or Django.

Exit status: 0 the log holds, 1 it does not (the first bad event is named), 2 the question can't be answered (a key, a
file or an argument that can't be read).
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from audit import chain
from audit.exported import Checks, Unusable, parse_claim, read_heads, read_key, verify_file


def add_checks(parser: ArgumentParser, *, key: str) -> None:
    """The options that say what a log is held against; `key` names the one for the vertex's own key."""
    parser.add_argument(key, dest="key", type=Path, help="the vertex's public key (GET /identity-pubkey)")
    parser.add_argument("--head", action="append", default=[], help="SEQ:HASH that the log must contain; repeatable")
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        help="file of signed heads that the log must contain: a peer's audit_heads, or an earlier export; repeatable",
    )
    parser.add_argument(
        "--witness-key",
        type=Path,
        action="append",
        default=[],
        help="public key of a peer whose heads are in --against; repeatable",
    )


def checks_of(*, key: Path | None, head: list[str], against: list[Path], witness_key: list[Path]) -> Checks:
    """Read what the options name. Raises Unusable."""
    return Checks(
        key=read_key(key) if key else None,
        witness_keys=tuple(read_key(path) for path in witness_key),
        claims=tuple(parse_claim(text) for text in head),
        against=tuple(found for path in against for found in read_heads(path)),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m audit.verify", description="Check an exported audit log.")
    parser.add_argument("file", type=Path, help="what manage.py audit_export wrote")
    add_checks(parser, key="--key")
    options: Namespace = parser.parse_args(arguments)
    try:
        checks = checks_of(key=options.key, head=options.head, against=options.against, witness_key=options.witness_key)
        report = verify_file(options.file, checks)
    except chain.Broken as broken:
        sys.stderr.write(f"the audit log does not hold: {broken}\n")
        return 1
    except (Unusable, OSError) as error:
        sys.stderr.write(f"the audit log was not checked: {error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return 0


if __name__ == "__main__":
    sys.exit(main())
