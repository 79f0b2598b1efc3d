// Faults for tests: what AWS, the network and Remotion do on a bad day, on demand.
import {setTimeout as sleep} from 'node:timers/promises';
import {functionError, refused} from './answers.mjs';
import {sendWebhook} from './webhook.mjs';

/**
 * @typedef {object} Rule
 * @property {'start' | 'status' | 'still' | 'webhook'} kind what it strikes
 * @property {string} fault of an invocation: `throttle` (429), `server-error` (500), `function-error`, `delay`,
 *   `no-answer` (the function runs, the connection is dropped), `braces` (an error in the answer, not a fatal one,
 *   whose text has an unbalanced brace). Of a webhook: `drop`, `delay`
 * @property {number} [times] how many of that kind it strikes, one after the other; 1 if left out
 * @property {number} [delayMs] the time before the fault; with `no-answer` that before the connection is dropped
 */

const FAULTS = /** @type {Record<string, string[]>} */ ({
	start: ['throttle', 'server-error', 'function-error', 'delay', 'no-answer'],
	status: ['throttle', 'server-error', 'function-error', 'delay', 'no-answer', 'braces'],
	still: ['throttle', 'server-error', 'function-error', 'delay', 'no-answer'],
	webhook: ['drop', 'delay'],
});

export class Faults {
	/** @type {Required<Rule>[]} */
	#rules = [];

	/**
	 * Puts `rules` in the place of those before. Of one kind the first is used up before the second.
	 *
	 * @param {Rule[]} rules
	 */
	replace(rules) {
		for (const {kind, fault} of rules) {
			if (!FAULTS[kind]?.includes(fault)) {
				throw new TypeError(`There is no fault ${JSON.stringify(fault)} for ${JSON.stringify(kind)}.`);
			}
		}
		this.#rules = rules.map((rule) => ({times: 1, delayMs: 0, ...rule}));
	}

	/** @returns {Required<Rule>[]} what has not struck yet */
	left() {
		return this.#rules.filter(({times}) => times > 0);
	}

	/**
	 * Runs an invocation under the next fault of its kind.
	 *
	 * @param {string} kind
	 * @param {() => Promise<import('./answers.mjs').Answer>} run
	 * @returns {Promise<import('./answers.mjs').Answer | null>} null: drop the connection
	 */
	async invoke(kind, run) {
		const rule = this.#take(kind);
		if (rule === undefined) {
			return run();
		}
		if (rule.fault === 'no-answer') {
			await run();
			await sleep(rule.delayMs, undefined, {ref: false});
			return null;
		}
		await sleep(rule.delayMs, undefined, {ref: false});
		switch (rule.fault) {
			case 'throttle':
				return refused(429, 'TooManyRequestsException', 'Rate Exceeded.', {Reason: 'ConcurrentInvocationLimitExceeded'});
			case 'server-error':
				return refused(500, 'ServiceException', 'An error occurred and the request cannot be processed.');
			case 'function-error':
				return functionError({name: 'Runtime.ExitError', message: 'Runtime exited with error: signal: killed'});
			case 'braces':
				return withUnbalancedBrace(await run());
			default:
				return run();
		}
	}

	/** @type {typeof sendWebhook} */
	sendWebhook = async (receiver, payload) => {
		const rule = this.#take('webhook');
		if (rule?.fault === 'drop') {
			return;
		}
		await sleep(rule?.delayMs ?? 0, undefined, {ref: false});
		await sendWebhook(receiver, payload);
	};

	/** @param {string} kind */
	#take(kind) {
		const rule = this.left().find((candidate) => candidate.kind === kind);
		if (rule !== undefined) {
			rule.times--;
		}
		return rule;
	}
}

/** @param {import('./answers.mjs').Answer} answer */
function withUnbalancedBrace(answer) {
	const message = 'Unexpected token } in JSON at position 0';
	const error = {type: 'artifact', name: 'SyntaxError', message, stack: message, isFatal: false, willRetry: false};
	return {...answer, body: {...answer.body, errors: [...(answer.body.errors ?? []), error]}};
}
