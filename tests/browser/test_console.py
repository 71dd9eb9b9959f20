"""An operator's way through the console: a reshare is looked at, its deletions are confirmed, the share is gone."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cluster.cluster import Cluster
from cluster.vertex import Vertex
from tests.cluster.outside import Party, at_once, keygen, new_party, reshare_body, reshare_of, room, sign


@pytest.fixture
def parties(cluster: Cluster) -> list[Party]:
    return [new_party(vertex.url, vertex.admin_token) for vertex in cluster.vertices]


def quarantined(parties: list[Party]) -> list[str]:
    """A 2-of-3 key, reshared to the same parties with a threshold of 3, up to quarantine: the new key ids."""
    keygen(parties, 2)
    name = room(parties[0], 3)
    answers = at_once(
        *(
            lambda party=party: party.user.ok(
                "POST /ecdsa/reshare/existing-party", reshare_body(party, parties, 3, name)
            )
            for party in parties
        )
    )
    return [answer["key_id"] for answer in answers]


def signed_in(browser: Browser, vertex: Vertex) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{vertex.url}/console/")
    page.fill("input[name=username]", vertex.admin_user)
    page.fill("input[name=password]", vertex.admin_password)
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{vertex.url}/console/")
    return page


def test_the_sign_in_page_finds_all_it_asks_for_and_its_icon(browser: Browser, cluster: Cluster) -> None:
    vertex = cluster.vertices[0]
    page = browser.new_page()
    missing: list[str] = []
    page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{vertex.url}/console/")
    icon = page.request.get(vertex.url + str(page.locator("link[rel=icon]").get_attribute("href")))
    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert missing == []
    page.close()


def open_deletion(page: Page, vertex: Vertex, reshare: dict[str, Any]) -> None:
    """From the reshare's page to the one where its deletion is decided, as soon as all have stored."""
    page.goto(f"{vertex.url}/console/reshare/reshare/{reshare['reshare_id']}/change/")
    expect(page.locator("h1", has_text="2 of 3 → 3 of 3")).to_be_visible()
    page.click("a.vx-button")
    confirm = page.locator("button", has_text="Confirm deletion")
    for _ in range(20):
        if confirm.count():
            return
        page.wait_for_timeout(250)
        page.reload()
    expect(confirm).to_be_visible()


def test_deletions_are_confirmed_in_the_browser(
    browser: Browser, cluster: Cluster, parties: list[Party], shots: Path
) -> None:
    new_keys = quarantined(parties)
    for vertex, party in list(zip(cluster.vertices, parties, strict=True))[:2]:
        page = signed_in(browser, vertex)
        reshare = reshare_of(party)
        open_deletion(page, vertex, reshare)
        expect(page.locator(".vx-dies [data-copy]").first).to_have_attribute("data-copy", party.key_id)
        expect(page.get_by_text("None was ever exported.")).to_be_visible()

        page.fill("textarea[name=reason]", "the quorum changes")
        page.fill("input[name=password]", "not the password")
        page.click("button:has-text('Confirm deletion')")
        expect(page.locator("p.vx-error", has_text="This is not your password.")).to_be_visible()
        assert reshare_of(party)["confirmed"] == reshare["confirmed"], "a wrong password has voted"

        page.fill("textarea[name=reason]", "the quorum changes")
        page.fill("input[name=password]", vertex.admin_password)
        page.screenshot(path=shots / f"{vertex.name}-decide.png", full_page=True)
        page.click("button:has-text('Confirm deletion')")
        expect(page.get_by_text(re.compile("Confirmed: the share is erased"))).to_be_visible()
        page.close()

    vertex, party = cluster.vertices[0], parties[0]
    page = signed_in(browser, vertex)
    page.goto(f"{vertex.url}/console/reshare/reshare/{reshare_of(party)['reshare_id']}/change/")
    for _ in range(40):
        if page.locator(".vx-state", has_text="clean").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    expect(page.locator(".vx-state")).to_have_text("clean")
    page.screenshot(path=shots / "clean.png", full_page=True)
    page.close()

    renewed = [Party(p.admin, p.user, p.user_id, key, p.keygen_id) for p, key in zip(parties, new_keys, strict=True)]
    sign(renewed)
    refused = parties[0].user.call(
        "POST /ecdsa/sign",
        {"key_id": party.key_id, "msg": "00", "hash_algo": "sha256", "room_uuid": room(party, 2)},
    )
    assert refused.error == (400, "share_erased")
