// Arrow keys through a row or a list of controls, as people know it from other
// programs (WAI-ARIA Authoring Practices, "Tabs" and "Menu").

/** Where a key leads from a place; null for a key that leads nowhere. */
export function led(key: string, at: number, count: number): number | null {
  if (count === 0) return null;
  if (key === "ArrowRight" || key === "ArrowDown") return (at + 1) % count;
  if (key === "ArrowLeft" || key === "ArrowUp") return (at - 1 + count) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** A row of tabs: the keys move the focus and choose. */
export function tablist(host: HTMLElement): () => void {
  const onkeydown = (event: KeyboardEvent): void => {
    const tabs = [...host.querySelectorAll<HTMLElement>("[role=tab]")];
    const at = tabs.indexOf(document.activeElement as HTMLElement);
    const to = at < 0 || event.ctrlKey || event.altKey ? null : led(event.key, at, tabs.length);
    if (to === null) return;
    event.preventDefault();
    tabs[to]?.focus();
    tabs[to]?.click();
  };
  host.addEventListener("keydown", onkeydown);
  return () => host.removeEventListener("keydown", onkeydown);
}
