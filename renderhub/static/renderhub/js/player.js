// @ts-check
// The finished file: played, and offered for download.

import {make, setText} from './elements.js';
import {formatInWords, mediumOf, sizeInWords} from './words.js';

/** @typedef {import('./api.js').ExportStatus} ExportStatus */

// An address is renewed this long before it ends.
const EARLY_MS = 30_000;

/** Shows the file once there is one. Its address ends after a while: a new one is read then. */
export class Player {
	#place;
	#readAgain;
	/** @type {HTMLVideoElement | HTMLAudioElement | HTMLImageElement | undefined} */
	#media;
	#download = make('a', {class: 'button primary', target: '_blank', rel: 'noopener'});
	#note = make('p', {class: 'notice', role: 'status', hidden: true});
	#version = 0;
	/** @type {ExportStatus | undefined} */
	#status;
	#hasFailed = false;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/**
	 * @param {HTMLElement} place
	 * @param {() => Promise<void>} readAgain reads the status, and shows it here
	 */
	constructor(place, readAgain) {
		this.#place = place;
		this.#readAgain = readAgain;
	}

	/** @param {ExportStatus} status */
	show(status) {
		this.#place.hidden = status.status !== 'completed';
		if (status.outputUrl === null || status.downloadUrl === null) {
			if (status.status === 'completed') {
				this.#showDeleted();
			}
			return;
		}
		this.#status = status;
		// Each status has an address of its own. What plays keeps the one that it began with.
		if (this.#version !== status.version) {
			this.#version = status.version;
			this.#build(status, status.outputUrl);
		}
		this.#download.href = status.downloadUrl;
		clearTimeout(this.#timer);
		if (status.outputExpiresAt === null) {
			return;
		}
		const left = Date.parse(status.outputExpiresAt) - Date.now() - EARLY_MS;
		this.#timer = setTimeout(this.#readAgain, Math.max(EARLY_MS, left));
	}

	#showDeleted() {
		clearTimeout(this.#timer);
		setText(this.#note, 'The file has been kept as long as files are kept here, and is deleted. Export it again to get a new one.');
		this.#note.hidden = false;
		this.#place.replaceChildren(this.#note);
	}

	/**
	 * @param {ExportStatus} status
	 * @param {string} url
	 */
	#build(status, url) {
		const media = mediaFor(status);
		this.#media = media;
		if (media !== undefined) {
			media.addEventListener('error', () => this.#recover());
			media.src = url;
		}
		const size = status.outputSizeBytes === null ? '' : `, ${sizeInWords(status.outputSizeBytes)}`;
		setText(this.#download, `Download ${formatInWords(status.codec).split(' ')[0]}${size}`);
		this.#place.replaceChildren(...(media ? [media] : []), this.#note, make('div', {class: 'actions'}, this.#download));
	}

	/** Tries once more with a new address, from where it stopped; then it is the format that can't be played. */
	async #recover() {
		const media = this.#media;
		if (media === undefined) {
			return;
		}
		if (this.#hasFailed) {
			setText(this.#note, 'This browser can’t play the file. Download it to open it in another program.');
			this.#note.hidden = false;
			return;
		}
		this.#hasFailed = true;
		const at = media instanceof HTMLMediaElement ? media.currentTime : 0;
		await this.#readAgain();
		if (this.#status?.outputUrl) {
			media.src = this.#status.outputUrl;
			if (media instanceof HTMLMediaElement) {
				media.currentTime = at;
				media.addEventListener('loadeddata', () => (this.#hasFailed = false), {once: true});
			}
		}
	}
}

/**
 * A page is offered as a link alone, since these pages' policy lets nothing be embedded..
 *
 * @param {ExportStatus} status
 */
const mediaFor = (status) => {
	switch (mediumOf(status.codec)) {
		case 'page':
			return undefined;
		case 'picture':
			return make('img', {alt: `${status.title}, as a picture`});
		case 'animation':
			return make('img', {alt: `${status.title}, as an animated image`});
		case 'audio':
			return make('audio', {controls: true, preload: 'metadata', 'aria-label': status.title});
		default:
			return make('video', {controls: true, playsinline: true, preload: 'metadata', 'aria-label': status.title});
	}
};
