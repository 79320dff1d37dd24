export const terminal = {
  shellIn: (instance: string) => `Shell in ${instance}; Shift+Escape leaves it`,
  consoleOf: (instance: string) => `Console of ${instance}; Shift+Escape leaves it`,
  opening: "Opening…",
  shellKeys: "Ctrl+Shift+C copies, Ctrl+Shift+V pastes, Shift+Escape leaves",
  consoleKeys: "The serial line from the boot on; Shift+Escape leaves",
  machineEnded: "The machine has ended.",
  noShell: "No shell was opened.",
  shellEnded: "The shell has ended.",
  shellEndedWith: (code: number) => `The shell has ended with ${code}.`,
  again: "Open again",
};
