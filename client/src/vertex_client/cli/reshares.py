"""Commands about changes of a quorum."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from vertex_client.cli.failures import ENDED, FAILED, show
from vertex_client.cli.session import PublicKey, Reason, Rid, Seconds, Session, Watch, listed_names
from vertex_client.cli.show import as_json, followed, progress_data, progress_shown
from vertex_client.errors import VertexError
from vertex_client.quorum import Quorum, Reshared


def refresh(context: typer.Context, public_key: PublicKey, watch: Watch = True, timeout: Seconds = None) -> None:
    """New shares for the same quorum; every party takes part, and the old shares erase themselves."""
    session: Session = context.obj
    with session.quorum() as quorum:
        _follow(session, quorum, quorum.refresh(quorum.find(public_key)), watch, timeout)


def reshare(
    context: typer.Context,
    public_key: PublicKey,
    to: Annotated[str, typer.Option(help="The new quorum's vertices: a,b,d,e")],
    threshold: Annotated[int, typer.Option("--threshold", "-t", help="How many sign then")],
    absent: Annotated[str | None, typer.Option(help="Leavers that take no part: c")] = None,
    deletions: Annotated[int | None, typer.Option(help="Erased old shares to wait for, if not n − t + 1")] = None,
    watch: Watch = True,
    timeout: Seconds = None,
) -> None:
    """Move a key to another quorum. The new shares sign once enough deletions of the old ones are confirmed."""
    session: Session = context.obj
    with session.quorum() as quorum:
        moved = quorum.reshare(
            quorum.find(public_key),
            listed_names(to) or [],
            threshold,
            absent=listed_names(absent) or (),
            deletions_required=deletions,
        )
        _follow(session, quorum, moved, watch, timeout)


def status(
    context: typer.Context,
    rid: Annotated[str | None, typer.Argument(help="A reshare's rid; without it all unfinished ones")] = None,
    watch: Watch = False,
    timeout: Seconds = None,
) -> None:
    """How far reshares are: who has stored, voted and erased, and what is waited for."""
    session: Session = context.obj
    with session.quorum() as quorum:
        if rid is not None and watch:
            _watch(session, quorum, rid, timeout)
            return
        for name in [rid] if rid is not None else quorum.unfinished():
            now = quorum.progress(name)
            if session.json:
                session.line(as_json(progress_data(now)))
            else:
                session.console.print(progress_shown(now))


def confirm(
    context: typer.Context,
    rid: Rid,
    at: Annotated[list[str], typer.Argument(help="The vertices whose old shares are to be deleted")],
    reason: Reason = None,
    exports_destroyed: Annotated[bool, typer.Option(help="All exported copies of the share are destroyed too")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask")] = False,
) -> None:
    """Confirm the deletion of old shares (admin). It is final: decided reshares erase them."""
    session: Session = context.obj
    with session.quorum() as quorum:
        _ask(session, quorum, rid, f"Delete the old shares of {', '.join(at)} for good?", yes)
        answered = quorum.confirm(rid, at, reason=reason, exports_destroyed=exports_destroyed or None)
        _voted(session, quorum, rid, answered.failures)


def abort(
    context: typer.Context,
    rid: Rid,
    at: Annotated[list[str], typer.Argument(help="The vertices that vote against it")],
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask")] = False,
) -> None:
    """Vote against a reshare (admin): the old shares stay."""
    session: Session = context.obj
    with session.quorum() as quorum:
        _ask(session, quorum, rid, f"Let {', '.join(at)} vote against this reshare?", yes)
        answered = quorum.abort(rid, at, reason=reason)
        _voted(session, quorum, rid, answered.failures)


def carry(context: typer.Context, rid: Rid) -> None:
    """Carry a reshare's receipts by hand, from every vertex to every other one."""
    session: Session = context.obj
    with session.quorum() as quorum:
        new = {name: each.new for name, each in quorum.carry_receipts(rid).all("carry").items()}
        session.line(as_json(new) if session.json else "\n".join(f"{name}: {count} new" for name, count in new.items()))


def _follow(session: Session, quorum: Quorum, moved: Reshared, watch: bool, timeout: float | None) -> None:
    if watch:
        _watch(session, quorum, moved.rid, timeout)
    else:
        session.line(as_json(moved) if session.json else moved.rid)


def _watch(session: Session, quorum: Quorum, rid: str, timeout: float | None) -> None:
    last = followed(session.console, quorum.watch(rid, timeout=timeout), json_lines=session.json)
    if last is None or not last.complete:
        raise typer.Exit(ENDED)


def _ask(session: Session, quorum: Quorum, rid: str, question: str, yes: bool) -> None:
    """Shows what is decided on before it asks."""
    if yes:
        return
    session.console.print(progress_shown(quorum.progress(rid)))
    typer.confirm(question, abort=True)


def _voted(session: Session, quorum: Quorum, rid: str, failures: Mapping[str, VertexError]) -> None:
    """Where the reshare stands, and whose vote failed."""
    now = quorum.progress(rid)
    if session.json:
        session.line(as_json(progress_data(now)))
    else:
        session.console.print(progress_shown(now))
    if failures:
        show(Console(stderr=True, soft_wrap=True), failures, session.json)
        raise typer.Exit(FAILED)
