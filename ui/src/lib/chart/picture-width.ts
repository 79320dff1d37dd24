// How wide a picture of a page is drawn.

/** What a picture has where nothing is laid out yet. */
const USUAL = 900;

/**
 * The room of a page in letters of the usual size: a picture that is drawn so
 * wide and shown over the whole page has letters as large as the page's.
 */
export function pictureWidth(): number {
  const room = document.querySelector(".content")?.clientWidth ?? 0;
  const letters = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  if (!(room > 0) || !(letters > 0)) return USUAL;
  // What the page and a card have on both sides.
  return Math.round(Math.min(Math.max(room / letters - 72, 420), 1500));
}
