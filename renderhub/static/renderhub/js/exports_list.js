// @ts-check
// The list of one's exports, changed in place so that nothing that has the focus is lost.

import {make, setText} from './elements.js';
import {Progress} from './progress.js';
import {agoInWords, formatInWords, momentInWords, sizeInWords, statusInWords} from './words.js';

/** @typedef {import('./api.js').ExportRow} ExportRow */

/** One export in the list. */
class Entry {
	#link;
	#badge = make('span', {class: 'badge'});
	#facts = make('p', {class: 'facts'});
	#progress = new Progress();
	#message = make('p', {class: 'failure-message'});
	#retry = make('button', {type: 'button', class: 'button small'}, 'Retry');
	#failure = make('div', {class: 'failure'}, this.#message, this.#retry);

	/**
	 * @param {ExportRow} row
	 * @param {(row: ExportRow) => Promise<void>} retry
	 */
	constructor(row, retry) {
		this.row = row;
		this.#link = make('a', {href: `/exports/${row.exportId}`});
		this.element = make(
			'li',
			{class: 'entry', 'data-export-id': row.exportId},
			make('div', {class: 'entry-head'}, this.#link, this.#badge),
			this.#facts,
			this.#progress.element,
			this.#failure,
		);
		this.#retry.addEventListener('click', async () => {
			if (this.#retry.getAttribute('aria-disabled') === 'true') {
				return;
			}
			this.#retry.setAttribute('aria-disabled', 'true');
			await retry(this.row);
			this.#retry.removeAttribute('aria-disabled');
		});
	}

	/** @param {ExportRow} row */
	show(row) {
		this.row = row;
		this.element.dataset.status = row.status;
		this.#badge.dataset.status = row.status;
		setText(this.#link, row.title);
		setText(this.#badge, statusInWords(row));
		const moment = row.completedAt ?? row.createdAt;
		const facts = [row.compositionId, formatInWords(row.codec), agoInWords(moment, Date.now())];
		if (row.outputSizeBytes !== null) {
			facts.push(sizeInWords(row.outputSizeBytes));
		}
		setText(this.#facts, facts.join('  ·  '));
		this.#facts.title = momentInWords(moment);
		this.#progress.show(row);
		const hasFailed = row.status === 'failed' || row.status === 'cancelled';
		this.#failure.hidden = !hasFailed;
		setText(this.#message, hasFailed ? (row.errorMessage ?? '') : '');
		this.#retry.setAttribute('aria-label', `Retry ${row.title}`);
	}
}

/** The list. */
export class ExportsList {
	/** @type {Map<string, Entry>} */
	#entries = new Map();
	#list;
	#retry;

	/**
	 * @param {HTMLElement} list
	 * @param {(row: ExportRow) => Promise<void>} retry asks for a further attempt
	 */
	constructor(list, retry) {
		this.#list = list;
		this.#retry = retry;
	}

	/** @param {ExportRow[]} rows in their order */
	show(rows) {
		for (const [position, row] of rows.entries()) {
			let entry = this.#entries.get(row.exportId);
			if (entry === undefined) {
				entry = new Entry(row, this.#retry);
				this.#entries.set(row.exportId, entry);
			}
			entry.show(row);
			if (this.#list.children[position] !== entry.element) {
				this.#list.insertBefore(entry.element, this.#list.children[position] ?? null);
			}
		}
	}
}
