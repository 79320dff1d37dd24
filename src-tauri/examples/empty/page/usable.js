// As the real page does it: the first frame with something to see.
requestAnimationFrame(() => performance.mark("usable"));
