"""`manage.py listen`: hears the relays' news and wakes sessions, sweeps up what nobody works on, beats."""

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection, connections

from keys import boxes, create, forgetting, handed, heads
from keys.models import ProtocolSession
from keys.policies.external import questions_forget
from keys.relays import inbox, relay, resolve
from keys.sessions import services as sessions
from keys.webhooks import sending as webhooks
from relay.client import News, RelayRefused, RelayUnavailable
from reshare import restoring
from reshare import sweep as reshares
from vertex.celery import app
from vertex.liveness import beat_forever, reconciled, reconciled_set

log = structlog.get_logger()
LISTEN_LOCK = 0x7665_7274  # session-level advisory lock: one `listen` is active, others stand by
INBOX_WAIT = 10_000  # milliseconds
RETRY_IN = 1.0  # seconds after a relay did not answer
PAUSE = 0.05  # seconds after an answer without news: a relay that does not wait is not asked without end


class Command(BaseCommand):
    help = "Listen to the relays' news for this vertex and sweep up what nobody works on."

    def handle(self, *args: Any, **options: Any) -> None:
        with stand_by() as lock:
            reconciled_set(False)
            beat_forever("listen")
            asyncio.run(listen(relay_urls(), lock))


def stand_by() -> psycopg.Connection[Any]:
    """Wait for the advisory lock; it is held as long as the returned connection lives."""
    parameters = {**connection.get_connection_params()}
    parameters.pop("pool", None)
    for driver_only in ("context", "prepare_threshold", "cursor_factory"):
        parameters.pop(driver_only, None)
    lock = psycopg.connect(**parameters, autocommit=True)
    while True:
        row = lock.execute("SELECT pg_try_advisory_lock(%s)", [LISTEN_LOCK]).fetchone()
        if row and row[0]:
            return lock
        time.sleep(1.0)


async def listen(urls: list[str], lock: psycopg.Connection[Any]) -> None:
    """Run until SIGTERM or SIGINT, or until the lock is lost with its connection: another one is active then."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="listen") as pool:
        tasks = [asyncio.create_task(hear(url, pool)) for url in urls]
        tasks.append(asyncio.create_task(sweep(pool, lock, stop)))
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def relay_urls() -> list[str]:
    """The relays that requests may name, and others that open sessions use."""
    used = ProtocolSession.objects.filter(finished_at=None).values_list("relay", flat=True).distinct()
    return sorted({resolve(None), *map(resolve, settings.VERTEX_RELAY_ALLOWED), *used})


async def hear(url: str, pool: ThreadPoolExecutor) -> None:
    """One long poll after the other on this vertex's inbox; news are hints, the sweep asks anyway."""
    client, cursor = relay(url), ""
    while True:
        try:
            answer = await client.inbox_async(inbox(), after=cursor, wait=INBOX_WAIT)
        except (RelayUnavailable, RelayRefused) as error:
            log.warning("relay_unavailable", relay=url, error=str(error))
            await asyncio.sleep(RETRY_IN)
            continue
        except Exception:
            log.exception("relay_not_heard", relay=url)
            await asyncio.sleep(RETRY_IN)
            continue
        for news in answer.news:
            await in_thread(pool, partial(told, news))
        cursor = answer.cursor
        if not answer.news:
            await asyncio.sleep(PAUSE)


def told(news: News) -> None:
    """One piece of news from the relay."""
    if news.event == "full":
        sessions.room_full(room=news.room, filled=news.filled, size=news.room_size)
    elif news.event == "message":
        sessions.room_message(room=news.room)
    elif news.event == "refused":
        sessions.room_refused(room=news.room, err_type=news.err_type or "unknown")


async def sweep(pool: ThreadPoolExecutor, lock: psycopg.Connection[Any], stop: asyncio.Event) -> None:
    """Every VERTEX_SWEEP seconds, as long as the lock is held."""
    while True:
        await in_thread(pool, sweep_once)
        try:
            lock.execute("SELECT 1")
        except psycopg.Error:
            log.exception("listen_lock_lost")
            stop.set()
            return
        await asyncio.sleep(settings.VERTEX_SWEEP)


def sweep_once() -> None:
    """Ask for the reconciliation while it is due, then for everything that nobody works on."""
    if not reconciled():
        app.send_task("reshare.reconcile", queue="life")
        return
    create.ask_again()
    heads.ask_again()
    handed.ask_again()
    restoring.ask_again()
    boxes.ask_again()
    questions_forget()
    sessions.sweep()
    reshares.sweep()
    webhooks.ask_again()
    forgetting.forget()


async def in_thread(pool: ThreadPoolExecutor, call: Callable[[], None]) -> None:
    """Run something that uses the database; what goes wrong is logged, `listen` goes on."""

    def guarded() -> None:
        try:
            call()
        except Exception:
            log.exception("listen_failed")
        finally:
            connections.close_all()

    await asyncio.get_running_loop().run_in_executor(pool, guarded)
