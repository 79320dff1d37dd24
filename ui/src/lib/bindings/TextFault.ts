export type TextFault = { file: string, line: number, text: string };
