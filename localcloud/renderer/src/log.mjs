/**
 * Writes one event as a JSON line on stdout.
 *
 * @param {string} event a constant word
 * @param {Record<string, unknown>} [fields] never props, secrets or presigned addresses
 */
export function log(event, fields = {}) {
	process.stdout.write(`${JSON.stringify({event, ...fields})}\n`);
}

/**
 * @param {unknown} thrown whatever a `catch` was given
 * @returns {Error & {$metadata?: {httpStatusCode?: number}}} an error, as those of the AWS SDK are
 */
export function asError(thrown) {
	return thrown instanceof Error ? thrown : new Error(String(thrown));
}
