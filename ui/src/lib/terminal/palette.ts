// A terminal's colours and letters, from the window's own tokens.

import type { ITheme } from "@xterm/xterm";

export interface Look {
  theme: ITheme;
  fontFamily: string;
  fontSize: number;
  /** Text in any colour is made this much lighter or darker than its ground. */
  contrast: number;
}

const COLOURS = ["red", "green", "yellow", "blue", "magenta", "cyan"] as const;

export function lookOf(root: HTMLElement): Look {
  const style = getComputedStyle(root);
  const token = (name: string) => style.getPropertyValue(name).trim();
  const theme: ITheme = {
    background: token("--sunk"),
    foreground: token("--ink"),
    cursor: token("--ink"),
    cursorAccent: token("--sunk"),
    selectionBackground: `${token("--focus")}55`,
    selectionInactiveBackground: `${token("--focus")}33`,
    black: token(root.dataset.theme === "dark" ? "--line" : "--ink"),
    white: token(root.dataset.theme === "dark" ? "--ink" : "--soft"),
    brightBlack: token("--faint"),
    brightWhite: token("--ink"),
  };
  for (const name of COLOURS) {
    const colour = token(`--ansi-${name}`);
    theme[name] = colour;
    theme[`bright${name[0]?.toUpperCase()}${name.slice(1)}` as keyof ITheme & `bright${string}`] = colour as never;
  }
  return {
    theme,
    fontFamily: token("--mono") || "monospace",
    fontSize: Math.round((parseFloat(style.fontSize) || 16) * 0.8 * 2) / 2,
    contrast: root.dataset.contrast === "more" ? 7 : 4.5,
  };
}
