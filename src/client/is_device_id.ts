// What names one device, as the service has it: checked where one wrong name would spoil what is asked for with it.

const MAX_BYTES = 128;
/** Control characters and lone surrogates. */
const NO_NAME = /[\p{Cc}\p{Cs}]/u;

const encoder = new TextEncoder();

/** `*` names none. */
export function isDeviceId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value !== "*" && !NO_NAME.test(value) &&
    encoder.encode(value).length <= MAX_BYTES;
}
