// Tells whether a JSON text names a member twice, which JSON.parse hides; it must only be given text that parses.

/** The strings of a JSON text, those that are names with their colon, and the brackets around them. */
const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g;

/** True when any object of the text, at whatever depth, holds one name more than once. */
export function hasDuplicateMember(json: string): boolean {
  const open: Set<string>[] = [];
  for (const [token, text, colon] of json.matchAll(TOKENS)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (text !== undefined && colon !== undefined) {
      // Two spellings of one name ("sub", "s\u0075b") are one name.
      const name: string = JSON.parse(text);
      const names = open.at(-1);
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}
