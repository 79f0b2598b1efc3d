// @ts-check
// The HTTP API as the page's user calls it, by session cookie.

/**
 * @typedef {object} Project
 * @property {string} projectId
 * @property {string} title
 * @property {string} compositionId
 * @property {string} codec
 * @property {Record<string, unknown>} inputProps
 * @property {unknown} propsSchema
 * @property {string} updatedAt
 */

/**
 * An export as the history lists it.
 * @typedef {object} HistoryItem
 * @property {string} exportId
 * @property {string} title
 * @property {string} compositionId
 * @property {string} codec
 * @property {'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} progress from 0 to 1
 * @property {number} attempt
 * @property {string | null} errorMessage
 * @property {number | null} outputSizeBytes
 * @property {string} createdAt
 * @property {string | null} completedAt
 * @property {number} version
 */

/**
 * What a status and the socket say besides.
 * @typedef {object} StatusMore
 * @property {number | null} etaSeconds
 * @property {number | null} queuePosition
 * @property {string | null} renderId
 * @property {string | null} outputUrl opens the file
 * @property {string | null} downloadUrl saves it
 * @property {string | null} outputExpiresAt null: never, where there is a file
 * @property {{message: string, stack: string}[]} errors
 * @property {boolean} retryable
 * @property {{amount: string, currency: string}} cost
 * @property {string | null} startedAt
 */

/** @typedef {HistoryItem & StatusMore} ExportStatus */
/** @typedef {HistoryItem & Partial<StatusMore>} ExportRow */
/** @typedef {{at: string, type: string, status: string, attempt: number, detail?: string}} TimelineEntry */
/** @typedef {{pointer: string, detail: string}} PointedError */
/** @template T @typedef {{next: string | null, results: T[]}} Page */

const TIMEOUT_MS = 30_000;

/** A call that was not answered as hoped. Its message is for the user and says what to do. */
export class ApiError extends Error {
	/**
	 * @param {string} message
	 * @param {number} status the HTTP status, 0 where there was no answer
	 * @param {PointedError[]} errors what is wrong with the request, by JSON pointer
	 */
	constructor(message, status, errors = []) {
		super(message);
		this.status = status;
		this.errors = errors;
	}
}

/**
 * Says what to do about a refusal.
 *
 * @param {number} status the HTTP status
 * @param {string | null} retryAfter the header of that name, in seconds
 * @param {string} detail the problem's own words, empty where it has none
 * @returns {string}
 */
export const adviceFor = (status, retryAfter, detail) => {
	if (status === 401 || status === 403) {
		return 'You are signed out. Sign in again; what you typed is kept.';
	}
	if (status === 429) {
		const wait = Number(retryAfter) > 0 ? `in ${Math.ceil(Number(retryAfter))} s` : 'in a minute';
		return `That was too much at a time. Try again ${wait}.`;
	}
	if (status >= 500) {
		return 'renderhub could not answer. Try again in a moment; nothing that you typed is lost.';
	}
	return detail || `The request was refused (${status}). Reload the page and try again.`;
};

/**
 * Calls the API. Whoever is signed out is sent to sign in and comes back to this page.
 *
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>} the decoded answer
 * @throws {ApiError} there was no answer, or a refusal
 */
export const call = async (method, path, body) => {
	/** @type {Record<string, string>} */
	const headers = {Accept: 'application/json'};
	if (method !== 'GET') {
		headers['Content-Type'] = 'application/json';
		headers['X-CSRFToken'] = csrfToken();
	}
	let response;
	let answer;
	try {
		response = await fetch(path, {
			method,
			headers,
			body: body === undefined ? null : JSON.stringify(body),
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
		answer = response.headers.get('Content-Type')?.includes('json') ? await response.json() : null;
	} catch {
		throw new ApiError('renderhub can’t be reached. Check your connection, then try again.', 0);
	}
	if (response.ok) {
		return answer;
	}
	if (response.status === 401 || response.status === 403) {
		location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
	}
	const message = adviceFor(response.status, response.headers.get('Retry-After'), answer?.detail ?? '');
	throw new ApiError(message, response.status, answer?.errors ?? []);
};

/**
 * Returns the part of a page's `next` that leads back to this server, by whatever name a proxy knows it.
 *
 * @param {string | null} next
 * @returns {string | null}
 */
export const pathOf = (next) => {
	if (next === null) {
		return null;
	}
	const url = new URL(next);
	return url.pathname + url.search;
};

// Read for each call: signing in anew in another tab changes it.
const csrfToken = () => /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? '';
