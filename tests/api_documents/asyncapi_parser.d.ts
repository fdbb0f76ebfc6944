// The part of @asyncapi/parser that is used here. Its own types bring Node's along, which are at odds with the runtime's.
export class Parser {
  parse(text: string): Promise<{
    /** Undefined where the document could not be read. */
    readonly document?: {
      version(): string;
      operations(): { readonly length: number };
    };
    readonly diagnostics: ReadonlyArray<{
      readonly code: string | number;
      readonly message: string;
      readonly path: ReadonlyArray<string | number>;
    }>;
  }>;
}
