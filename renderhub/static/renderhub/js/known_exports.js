// @ts-check
// What the page knows of exports, from answers and messages that come in any order.

/** @typedef {import('./api.js').ExportRow} ExportRow */

/**
 * Tells whether `incoming` is at least as new as `kept`: a higher version, then a higher progress.
 *
 * @param {ExportRow} kept
 * @param {ExportRow} incoming
 */
export const isAsNew = (kept, incoming) =>
	incoming.version !== kept.version ? incoming.version > kept.version : incoming.progress >= kept.progress;

/**
 * Joins what is known of an export with what comes in. A history's line knows less than a status: what it leaves out
 * stays, unless it has moved on since.
 *
 * @param {ExportRow | undefined} kept
 * @param {ExportRow} incoming
 * @returns {ExportRow}
 */
export const merge = (kept, incoming) => {
	if (kept === undefined) {
		return incoming;
	}
	if (!isAsNew(kept, incoming)) {
		return kept;
	}
	return incoming.version === kept.version && incoming.progress === kept.progress
		? {...kept, ...incoming}
		: incoming;
};

/** @param {ExportRow} row */
export const isRunning = (row) => row.status === 'pending' || row.status === 'processing';

/** The exports that the page knows. */
export class KnownExports {
	/** @type {Map<string, ExportRow>} */
	#rows = new Map();

	/**
	 * Takes in what an answer or a message says.
	 *
	 * @param {ExportRow} incoming
	 * @returns {{before: ExportRow | undefined, now: ExportRow}}
	 */
	take(incoming) {
		const before = this.#rows.get(incoming.exportId);
		const now = merge(before, incoming);
		this.#rows.set(now.exportId, now);
		return {before, now};
	}

	/** @returns {ExportRow[]} all of them; their ids are UUIDv7, so their order is that of time */
	newestFirst() {
		return [...this.#rows.values()].sort((one, other) => (one.exportId < other.exportId ? 1 : -1));
	}

	/** @returns {ExportRow[]} those that have not ended */
	running() {
		return this.newestFirst().filter(isRunning);
	}
}
