import {randomInt} from 'node:crypto';
import {createLine} from './line.mjs';
import {log} from './log.mjs';
import {progressKey, statusOf} from './progress.mjs';
import {Render} from './render.mjs';

/** @typedef {import('./options.mjs').Payload} Payload */

const DELETE_AFTER = ['1-day', '3-days', '7-days', '30-days'];
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** All renders of videos: one at a time has the machine, the others wait in line. */
export class Renders {
	#tools;
	/** Those whose latest state is not yet in the bucket. @type {Map<string, Render>} */
	#renders = new Map();
	#line = createLine();

	/** @param {import('./render.mjs').Tools} tools */
	constructor(tools) {
		this.#tools = tools;
	}

	/**
	 * Accepts a render. What is wrong with it in detail shows in its status, as with the real function.
	 *
	 * @param {Payload} payload
	 */
	async start(payload) {
		const bucketName = bucketOf(payload);
		const renderId = makeRenderId(payload.deleteAfter);
		const render = new Render({renderId, bucketName, payload, tools: this.#tools});
		await render.accept();
		this.#renders.set(renderId, render);
		void this.#follow(render);
		return {type: 'success', bucketName, renderId};
	}

	/** @param {{renderId: string, bucketName: string}} payload */
	async status({renderId, bucketName}) {
		const render = this.#renders.get(renderId);
		if (render) {
			return render.status();
		}
		const state = JSON.parse(await this.#tools.storage.readText(bucketName, progressKey(renderId)));
		return statusOf(state, {renderId, bucketName, timeLimitMs: this.#tools.timeLimitMs});
	}

	/** @param {Render} render */
	async #follow(render) {
		await this.#line(() => render.run());
		if (await render.report()) {
			this.#renders.delete(render.renderId);
		} else {
			log('render.kept_in_memory', {renderId: render.renderId});
		}
	}
}

/** @param {Pick<Payload, 'bucketName'>} payload */
export function bucketOf({bucketName}) {
	if (!bucketName) {
		throw new TypeError('bucketName is missing: the local renderer does not look for a bucket of its own.');
	}
	return bucketName;
}

/**
 * Ten letters and digits, behind the prefix by which a lifecycle rule would delete the render.
 *
 * @param {string | null | undefined} deleteAfter
 */
export function makeRenderId(deleteAfter) {
	if (deleteAfter != null && !DELETE_AFTER.includes(deleteAfter)) {
		throw new TypeError(`Expected deleteAfter value to be one of ${DELETE_AFTER.join(', ')}, got ${deleteAfter}`);
	}
	const id = Array.from({length: 10}, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
	return deleteAfter == null ? id : `${deleteAfter}-${id}`;
}
