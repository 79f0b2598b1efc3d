// @ts-check
// Live updates: a socket that is opened again whenever it closes, and reading again wherever something may be missed.

const FIRST_DELAY_S = 1;
const LONGEST_DELAY_S = 30;
const READ_AGAIN_MS = 30_000;

/**
 * Returns how long to wait before the socket is tried again: longer each time, and never the same for all pages, so
 * that they don't come back at one moment after a restart.
 *
 * @param {number} attempt how often it was tried in vain, from 0
 * @param {number} random from 0 to 1
 * @returns {number} seconds, from 1 to 30
 */
export const delayBefore = (attempt, random) => {
	const most = Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (attempt + 1));
	return Math.max(FIRST_DELAY_S, most / 2 + (random * most) / 2);
};

/** @typedef {'connecting' | 'live' | 'reconnecting'} LiveState */

/**
 * @typedef {object} Hooks
 * @property {(status: import('./api.js').ExportStatus) => void} onExport an export has moved
 * @property {() => void} readAgain reads over HTTP what the page shows
 * @property {() => boolean} isWaiting tells whether the page shows something that still moves
 * @property {(state: LiveState) => void} onState the connection has come or gone
 */

/**
 * Keeps a page up to date.
 *
 * The page reads over HTTP each time after the socket has opened, so nothing is missed between the two, and also
 * while there is none. A message can get lost on its way, so a page that waits for something reads now and then
 * besides.
 */
export class Live {
	/** @type {WebSocket | null} */
	#socket = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;
	#attempt = 0;
	#url;
	#hooks;

	/**
	 * @param {string} url
	 * @param {Hooks} hooks
	 */
	constructor(url, hooks) {
		this.#url = url;
		this.#hooks = hooks;
	}

	/** Begins, and goes on for as long as the page is open. */
	start() {
		this.#connect();
		setInterval(() => this.#hooks.isWaiting() && this.#hooks.readAgain(), READ_AGAIN_MS);
	}

	/** Makes sure at once that the page is up to date: the tab has come to the front, or the network is back. */
	wake() {
		if (this.#socket === null) {
			this.#attempt = 0;
			this.#connect();
		} else {
			this.#hooks.readAgain();
		}
	}

	#connect() {
		clearTimeout(this.#timer);
		const socket = new WebSocket(this.#url);
		this.#socket = socket;
		socket.onopen = () => {
			this.#attempt = 0;
			this.#hooks.onState('live');
			this.#hooks.readAgain();
		};
		socket.onmessage = ({data}) => {
			const message = JSON.parse(data);
			if (message.type === 'export.updated') {
				this.#hooks.onExport(message.export);
			}
		};
		socket.onclose = () => {
			this.#socket = null;
			this.#hooks.onState('reconnecting');
			// Also tells whether the user is still signed in, which a refused socket doesn't.
			this.#hooks.readAgain();
			this.#timer = setTimeout(() => this.#connect(), delayBefore(this.#attempt, Math.random()) * 1000);
			this.#attempt += 1;
		};
	}
}

const STATES = {connecting: 'Connecting …', live: 'Live', reconnecting: 'Reconnecting …'};

/**
 * Keeps this page up to date, and shows in `sign` whether it is.
 *
 * @param {HTMLElement} sign
 * @param {Omit<Hooks, 'onState'>} hooks
 */
export const keepLive = (sign, hooks) => {
	const live = new Live(`${location.origin.replace(/^http/, 'ws')}/ws/exports`, {
		...hooks,
		onState(state) {
			sign.dataset.state = state;
			const words = sign.querySelector('span');
			if (words !== null) {
				words.textContent = STATES[state];
			}
		},
	});
	live.start();
	addEventListener('online', () => live.wake());
	document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && live.wake());
};
