// Names the one bucket that a tenant's read may touch; nothing else may ever become part of a bucket's name.
import { SourceError } from "../source_error.ts";

const tenantIdPattern = /^[A-Za-z0-9_-]{1,64}$/;
const placeholder = "{tenant}";

/**
 * Throws TypeError for a template without `{tenant}` or a tenant id that is not one: both are checked long before.
 * Throws SourceError `missing` where a tenant's name would make it one of InfluxDB's own (`_internal`, `_monitoring`).
 */
export function bucketName(template: string, tenantId: string): string {
  if (!template.includes(placeholder)) {
    throw new TypeError(
      `Cannot name a bucket: the template has no ${placeholder}: ${JSON.stringify(template)}`,
    );
  }
  if (!tenantIdPattern.test(tenantId)) {
    throw new TypeError(
      `Cannot name a bucket: the tenant id does not match ${tenantIdPattern}: ${
        JSON.stringify(tenantId)
      }`,
    );
  }
  const name = template.replaceAll(placeholder, () => tenantId);
  if (name.startsWith("_")) {
    throw new SourceError("missing", `Bucket "${name}" is InfluxDB's own, no tenant has it`);
  }
  return name;
}
