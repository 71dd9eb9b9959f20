// Shortened identifiers copy their full value when clicked.
document.addEventListener("click", async (event) => {
    const id = event.target.closest("[data-copy]");
    if (!id || !navigator.clipboard) return;
    event.preventDefault();
    await navigator.clipboard.writeText(id.dataset.copy);
    id.classList.add("vx-copied");
    setTimeout(() => id.classList.remove("vx-copied"), 1200);
});
