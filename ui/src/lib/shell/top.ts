/** Shows the page from its top, since another view is shown: where the one before was scrolled to says nothing of it. */
export function toTop(_shown: unknown): void {
  document.querySelector(".content")?.scrollTo?.(0, 0);
}
